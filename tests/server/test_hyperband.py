import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.server.search import hyperband
from cola_sweep.server.search.hyperband import Climb, Stop, climbed, rungs
from cola_sweep.space import Hyperband, Metric

LOSS = Metric("loss", "minimize")
MCC = Metric("valid/mcc", "maximize")


def judge(spec: Hyperband, metric: Metric, own: list[float], others: list[list[float]]) -> Stop | None:
    """Of runs that have logged these values."""
    mine, *rest = (climbed(spec, metric, Climb(), values) for values in (own, *others))
    return hyperband.judge(spec, metric, mine, rest)


@pytest.mark.parametrize(
    ("spec", "length", "expected"),
    [
        # The examples of W&B's documentation: [3, 9, 27, 81] and [9, 3].
        (Hyperband(min_iter=3), 100, [3, 9, 27, 81]),
        (Hyperband(max_iter=27, s=2), 100, [3, 9]),
        (Hyperband(min_iter=3), 8, [3]),
        (Hyperband(min_iter=3), 2, []),
        (Hyperband(min_iter=1, eta=1.5), 5, [1, 2, 3, 5]),
        (Hyperband(max_iter=5, s=9, eta=2), 100, [1, 2]),
    ],
)
def test_rungs(spec: Hyperband, length: int, expected: list[int]) -> None:
    assert rungs(spec, length) == expected


# Worked by hand: eta 2, first rung after 2 values. Best values at that rung: own 6, others 4, 5, 7.
# In order 4 5 6 7; half of four is 2 and the best of the rest passes too, so the threshold is 6.
OTHERS = [[9.0, 4.0], [5.0, 8.0, 1.0], [7.0, 7.5], [3.0]]


def test_worked_example() -> None:
    spec = Hyperband(min_iter=2, eta=2)
    assert judge(spec, LOSS, [6.0, 8.0], OTHERS) is None
    assert judge(spec, LOSS, [6.5, 8.0], [*OTHERS, [1.0, 1.0]]) == Stop(2, 5.0, 6.5)
    assert judge(spec, LOSS, [9.0], OTHERS) is None, "no rung reached"


def test_strict_takes_the_share_at_its_word() -> None:
    spec = Hyperband(min_iter=2, eta=2, strict=True)
    assert judge(spec, LOSS, [6.0, 8.0], OTHERS) == Stop(2, 5.0, 6.0)
    # What came after the rung counts unless strict.
    assert judge(spec, LOSS, [6.0, 8.0, 1.0], OTHERS) == Stop(2, 5.0, 6.0)
    assert judge(Hyperband(min_iter=2, eta=2), LOSS, [6.0, 8.0, 1.0], OTHERS) is None


def test_a_maximized_metric_stops_what_is_low() -> None:
    spec = Hyperband(min_iter=1, eta=3)
    others = [[0.5], [0.4], [0.45]]
    stop = judge(spec, MCC, [0.1], others)
    assert stop == Stop(1, 0.45, 0.1)
    assert str(stop) == "hyperband: 0.1 is behind 0.45 at rung 1"
    assert judge(spec, MCC, [0.6], others) is None


def test_the_first_run_at_a_rung_goes_on() -> None:
    assert judge(Hyperband(min_iter=1), MCC, [0.0], []) is None
    assert judge(Hyperband(min_iter=1, strict=True), MCC, [0.0], []) is None


def test_a_run_is_compared_at_its_highest_rung_alone() -> None:
    spec = Hyperband(min_iter=1, eta=2)
    others = [[0.9, 0.9], [0.8, 0.8], [0.7, 0.7]]
    assert judge(spec, MCC, [0.1, 0.1, 0.1, 0.1], others) is None, "nobody else has reached rung 4"


@pytest.mark.parametrize("metric", [LOSS, MCC])
def test_nan_is_behind_every_number(metric: Metric) -> None:
    spec = Hyperband(min_iter=1, eta=2, strict=True)
    assert judge(spec, metric, [math.nan], [[1.0]]) is not None
    assert judge(spec, metric, [1.0], [[math.nan], [math.nan]]) is None


@given(st.lists(st.floats(-1, 1) | st.just(math.nan), max_size=30), st.data())
def test_a_climb_read_in_parts_is_that_read_at_once(values: list[float], data: st.DataObject) -> None:
    spec = Hyperband(min_iter=2, eta=1.5)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(values)))))
    climb = Climb()
    for begin, end in itertools.pairwise([0, *cuts, len(values)]):
        climb = climbed(spec, MCC, climb, values[begin:end])

    def best(count: int) -> float:
        return min((-value for value in values[:count] if not math.isnan(value)), default=math.inf)

    expected = {rung: best(rung) for rung in rungs(spec, len(values))}
    assert climb == climbed(spec, MCC, Climb(), values) == Climb(len(values), best(len(values)), expected)


def test_equal_runs_are_not_stopped() -> None:
    assert judge(Hyperband(min_iter=1, strict=True), MCC, [0.0], [[0.0]] * 8) is None
