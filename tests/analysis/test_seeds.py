"""Configurations over seeds: against scipy, and against worlds whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats

from cola_sweep import stats
from cola_sweep.analysis import seeds

NOT_REPEATED = "no configuration was run with more than one seed"
VALUES = {"a": [0.50, 0.44, 0.47], "b": [0.40, 0.46], "c": [0.49]}


def ranked() -> pd.DataFrame:
    rows = [(f"{name}{place}", value, name) for name, values in VALUES.items() for place, value in enumerate(values)]
    frame = pd.DataFrame(rows, columns=["id", "best", "config.lr"])
    return frame.sort_values("best", ascending=False, kind="stable").reset_index(drop=True)


def test_mean_and_interval_over_seeds_are_students() -> None:
    repeated = seeds.repeats(ranked(), ["config.lr"], "maximize")
    assert isinstance(repeated, seeds.Repeats)
    table = repeated.table.set_index("config.lr")
    assert table.index.tolist() == ["c", "a", "b"]
    assert table["n"].tolist() == [1, 3, 2]
    for name in "ab":
        row, values = table.loc[name], VALUES[name]
        assert row["mean"] == pytest.approx(np.mean(values))
        assert row["sd"] == pytest.approx(np.std(values, ddof=1))
        expected = scipy_stats.t.interval(0.95, len(values) - 1, np.mean(values), scipy_stats.sem(values))
        assert (row["low"], row["high"]) == pytest.approx(expected)
    assert table.loc["c", ["sd", "low", "high"]].isna().all()
    assert table.loc["a", "runs"] == ["a0", "a2", "a1"]


def test_the_seeds_own_spread_is_pooled_over_configurations() -> None:
    repeated = seeds.repeats(ranked(), ["config.lr"], "maximize")
    assert isinstance(repeated, seeds.Repeats)
    squares = sum((len(v) - 1) * np.var(v, ddof=1) for v in (VALUES["a"], VALUES["b"]))
    assert repeated.pooled_df == 3
    assert repeated.pooled_sd == pytest.approx(np.sqrt(squares / 3))
    assert repeated.limit == pytest.approx(2.772 * repeated.pooled_sd, rel=1e-3)


def test_without_repeats_there_is_nothing_to_say() -> None:
    assert seeds.repeats(ranked().drop_duplicates("config.lr"), ["config.lr"], "maximize") == NOT_REPEATED
    assert seeds.repeats(ranked().iloc[:0], ["config.lr"], "maximize") == NOT_REPEATED


def test_a_sweep_of_seeds_alone_is_one_configuration() -> None:
    repeated = seeds.repeats(ranked(), [], "minimize")
    assert isinstance(repeated, seeds.Repeats)
    assert repeated.table["n"].tolist() == [6]
    assert list(repeated.table) == ["mean", "sd", "low", "high", "n", "best", "runs"]


def arm(
    rng: np.random.Generator, labels: np.ndarray, hard: np.ndarray, runs: int, skill: float, sd: float
) -> np.ndarray:
    """Predictions of `runs` seeds whose skill varies by `sd` on sentences of this difficulty."""
    skills = skill + sd * rng.normal(size=(runs, 1))
    score = (2 * labels - 1) * skills + hard + 0.7 * rng.normal(size=(runs, len(labels)))
    return (score > -0.6).astype(np.int64)


def world(seed: int, m: int, k: int, *, sd: float = 0.2, better: float = 0.0, n: int = 400) -> tuple[np.ndarray, ...]:
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.7).astype(np.int64)
    hard = rng.normal(size=n)
    return labels, arm(rng, labels, hard, m, 1 + better, sd), arm(rng, labels, hard, k, 1.0, sd)


def test_difference_is_that_of_the_means() -> None:
    labels, first, second = world(0, 3, 4)
    comparison = seeds.compare_configurations(labels, first, second, {"lr": 1}, {"lr": 2})
    values = [[stats.mcc(stats.confusion(labels, row)) for row in rows] for rows in (first, second)]
    assert comparison.means == pytest.approx((np.mean(values[0]), np.mean(values[1])))
    assert comparison.difference.value == pytest.approx(comparison.means[0] - comparison.means[1])
    assert (comparison.seeds, comparison.difference.n) == ((3, 4), 400)
    assert (comparison.first, comparison.second) == ({"lr": 1}, {"lr": 2})


def test_jackknife_variance_is_that_of_a_bootstrap_over_sentences() -> None:
    labels, first, second = world(1, 2, 2)
    rows, weights = np.concatenate([first, second]), np.array([0.5, 0.5, -0.5, -0.5])
    rng = np.random.default_rng(2)
    draws = []
    for _ in range(1500):
        pick = rng.integers(len(labels), size=len(labels))
        draws.append(weights @ seeds._values(labels[pick], rows[:, pick]))
    assert np.sqrt(seeds._jackknife_variance(labels, rows, weights)) == pytest.approx(np.std(draws), rel=0.08)


@pytest.mark.parametrize(("m", "k", "sd"), [(3, 3, 0.0), (3, 3, 0.3), (3, 5, 0.3), (1, 4, 0.2)])
def test_interval_covers_no_difference_at_least_as_often_as_it_says(m: int, k: int, sd: float) -> None:
    comparisons = [seeds.compare_configurations(*world(seed, m, k, sd=sd)) for seed in range(200)]
    assert np.mean([comparison.verdict == "tie" for comparison in comparisons]) >= 0.92


def test_a_clear_difference_is_found_both_ways() -> None:
    labels, first, second = world(3, 4, 4, sd=0.05, better=1.0)
    assert seeds.compare_configurations(labels, first, second).verdict == "first"
    assert seeds.compare_configurations(labels, second, first).verdict == "second"


def test_with_one_run_each_only_sentences_count_and_the_rule_says_so() -> None:
    labels, first, second = world(4, 1, 1)
    comparison = seeds.compare_configurations(labels, first, second)
    paired = stats.compare(labels, first[0], second[0]).difference
    assert (comparison.difference.low, comparison.difference.high) == pytest.approx((paired.low, paired.high), abs=0.02)
    assert "another seed" in comparison.rule
    assert "run once" in seeds.compare_configurations(*world(4, 1, 3)).rule


def test_where_sentences_move_nothing_the_interval_is_welchs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seeds, "_jackknife_variance", lambda *_: 0.0)
    labels, first, second = world(5, 3, 5, sd=0.4)
    gap = seeds.compare_configurations(labels, first, second).difference
    values = [seeds._values(labels, rows) for rows in (first, second)]
    theirs = scipy_stats.ttest_ind(*values, equal_var=False).confidence_interval(0.95)
    assert (gap.low, gap.high) == pytest.approx((theirs.low, theirs.high))


def test_classifiers_that_never_differ_have_no_interval() -> None:
    labels = np.array([0, 1] * 20)
    comparison = seeds.compare_configurations(labels, np.ones((2, 40), dtype=int), np.ones((3, 40), dtype=int))
    assert (comparison.verdict, comparison.difference.value) == ("tie", 0.0)
    assert comparison.difference.reason == "neither seeds nor sentences move it"


def tables() -> dict[str, pd.DataFrame]:
    labels, *_ = world(6, 1, 1)
    rng = np.random.default_rng(6)
    return {
        run: pd.DataFrame({"index": range(400), "label": labels, "predicted": arm(rng, labels, 0 * labels, 1, 1, 0)[0]})
        for run in ranked()["id"]
    }


def test_the_two_best_repeated_configurations_are_compared() -> None:
    repeated = seeds.repeats(ranked(), ["config.lr"], "maximize")
    assert isinstance(repeated, seeds.Repeats)
    comparison = seeds.compare_best(repeated, tables())
    assert isinstance(comparison, seeds.SeedComparison)
    assert (comparison.first, comparison.second, comparison.seeds) == ({"lr": "a"}, {"lr": "b"}, (3, 2))


def test_configurations_with_missing_predictions_are_not_compared() -> None:
    repeated = seeds.repeats(ranked(), ["config.lr"], "maximize")
    assert isinstance(repeated, seeds.Repeats)
    some = {run: table for run, table in tables().items() if run != "b0"}
    assert "not at hand" in str(seeds.compare_best(repeated, some))
    alone = seeds.repeats(ranked()[ranked()["config.lr"] != "b"], ["config.lr"], "maximize")
    assert "only one configuration" in str(seeds.compare_best(alone, tables()))
    assert seeds.compare_best(NOT_REPEATED, tables()) == NOT_REPEATED
