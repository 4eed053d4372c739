"""Early stopping of `early_terminate: {type: hyperband}`, as W&B documents it. Pure.

A rung is a count of logged values of the metric. At each rung a run is compared, by its best value so
far, with the best values that the sweep's runs had when they reached the same rung; it goes on if it
is among their top 1/eta. As on W&B, the best of those outside the top share still passes, so that
nothing is stopped before there is something to compare with; `strict` takes the share at its word,
and counts only what the run had reached at the rung.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from cola_sweep.space import Hyperband, Metric


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


def judge(spec: Hyperband, metric: Metric, own: Sequence[float], others: Iterable[Sequence[float]]) -> Stop | None:
    """Whether a run should stop, and why.

    Args:
        own: the metric's values that the run has logged, in order; NaN is worse than any number.
        others: those of the sweep's other runs.
    """
    reached = rungs(spec, len(own))
    if not reached:
        return None
    rung = reached[-1]
    sign = 1.0 if metric.goal == "minimize" else -1.0
    field = sorted([_best(own[:rung], sign), *(_best(other[:rung], sign) for other in others if len(other) >= rung)])
    share = _whole(len(field) / spec.eta)
    places = max(1, share) if spec.strict else share + 1
    threshold = field[min(places, len(field)) - 1]
    value = _best(own[:rung] if spec.strict else own, sign)
    return Stop(rung, sign * threshold, sign * value) if value > threshold else None


def _best(values: Sequence[float], sign: float) -> float:
    """The best of `values` as a cost; infinite if none is a number."""
    return min((sign * value for value in values if not math.isnan(value)), default=math.inf)


def _whole(count: float) -> int:
    # 2.9999999 is a 3 that went through floats.
    return math.floor(count + 1e-9)


def _distinct(counts: Iterable[int]) -> list[int]:
    return sorted(set(counts))
