"""The values that search reads and returns, and which points of a space they take. Pure."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from cola_sweep import domains
from cola_sweep.parameters import Parameter, canonical
from cola_sweep.points import Point, nested, point_of
from cola_sweep.space import SweepSpec

# A run that never started gives its point back; a point whose runs die at once is given up after so many.
ATTEMPTS = 3

TrialState = Literal["waiting", "running", "complete", "pruned", "failed", "unstarted"]

# The states whose value tells the search something, and those in which there is none yet.
VALUED = frozenset({"complete", "pruned"})
UNDER_WAY = frozenset({"waiting", "running"})


@dataclass(frozen=True, eq=False)
class Trial:
    """One trial that was issued. Compared by identity, so that what is worked out from one can be kept.

    Attributes:
        state: `waiting` was handed out and has not started; `pruned` was stopped early; `failed`
            started and ended badly; `unstarted` ended, or was given up, before it began.
        value: the metric at its best epoch, if it is known and finite.
        point: of the space; None if the arguments lie outside. `placed` finds it.
        space: the parameters of the sweep.
        outside: the arguments of one that has no point.
    """

    state: TrialState
    value: float | None
    point: Point | None
    space: tuple[Parameter, ...] = field(repr=False)
    outside: Mapping[str, Any] | None = None

    @property
    def params(self) -> Mapping[str, Any]:
        """The arguments issued, nested as in the sweep; of thousands of trials they would take half of the memory."""
        return nested(self.space, self.point) if self.point is not None else self.outside or {}

    # Trials that have ended are kept between suggestions, so these are worked out once.

    @cached_property
    def known(self) -> float | None:
        """The value, if it is one that tells the search something."""
        told = self.state in VALUED and self.value is not None and math.isfinite(self.value)
        return self.value if told else None

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


def placed(spec: SweepSpec, params: Mapping[str, Any], state: TrialState, value: float | None = None) -> Trial:
    """A trial of these arguments, with its point in the space."""
    point = point_of(spec.parameters, params)
    return Trial(state, value, point, spec.parameters, params if point is None else None)


class Taken:
    """The points that must not be issued again, kept up to date as trials come, change and go.

    Attributes:
        keys: of these points.
    """

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self._started, self._unstarted = Counter[str](), Counter[str]()

    def add(self, trial: Trial) -> None:
        """One more trial."""
        self._count(trial, 1)

    def drop(self, trial: Trial) -> None:
        """A trial that was added is no more, or is another one now."""
        self._count(trial, -1)

    def _count(self, trial: Trial, by: int) -> None:
        if trial.point is None:
            return
        counts, key = self._unstarted if trial.state == "unstarted" else self._started, trial.key
        counts[key] += by
        if not counts[key]:
            del counts[key]
        if key in self._started or self._unstarted[key] >= ATTEMPTS:
            self.keys.add(key)
        else:
            self.keys.discard(key)


def taken(trials: Iterable[Trial]) -> set[str]:
    """The keys of the points that must not be issued again."""
    found = Taken()
    for trial in trials:
        found.add(trial)
    return found.keys


def to_repeat(trials: Sequence[Trial], times: int) -> list[list[int]]:
    """The points to be tried again: of each, the places in `trials` of its failures, `times` of them at most.

    A point is given up, too, when its runs have died at once so often as `taken` allows.
    """
    places = defaultdict[str, list[int]](list)
    for place, trial in enumerate(trials):
        if trial.point is not None:
            places[trial.key].append(place)
    found = []
    for tried in places.values():
        states = Counter(trials[place].state for place in tried)
        if states["failed"] + states["unstarted"] == len(tried) and states["unstarted"] < ATTEMPTS:
            failed = [place for place in tried if trials[place].state == "failed"]
            if 1 <= len(failed) <= times:
                found.append(failed)
    return found
