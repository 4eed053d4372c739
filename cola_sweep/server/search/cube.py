"""A search space as a cube: each parameter that has more than one value is a side, from 0 to 1.

Steps and values of a list lie evenly on their side, numbers in their order; values of a list that are no numbers are
labels, which are equal or not, and no nearer to each other than that.

Imports `cola_sweep.axes`, and with it Optuna; numpy.
"""

import bisect
import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

from cola_sweep import domains
from cola_sweep.axes import axis
from cola_sweep.parameters import Parameter
from cola_sweep.points import Point, Space
from cola_sweep.server.search.trials import Trial

# Points of the cube, one a row, a column for each side.
Points = NDArray[np.float64]

# How far a step goes that is made near a point, in terms of its usual length: the standard deviation of the logarithm.
_REACH = 0.7
# How often a label changes that may.
_RELABEL = 0.3


@dataclass(frozen=True)
class Side:
    """A parameter's side of the cube.

    Attributes:
        label: the values are no numbers.
        places: on the parameter's axis, in order, where there is an end of them.
        low, high: of the axis, or its logarithms, where there is none.
    """

    parameter: Parameter
    places: Sequence[int] = ()
    label: bool = False
    low: float = 0.0
    high: float = 1.0
    log: bool = False

    def of(self, place: float) -> float:
        """Where a place on the parameter's axis lies on the side."""
        if self.places:
            return self.places.index(int(place)) / (len(self.places) - 1)
        return ((math.log(place) if self.log else place) - self.low) / (self.high - self.low)

    def place(self, share: float) -> float:
        """The inverse of `of`."""
        if self.places:
            last = len(self.places) - 1
            return self.places[min(round(share * last), last)]
        there = self.low + share * (self.high - self.low)
        return math.exp(there) if self.log else there

    def drawn(self, share: float) -> Any:
        """The value that a share of the draws come before."""
        if self.parameter.probabilities:
            ends = list(itertools.accumulate(self.parameter.probabilities))
            return self.parameter.values[bisect.bisect_right(ends, share * ends[-1], hi=len(ends) - 1)]
        count = len(self.places)
        place = self.places[min(int(share * count), count - 1)] if count else self.place(share)
        return domains.at(self.parameter, place)


@dataclass(frozen=True)
class Cube:
    """The sides of a space."""

    space: Space
    sides: tuple[Side, ...]

    @property
    def labels(self) -> NDArray[np.bool_]:
        """Which sides hold labels."""
        return np.array([side.label for side in self.sides])

    def of(self, trials: Sequence[Trial]) -> Points:
        """Where trials lie."""
        rows = [[side.of(trial.places[side.parameter.name]) for side in self.sides] for trial in trials]
        return np.array(rows).reshape(len(trials), len(self.sides))

    def point(self, shares: Points) -> Point:
        """The point of the space at one of the cube."""
        places = {side.parameter.name: side.place(float(share)) for side, share in zip(self.sides, shares, strict=True)}
        return tuple(domains.at(p, places[p.name]) if p.name in places else domains.option(p, 0) for p in self.space)

    def spread(self, number: int, start: Sequence[float]) -> Point:
        """The point of a number, from 0, of a sequence that fills the cube evenly, by the parameters' distributions.

        The sequence is the R of M. Roberts (The unreasonable effectiveness of quasirandom sequences, 2018), from
        `start` on.
        """
        sides, ratio = len(self.sides), 2.0
        for _ in range(64):  # to the root of x^(sides + 1) = x + 1, of which its steps are powers
            ratio = (1 + ratio) ** (1 / (sides + 1))
        shares = [(first + (number + 1) * ratio ** -(i + 1)) % 1 for i, first in enumerate(start)]
        values = {side.parameter.name: side.drawn(share) for side, share in zip(self.sides, shares, strict=True)}
        return tuple(values[p.name] if p.name in values else domains.option(p, 0) for p in self.space)

    def anywhere(self, count: int, dice: np.random.Generator) -> Points:
        """Points drawn evenly."""
        points = dice.random((count, len(self.sides)))
        for i, side in enumerate(self.sides):
            if side.places:
                points[:, i] = np.floor(points[:, i] * len(side.places)) / (len(side.places) - 1)
        return points

    def near(self, center: Points, spread: float, count: int, dice: np.random.Generator) -> Points:
        """Points that differ from one in about half of their coordinates, by about `spread`, or by a step at least."""
        shape = (count, len(self.sides))
        moved = dice.random(shape) < max(0.5, 2 / shape[1])
        length = spread * np.exp(_REACH * dice.standard_normal((count, 1)))
        step = length * dice.standard_normal(shape)
        least = np.array([1 / (len(side.places) - 1) if side.places else 0.0 for side in self.sides])
        step = np.copysign(np.maximum(np.abs(step), least), step)
        points = np.abs(center + step)  # what leaves the cube comes back in
        points = np.clip(1 - np.abs(1 - points), 0, 1)
        relabelled = dice.random(shape) < _RELABEL
        points = np.where(self.labels, np.where(relabelled, self.anywhere(count, dice), center), points)
        return self._in_step(np.where(moved, points, center))

    def _in_step(self, points: Points) -> Points:
        for i, side in enumerate(self.sides):
            if side.places:
                last = len(side.places) - 1
                points[:, i] = np.round(points[:, i] * last) / last
        return points


def cube(space: Space) -> Cube:
    """The cube of a space."""
    return Cube(space, tuple(found for parameter in space if (found := _side(parameter))))


def _side(parameter: Parameter) -> Side | None:
    found = axis(parameter)
    if isinstance(found, CategoricalDistribution):
        options = parameter.options
        label = not all(type(option) in (int, float) for option in options)
        places = range(len(options))
        return Side(parameter, places if label else sorted(places, key=options.__getitem__), label)
    if isinstance(found, IntDistribution):
        return Side(parameter, range(found.low, found.high + 1))
    if isinstance(found, FloatDistribution):
        low, high = (math.log(found.low), math.log(found.high)) if found.log else (found.low, found.high)
        return Side(parameter, low=low, high=high, log=found.log)
    return None
