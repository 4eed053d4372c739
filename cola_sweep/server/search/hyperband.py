"""Early stopping of `early_terminate: {type: hyperband}`, as W&B documents it. Pure.

A rung is a count of logged values of the metric. At each rung a run is compared, by its best value so
far, with the best values that the sweep's runs had when they reached the same rung; it goes on if it
is among their top 1/eta. As on W&B, the best of those outside the top share still passes, so that
nothing is stopped before there is something to compare with; `strict` takes the share at its word,
and counts only what the run had reached at the rung.
"""

import itertools
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from cola_sweep.space import Hyperband, Metric


@dataclass(frozen=True)
class Climb:
    """How far a run has come. Its bests are costs: the less the better, infinite where no value was a number.

    Attributes:
        logged: how many values of the metric.
        best: of them.
        rungs: the best when it reached each rung.
    """

    logged: int = 0
    best: float = math.inf
    rungs: Mapping[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Stop:
    """Why a run is to be stopped: its `value` is worse than `threshold` at the rung of `rung` logged values."""

    rung: int
    threshold: float
    value: float

    def __str__(self) -> str:
        return f"hyperband: {self.value:g} is behind {self.threshold:g} at rung {self.rung}"


def rungs(spec: Hyperband, length: int) -> list[int]:
    """The rungs up to `length` logged values, ascending."""
    if spec.min_iter is not None:
        powers = (_whole(spec.min_iter * spec.eta**i) for i in itertools.count())
        return _distinct(itertools.takewhile(lambda rung: rung <= length, powers))
    assert spec.max_iter is not None
    counts = (_whole(spec.max_iter / spec.eta**i) for i in range(1, spec.s + 1))
    return _distinct(rung for rung in counts if 1 <= rung <= length)


def climbed(spec: Hyperband, metric: Metric, climb: Climb, values: Sequence[float]) -> Climb:
    """Where a run is that logged `values`, in order, since it was at `climb`; NaN is worse than any number."""
    sign = _sign(metric)
    logged = climb.logged + len(values)
    marks, best, reached = set(rungs(spec, logged)), climb.best, dict(climb.rungs)
    for count, value in enumerate(values, climb.logged + 1):
        if not math.isnan(value):
            best = min(best, sign * value)
        if count in marks:
            reached[count] = best
    return Climb(logged, best, reached)


def judge(spec: Hyperband, metric: Metric, own: Climb, others: Iterable[Climb]) -> Stop | None:
    """Whether a run should stop, and why.

    Args:
        others: of the sweep's other runs.
    """
    if not own.rungs:
        return None
    rung = max(own.rungs)
    runners = sorted([own.rungs[rung], *(other.rungs[rung] for other in others if rung in other.rungs)])
    share = _whole(len(runners) / spec.eta)
    places = max(1, share) if spec.strict else share + 1
    threshold = runners[min(places, len(runners)) - 1]
    cost = own.rungs[rung] if spec.strict else own.best
    return Stop(rung, _sign(metric) * threshold, _sign(metric) * cost) if cost > threshold else None


def _sign(metric: Metric) -> float:
    return 1.0 if metric.goal == "minimize" else -1.0


def _whole(count: float) -> int:
    # 2.9999999 is a 3 that went through floats.
    return math.floor(count + 1e-9)


def _distinct(counts: Iterable[int]) -> list[int]:
    return sorted(set(counts))
