"""Best so far, and the best of as many random draws: against enumeration."""

from itertools import combinations

import numpy as np
import pandas as pd
import pytest

from cola_sweep.analysis.progress import Progress, best_of_draws, progress

VALUES = [0.31, 0.10, 0.45, 0.28, 0.45, 0.02]


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_the_best_of_draws_is_that_of_all_subsets(goal: str) -> None:
    expected, low, high = best_of_draws(VALUES, goal)  # type: ignore[arg-type]
    pick = max if goal == "maximize" else min
    for k in range(1, len(VALUES) + 1):
        bests = [pick(subset) for subset in combinations(VALUES, k)]
        assert expected[k - 1] == pytest.approx(np.mean(bests))
        ends = np.quantile(bests, [0.05, 0.95], method="inverted_cdf" if goal == "maximize" else "higher")
        assert low[k - 1] <= ends[0] + 1e-12
        assert high[k - 1] >= ends[1] - 1e-12
        if goal == "maximize":
            assert (low[k - 1], high[k - 1]) == pytest.approx(tuple(ends))


def test_many_runs_neither_overflow_nor_leave_the_values() -> None:
    values = np.random.default_rng(0).normal(size=1000)
    expected, low, high = best_of_draws(values, "maximize")
    assert expected[0] == pytest.approx(values.mean())
    assert expected[-1] == pytest.approx(values.max())
    assert (np.diff(expected) >= -1e-9).all()
    assert (low <= high).all()


def ranked() -> pd.DataFrame:
    runs = pd.DataFrame({"id": list("abcdef"), "created": list("123456"), "best": VALUES})
    return runs.sort_values("best", ascending=False)


def test_progress_is_in_the_order_of_starting() -> None:
    found = progress(ranked(), "maximize", "random")
    assert isinstance(found, Progress)
    assert found.table["id"].tolist() == list("abcdef")
    assert found.table["best"].tolist() == [0.31, 0.31, 0.45, 0.45, 0.45, 0.45]
    assert found.table["regret"].tolist() == pytest.approx([0.14, 0.14, 0, 0, 0, 0])
    assert found.caveat == ""
    worst = progress(ranked(), "minimize", "random")
    assert isinstance(worst, Progress)
    assert worst.table["regret"].tolist() == pytest.approx([0.29, 0.08, 0.08, 0.08, 0.08, 0])


def test_where_the_runs_were_not_drawn_at_random_the_caveat_says_so() -> None:
    for method, word in (("grid", "grid"), ("bayes", "most likely stay below"), ("custom", "custom search")):
        found = progress(ranked(), "maximize", method)
        assert isinstance(found, Progress)
        assert word in found.caveat
    assert "fewer than two" in str(progress(ranked().head(1), "maximize", "random"))
