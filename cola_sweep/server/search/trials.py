"""The values that search reads and returns, and which points of a space they take. Pure."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from cola_sweep.parameters import Parameter, canonical
from cola_sweep.server.search import domains
from cola_sweep.space import SweepSpec

# A run that never started gives its point back; a point whose runs die at once is given up after so many.
ATTEMPTS = 3

TrialState = Literal["waiting", "running", "complete", "pruned", "failed", "unstarted"]

# The states whose value tells the search something.
VALUED = frozenset({"complete", "pruned"})

# One value per parameter, in the order of the specification.
Point = tuple[Any, ...]


@dataclass(frozen=True)
class Trial:
    """One trial that was issued.

    Attributes:
        params: the arguments issued, nested as in the sweep.
        state: `waiting` was handed out and has not started; `pruned` was stopped early; `failed`
            started and ended badly; `unstarted` ended, or was given up, before it began.
        value: the metric at its best epoch, if it is known and finite.
        point: of the space; None if the arguments lie outside. `placed` finds it.
        space: the parameters of the sweep.
    """

    params: Mapping[str, Any]
    state: TrialState
    value: float | None
    point: Point | None
    space: tuple[Parameter, ...] = field(repr=False)

    # Trials that have ended are kept between suggestions, so these are worked out once.

    @cached_property
    def key(self) -> str:
        """The point as a text."""
        return canonical(self.point)

    @cached_property
    def places(self) -> dict[str, int | float]:
        """Where the point lies on each parameter's axis, by the parameter's name."""
        assert self.point is not None
        return {p.name: domains.place(p, value) for p, value in zip(self.space, self.point, strict=True)}


@dataclass(frozen=True)
class Suggestion:
    """Arguments for the next trial, nested as in the sweep, and how they came about."""

    params: dict[str, Any]
    why: str


def nested(spec: SweepSpec, point: Point) -> dict[str, Any]:
    """The arguments of a point."""
    params: dict[str, Any] = {}
    for parameter, value in zip(spec.parameters, point, strict=True):
        node = params
        for key in parameter.path[:-1]:
            node = node.setdefault(key, {})
        node[parameter.path[-1]] = value
    return params


def point_of(spec: SweepSpec, params: Mapping[str, Any]) -> Point | None:
    """The point of these arguments, or None if a parameter is missing or outside its space.

    Values of another type that are equal (5 for 5.0) become the space's own.
    """
    values = []
    for parameter in spec.parameters:
        found, value = _lookup(params, parameter)
        fitted = domains.fit(parameter, value) if found else None
        if fitted is None:
            return None
        values.append(fitted[0])
    return tuple(values)


def placed(spec: SweepSpec, params: Mapping[str, Any], state: TrialState, value: float | None = None) -> Trial:
    """A trial of these arguments, with its point in the space."""
    return Trial(params, state, value, point_of(spec, params), spec.parameters)


def taken(trials: Iterable[Trial]) -> set[str]:
    """The keys of the points that must not be issued again."""
    started, unstarted = set(), Counter[str]()
    for trial in trials:
        if trial.point is None:
            continue
        if trial.state == "unstarted":
            unstarted[trial.key] += 1
        else:
            started.add(trial.key)
    return started | {key for key, times in unstarted.items() if times >= ATTEMPTS}


def _lookup(params: Mapping[str, Any], parameter: Parameter) -> tuple[bool, Any]:
    node: Any = params
    for key in parameter.path:
        if not isinstance(node, Mapping) or key not in node:
            return False, None
        node = node[key]
    return True, node
