"""What a sweep file says that the trial cannot follow: parameters it has not, metrics it does not log. Pure."""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from cola_sweep.parameters import Finding, Parameter
from cola_sweep.space import SweepSpec


def findings(
    spec: SweepSpec, known_parameters: Mapping[str, Any] | Collection[str], known_metrics: Collection[str]
) -> list[Finding]:
    """The warnings of reading, and what does not fit the training program.

    Args:
        known_parameters: names the program takes; empty: any.
        known_metrics: names the program logs; empty: any.
    """
    found = list(spec.warnings)
    if known_parameters:
        found += [
            _unknown("parameters." + parameter.name, parameter.path[0], known_parameters)
            for parameter in spec.parameters
            if parameter.path[0] not in known_parameters
        ]
    if spec.metric and known_metrics and spec.metric.name not in known_metrics:
        found.append(_unknown("metric.name", spec.metric.name, known_metrics))
    found += [f for f in map(_single_choice, spec.parameters) if f]
    return found


def _unknown(where: str, name: str, known: Collection[str]) -> Finding:
    near = difflib.get_close_matches(name, list(known), n=1)
    rule = "no such parameter of the trial" if where.startswith("parameters.") else "no metric of this name is logged"
    return Finding("error", where, name, rule, f"did you mean {near[0]}?" if near else f"use one of {', '.join(known)}")


def _single_choice(parameter: Parameter) -> Finding | None:
    if parameter.distribution == "categorical" or parameter.min < parameter.max or parameter.values:
        return None
    where = f"parameters.{parameter.name}"
    return Finding("warning", where, parameter.min, "min and max are the same", "write value, or widen the bounds")
