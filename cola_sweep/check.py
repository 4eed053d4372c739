"""`cola-sweep check`: what is wrong with a sweep file, before anything starts.

Reading (`space`) refuses what no server would take; this adds what only this project knows: the names,
types and rules of `TrialConfig`, and the metrics a trial logs.
"""

import argparse
import difflib
import math
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from cola_sweep.config import TrialConfig
from cola_sweep.errors import UserError
from cola_sweep.metric_names import METRIC_GOALS, OBJECTIVE
from cola_sweep.parameters import BOUNDED, Finding, Parameter, bounds
from cola_sweep.space import SweepSpec, read_file

SWEEPS = Path("sweeps")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `cola-sweep check`."""
    parser.add_argument("files", nargs="*", type=Path, help=f"sweep files (default: all of {SWEEPS}/)")


def main(args: argparse.Namespace) -> int:
    """Print a line for each finding; 2 if one is an error, else 0."""
    files = args.files or sorted(SWEEPS.glob("*.yaml"))
    if not files:
        raise UserError(f"{SWEEPS}/", rule="holds no sweep file", fix="name the files to check")
    failed = False
    for file in files:
        found = check(file)
        failed |= any(finding.severity == "error" for finding in found)
        for finding in found:
            print(f"{finding.severity}: {finding}", file=sys.stderr)
        if not found:
            print(f"{file}: ok")
    return 2 if failed else 0


def check(file: Path) -> list[Finding]:
    """Everything to say about one file, in its order; where it cannot be read, that alone."""
    try:
        spec = read_file(file)
    except UserError as error:
        return [Finding("error", error.where, error.got, error.rule, error.fix)]
    found = [*spec.warnings, *_parameters(spec), *_single_choice(spec), *_metric(spec)]
    return [Finding(f.severity, f"{file}: {f.where}", f.got, f.rule, f.fix) for f in found]


def _parameters(spec: SweepSpec) -> Iterator[Finding]:
    for parameter in spec.parameters:
        for value in _samples(parameter):
            try:
                TrialConfig.from_mapping({parameter.name: value})
            except UserError as error:
                yield Finding("error", f"parameters.{parameter.name}", error.got, error.rule, error.fix)
                break


def _samples(parameter: Parameter) -> tuple[Any, ...]:
    """Values that decide whether every value of a parameter suits its setting."""
    kind = parameter.distribution
    if kind in ("constant", "categorical"):
        return parameter.values
    low, high = bounds(parameter) if kind in BOUNDED else (parameter.mu, parameter.mu + parameter.sigma)
    if kind == "int_uniform" or kind.startswith("q_"):
        return low, high
    return low, high, low + (high - low) / math.pi  # no setting that must be whole takes the last


def _single_choice(spec: SweepSpec) -> Iterator[Finding]:
    for parameter in spec.parameters:
        if parameter.distribution in BOUNDED and parameter.min == parameter.max:
            where = f"parameters.{parameter.name}"
            yield Finding(
                "warning", where, parameter.min, "min and max are the same", "write value, or widen the bounds"
            )


def _metric(spec: SweepSpec) -> Iterator[Finding]:
    if spec.metric is None:
        return
    name, goal = spec.metric.name, spec.metric.goal
    if name not in METRIC_GOALS:
        near = difflib.get_close_matches(name, METRIC_GOALS, n=1)
        fix = f"did you mean {near[0]!r}?" if near else f"write {OBJECTIVE}"
        yield Finding("error", "metric.name", name, "no trial logs this metric", fix)
    elif METRIC_GOALS[name] not in (None, goal):
        yield Finding(
            "warning", "metric.goal", goal, f"{name} is better the other way", f"write goal: {METRIC_GOALS[name]}"
        )
