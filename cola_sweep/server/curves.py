"""Curves of a run: what a page draws of its numbers, about a thousand points however many were logged. Pure.

The values of a key lie in up to `BUCKETS` buckets of equally many, and of each bucket the lowest and the highest are
kept, so that no spike is lost; when more come, each pair of buckets becomes one. Rows are folded in once, a chunk at a
time: while a run goes on only its new ones are read.

>>> curves = Curves()
>>> curves.add([{"_step": step, "loss": 1 / (step + 1)} for step in range(100_000)])
>>> points = curves.points("loss")
>>> points[0][:2], points[-1][:2], 500 < len(points) <= 2 * BUCKETS + 2
((0, 1.0), (99999, 1e-05), True)
"""

from collections.abc import Mapping, Sequence
from typing import Any

from cola_sweep.server.history_keys import flat

BUCKETS = 512
CLOCKS = ("_runtime", "_timestamp")  # seconds since the run began, and since the epoch

# (step, value, a number or None for each axis); a value that is not finite is its name: NaN, Infinity, -Infinity.
Point = tuple[Any, ...]
_Kept = tuple[int, Point]  # with the number of its row
_Column = tuple[Sequence[int], Sequence[float]]  # places of values among some rows, and the values
_NUMBERS = frozenset({int, float})


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
        self._newest: list[float | None] = [None] * len(self.axes)
        self._curves: dict[str, _Curve] = {}

    @property
    def size(self) -> int:
        """How many points are kept, at most."""
        return sum(2 * len(curve.low) for curve in self._curves.values())

    def add(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Fold in the next rows, in the order of their lines."""
        columns = _columns(rows)
        places = self._places(columns, len(rows))
        for key, (numbers, values) in columns.items():
            # What begins with a line is the client's own.
            if not key.startswith("_"):
                self._curves.setdefault(key, _Curve()).add(numbers, values, places, self.rows)
        self.rows += len(rows)

    def points(self, key: str) -> list[Point]:
        """A key's points by step: first, last, the lowest, highest and first not finite one of each bucket."""
        curve = self._curves.get(key)
        return curve.points() if curve else []

    def _places(self, columns: Mapping[str, _Column], count: int) -> list[Point]:
        """Step and axes of each new row."""
        steps: list[float] = list(range(self.rows, self.rows + count))
        for number, step in zip(*columns.get("_step", ((), ())), strict=True):
            if step - step == 0:
                steps[number] = step
        axes = []
        for i, axis in enumerate(self.axes):
            given = dict(zip(*columns.get(axis, ((), ())), strict=True))
            filled: list[float | None] = []
            for number in range(count):
                value = given.get(number)
                if value is not None and value - value == 0:
                    self._newest[i] = value
                filled.append(self._newest[i])
            axes.append(filled)
        return list(zip(steps, *axes, strict=True))


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, _Column]:
    """The numbers in rows: for each key where they are, and which."""
    found: dict[str, _Column] = {}
    for key in set().union(*rows):
        values: list[Any] = [row.get(key) for row in rows]
        kinds = set(map(type, values))
        if kinds <= _NUMBERS:
            found[key] = (range(len(rows)), values)
        elif not kinds.isdisjoint(_NUMBERS):
            numbers = [i for i, value in enumerate(values) if type(value) in _NUMBERS]
            found[key] = (numbers, [values[i] for i in numbers])
        if dict in kinds:
            nested = [value if type(value) is dict and "_type" not in value else {} for value in values]
            found |= _columns([dict(flat(value, f"{key}.")) for value in nested])
    return found


class _Curve:
    """One key's buckets of `width` values each; the last one may have fewer."""

    def __init__(self) -> None:
        self.count = 0
        self.width = 1
        self.low: list[_Kept | None] = []
        self.high: list[_Kept | None] = []
        self.odd: list[_Kept | None] = []
        self.ends: tuple[_Kept, _Kept] | None = None

    def add(self, numbers: Sequence[int], values: Sequence[float], places: Sequence[Point], begin: int) -> None:
        """Add values of the rows `begin + numbers`; `places` are step and axes of the rows from `begin` on."""

        def kept(at: int) -> _Kept:
            value = values[at]
            step, *axes = places[numbers[at]]
            return begin + numbers[at], (step, value if value - value == 0 else _name(value), *axes)

        at = 0
        while at < len(values):
            if self.count % self.width == 0:
                self._open()
            part = values[at : at + self.width - self.count % self.width]
            finite = part
            # One look at the sum spares one at each value, but where the sum alone is too large.
            if (total := sum(part)) - total != 0:
                finite = [value for value in part if value - value == 0]
                if self.odd[-1] is None and len(finite) < len(part):
                    self.odd[-1] = kept(next(i for i, value in enumerate(part, at) if value - value != 0))
            if finite:
                self.low[-1] = _lower(self.low[-1], kept(values.index(min(finite), at)))
                self.high[-1] = _higher(self.high[-1], kept(values.index(max(finite), at)))
            self.count += len(part)
            at += len(part)
        self.ends = (self.ends[0] if self.ends else kept(0), kept(len(values) - 1))

    def points(self) -> list[Point]:
        found = dict(kept for kept in (*(self.ends or ()), *self.low, *self.high, *self.odd) if kept)
        # By step: several processes may log to one run side by side.
        return [point for _, point in sorted(found.items(), key=lambda kept: (kept[1][0], kept[0]))]

    def _open(self) -> None:
        """Begin a bucket; where there are as many as may be, let each pair be one first."""
        if len(self.low) == BUCKETS:
            self.low = [_lower(*pair) for pair in _pairs(self.low)]
            self.high = [_higher(*pair) for pair in _pairs(self.high)]
            self.odd = [one or other for one, other in _pairs(self.odd)]
            self.width *= 2
        for buckets in (self.low, self.high, self.odd):
            buckets.append(None)


def _pairs(buckets: Sequence[_Kept | None]) -> "zip[tuple[_Kept | None, _Kept | None]]":
    return zip(buckets[::2], buckets[1::2], strict=True)


def _lower(one: _Kept | None, other: _Kept | None) -> _Kept | None:
    return other if one is None or (other is not None and other[1][1] < one[1][1]) else one


def _higher(one: _Kept | None, other: _Kept | None) -> _Kept | None:
    return other if one is None or (other is not None and other[1][1] > one[1][1]) else one


def _name(value: float) -> str:
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"
