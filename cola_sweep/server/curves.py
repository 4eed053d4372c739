"""Curves of a run: what a page draws of its numbers, about a thousand points however many were logged. Pure.

The values of a key lie in up to `BUCKETS` buckets of equally many, and of each bucket the lowest and the highest are
kept, so that no spike is lost; when more come, each pair of buckets becomes one. Rows are folded in once, a chunk at a
time, and a page is given a bucket once: while a run goes on, both are work for its new rows alone.

>>> curves = Curves()
>>> curves.add([{"_step": step, "loss": 1 / (step + 1)} for step in range(100_000)])
>>> part = curves.part("loss")
>>> points = part.points()
>>> points[0][:2], points[-1][:2], 500 < len(points) <= 2 * BUCKETS + 2
((0.0, 1.0), (99999.0, 1e-05), True)
>>> curves.add([{"_step": 100_000, "loss": 0.0}])
>>> new = curves.part("loss", since=part.count)
>>> new.begin == len(part.buckets) - 1, len(new.buckets)
(True, 1)
"""

from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from math import inf, nan
from struct import Struct, iter_unpack
from sys import float_info
from typing import Any

from cola_sweep.server.history_keys import flat

BUCKETS = 512
CLOCKS = ("_runtime", "_timestamp")  # seconds since the run began, and since the epoch

# (step, value, a number or None for each axis); a value that is not finite is its name: NaN, Infinity, -Infinity.
Point = tuple[Any, ...]
# Where a value is: number, step and axes of its row, NaN for None; as bytes, which take a third of a tuple's room.
_Place = bytes
_Kept = tuple[_Place, float]  # a value and where it is
_NOWHERE = b""
_Column = tuple[Sequence[int], Sequence[float]]  # places of values among some rows, and the values
_NUMBERS = frozenset({int, float})


@dataclass(frozen=True)
class Part:
    """A curve, or what is new of one.

    Attributes:
        count: how many values the curve has; asked for `since` these, it gives what is new.
        begin: the buckets before this one are as they were.
        buckets: the others, each its points in the order of their rows.
    """

    count: int
    begin: int
    buckets: list[list[Point]]

    def points(self) -> list[Point]:
        """The points by step: several processes may log to one run side by side."""
        return sorted((point for bucket in self.buckets for point in bucket), key=lambda point: point[0])


class Curves:
    """The curves of one stream.

    Args:
        axes: keys that a curve may be drawn against beside the step; a row without one has the newest one before it.

    Attributes:
        rows: how many rows were folded in.
    """

    def __init__(self, axes: Sequence[str] = CLOCKS) -> None:
        self.axes = tuple(axes)
        self.rows = 0
        self._newest = [nan] * len(self.axes)
        self._curves: dict[str, _Curve] = {}

    @property
    def size(self) -> int:
        """How many points are kept, at most."""
        return sum(len(curve.values) for curve in self._curves.values())

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Fold in the next rows, in the order of their lines."""
        columns = _columns(rows)
        places = self._places(columns, len(rows))
        for key, (numbers, values) in columns.items():
            # What begins with a line is the client's own.
            if not key.startswith("_"):
                self._curves.setdefault(key, _Curve()).add(numbers, values, places)
        self.rows += len(rows)

    def part(self, key: str, since: int = 0) -> Part:
        """A key's first and last point, and the lowest, highest and first not finite one of each bucket.

        Args:
            since: how many values the curve had when it was asked for before.
        """
        curve = self._curves.get(key)
        return curve.part(since) if curve else Part(0, 0, [])

    def _places(self, columns: Mapping[str, _Column], count: int) -> list[_Place]:
        """Where each new row is."""
        rows = range(self.rows, self.rows + count)
        steps: list[float] = list(rows)
        for number, step in zip(*columns.get("_step", ((), ())), strict=True):
            if step - step == 0:
                steps[number] = step
        axes = []
        for i, axis in enumerate(self.axes):
            given = dict(zip(*columns.get(axis, ((), ())), strict=True))
            filled = []
            for number in range(count):
                value = given.get(number, nan)
                if value - value == 0:
                    self._newest[i] = value
                filled.append(self._newest[i])
            axes.append(filled)
        pack = Struct(f"{2 + len(axes)}d").pack
        return [pack(*place) for place in zip(rows, steps, *axes, strict=True)]


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, _Column]:
    """The numbers in rows: for each key where they are, and which."""
    found: dict[str, _Column] = {}
    for key in set().union(*rows):
        values: list[Any] = [row.get(key) for row in rows]
        kinds = set(map(type, values))
        if kinds <= _NUMBERS:
            found[key] = (range(len(rows)), _numbers(values))
        elif not kinds.isdisjoint(_NUMBERS):
            numbers = [i for i, value in enumerate(values) if type(value) in _NUMBERS]
            found[key] = (numbers, _numbers([values[i] for i in numbers]))
        if dict in kinds:
            nested = [value if type(value) is dict and "_type" not in value else {} for value in values]
            found |= _columns([dict(flat(value, f"{key}.")) for value in nested])
    return found


def _numbers(values: list[Any]) -> list[float]:
    """Numbers as floats; a whole one that is too large for one is infinite."""
    try:
        return array("d", values).tolist()
    except OverflowError:
        most = float_info.max
        return [inf if value > most else -inf if value < -most else float(value) for value in values]


class _Curve:
    """One key's buckets of `width` values each; the last one may have fewer."""

    def __init__(self) -> None:
        self.count = 0
        self.width = 1
        # Of each bucket the lowest value and the highest, in turn, and where they are, nowhere if none is finite; all
        # curves share the place of a row.
        self.values = array("d")
        self.places: list[_Place] = []
        self.odd: dict[int, _Kept] = {}  # by bucket, the first value that is not finite
        self.first = self.last = (_NOWHERE, nan)

    def add(self, numbers: Sequence[int], values: Sequence[float], places: Sequence[_Place]) -> None:
        """Add values of the rows `numbers` of `places`."""
        if not self.count:
            self.first = (places[numbers[0]], values[0])
        self.last = (places[numbers[-1]], values[-1])
        at = 0
        while at < len(values):
            if self.count % self.width == 0:
                self._open()
            part = values[at : at + self.width - self.count % self.width]
            finite = part
            # One look at the sum spares one at each value, but where the sum alone is too large.
            if (total := sum(part)) - total != 0:
                finite = [value for value in part if value - value == 0]
                if len(finite) < len(part):
                    odd = next(i for i, value in enumerate(part, at) if value - value != 0)
                    self.odd.setdefault(self.count // self.width, (places[numbers[odd]], values[odd]))
            if finite:
                low, high = min(finite), max(finite)
                if low < self.values[-2]:
                    self.values[-2], self.places[-2] = low, places[numbers[values.index(low, at)]]
                if high > self.values[-1]:
                    self.values[-1], self.places[-1] = high, places[numbers[values.index(high, at)]]
            self.count += len(part)
            at += len(part)

    def part(self, since: int) -> Part:
        # The bucket of what was the last value is given again: that value is of no note there any more.
        begin = (since - 1) // self.width if since and _width(since) == self.width else 0
        kept = [self._kept(bucket) for bucket in range(begin, len(self.values) // 2)]
        places = (place for bucket in kept for place in bucket)
        points = iter_unpack(f"{len(self.last[0]) // 8}d", b"".join(places))
        return Part(self.count, begin, [_points(islice(points, len(bucket)), bucket.values()) for bucket in kept])

    def _kept(self, bucket: int) -> dict[_Place, float]:
        """What is given of a bucket."""
        pair = slice(2 * bucket, 2 * bucket + 2)
        kept = dict(zip(self.places[pair], self.values[pair], strict=True))
        kept.pop(_NOWHERE, None)
        if bucket in self.odd:
            kept.update([self.odd[bucket]])
        if bucket == 0:
            kept.update([self.first])
        if pair.stop == len(self.values):
            kept.update([self.last])
        return kept

    def _open(self) -> None:
        """Begin a bucket; where there are as many as may be, let each pair be one first."""
        if len(self.places) == 2 * BUCKETS:
            found = self.values
            chosen = [
                place
                for i in range(0, len(found), 4)
                for place in (min(i, i + 2, key=found.__getitem__), max(i + 1, i + 3, key=found.__getitem__))
            ]
            self.values = array("d", [found[place] for place in chosen])
            self.places = [self.places[place] for place in chosen]
            self.odd = {bucket // 2: self.odd[bucket] for bucket in sorted(self.odd, reverse=True)}
            self.width *= 2
        self.values.extend((inf, -inf))
        self.places += (_NOWHERE, _NOWHERE)


def _width(count: int) -> int:
    """How many values a bucket holds once there are so many."""
    return 1 << max(-(-count // BUCKETS) - 1, 0).bit_length()


def _points(places: Iterable[tuple[float, ...]], values: Iterable[float]) -> list[Point]:
    """Values and their unpacked places as points, in the order of their rows."""
    return [
        (step, _shown(value), *[None if axis != axis else axis for axis in axes])
        for (_, step, *axes), value in sorted(zip(places, values, strict=True))
    ]


def _shown(value: float) -> float | str:
    if value - value == 0:
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
