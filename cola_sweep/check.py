"""`cola-sweep check`: what is wrong with a sweep file, before anything starts, and what it will come to.

Reading (`space`) refuses what no server would take, `sweep_rules` what no trial would, `sources` what is not there.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cola_sweep import kept, past, sources, sweep_rules
from cola_sweep.document import parse
from cola_sweep.errors import UserError
from cola_sweep.expected import alike, expectation
from cola_sweep.parameters import Finding
from cola_sweep.space import SweepSpec, file_text, read_mapping

if TYPE_CHECKING:
    from cola_sweep.probe import Probed

SWEEPS = Path("sweeps")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `cola-sweep check`."""
    parser.add_argument("files", nargs="*", type=Path, help=f"sweep files (default: all of {SWEEPS}/)")
    parser.add_argument("--probe", action="store_true", help="time a few steps of each file's trials on this machine")


def main(args: argparse.Namespace) -> int:
    """Print a line for each finding and one for each good file; 2 if there is an error, else 0."""
    files = args.files or sorted(SWEEPS.glob("*.yaml"))
    if not files:
        raise UserError(f"{SWEEPS}/", rule="holds no sweep file", fix="name the files to check")
    seen = past.trials(past.default_file(), kept.default_folder())
    failed = untimed = False
    for file in files:
        spec, found = examine(file)
        for finding in found:
            print(f"{finding.severity}: {finding}", file=sys.stderr)
        if spec is None or any(finding.severity == "error" for finding in found):
            failed = True
        else:
            print(f"{file}: ok: {expectation(spec, seen, _probed(file, spec) if args.probe else None)}")
            untimed = untimed or not alike(spec, seen)
    if untimed and not args.probe:
        print(
            "note: how long trials take is known once like ones have finished; --probe times a few steps",
            file=sys.stderr,
        )
    return 2 if failed else 0


def _probed(file: Path, spec: SweepSpec) -> "Probed | None":
    """The time of its trials, None where they cannot run here: agents may have what this machine lacks."""
    from cola_sweep.probe import probe

    try:
        return probe(spec)
    except UserError as error:
        print(f"note: {file}: not probed: {error}", file=sys.stderr)
        return None


def examine(file: Path) -> tuple[SweepSpec | None, list[Finding]]:
    """What the file says, None if it cannot be read, and everything to say about it, by file, line and key path."""
    try:
        document = parse(file_text(file), str(file))
    except UserError as error:
        return None, [_finding(error)]
    errors: list[UserError] = []
    spec, found = None, []
    try:
        spec = read_mapping(document.data, errors)
        found = [*_refused_by_client(document.data), *sweep_rules.findings(spec), *sources.findings(spec)]
    except UserError as error:
        errors.append(error)
    found = sorted([*map(_finding, errors), *found], key=lambda finding: document.line(finding.where))
    return spec, [replace(f, where=f"{file}:{document.line(f.where)}: {f.where}") for f in found]


def _finding(error: UserError) -> Finding:
    return Finding("error", error.where, error.got, error.rule, error.fix)


def _refused_by_client(data: Mapping[str, Any]) -> Iterator[Finding]:
    """`wandb sweep` itself tells whole numbers from floats by the two bounds, and stops where they differ."""
    for name, entry in (data.get("parameters") or {}).items():
        if isinstance(entry, Mapping) and "distribution" not in entry and {"min", "max"} <= entry.keys():
            kinds = [type(entry["min"]), type(entry["max"])]
            if kinds not in ([int, int], [float, float]):
                rule = "`wandb sweep` takes two whole numbers or two with a point"
                fix = "write both alike, or name the distribution"
                yield Finding("error", f"parameters.{name}", [entry["min"], entry["max"]], rule, fix)
