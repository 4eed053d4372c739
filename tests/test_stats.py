"""Statistics against scikit-learn, scipy and worked examples."""

import doctest

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn.metrics import matthews_corrcoef

from cola_sweep import stats


def frame(*rows: tuple[str, str, float, int]) -> pd.DataFrame:
    """Runs of (id, state, best, values logged), created in this order."""
    runs = pd.DataFrame(rows, columns=["id", "state", "best", "logged"])
    return runs.assign(created=[f"2026-01-01T00:00:{place:02d}" for place in range(len(rows))])


RUNS = frame(
    ("a", "finished", 0.2, 3),
    ("b", "failed", 0.9, 1),
    ("c", "finished", np.nan, 3),
    ("d", "finished", 0.5, 3),
    ("e", "finished", np.inf, 1),
    ("f", "finished", np.nan, 0),
    ("g", "killed", 0.8, 2),
    ("h", "finished", 0.5, 3),
)


def test_module_example() -> None:
    assert doctest.testmod(stats, extraglobs={"np": np}).failed == 0


def test_rank_takes_finished_runs_with_a_finite_value_and_says_why_it_left_out_the_others() -> None:
    board = stats.rank(RUNS, "maximize")
    assert board["id"].tolist() == ["d", "h", "a", "b", "c", "e", "f", "g"]
    assert board["rank"].dropna().tolist() == [1, 2, 3]
    assert board["left_out"].tolist() == [
        "", "", "", "failed", "metric never finite", "metric never finite", "metric never logged", "killed",
    ]  # fmt: skip


def test_rank_turns_round_for_a_minimize_goal() -> None:
    assert stats.rank(RUNS, "minimize")["id"].tolist()[:3] == ["a", "d", "h"]


def test_rank_does_not_depend_on_the_order_of_the_rows() -> None:
    shuffled = RUNS.sample(frac=1, random_state=3)
    pd.testing.assert_frame_equal(stats.rank(shuffled, "maximize"), stats.rank(RUNS, "maximize"))


def test_rank_of_no_run_is_empty() -> None:
    assert stats.rank(RUNS.iloc[:0], "maximize").empty


def test_best_epoch_skips_nan_and_takes_the_first_of_equals() -> None:
    histories = pd.DataFrame(
        {
            "run": ["a", "a", "a", "b", "b", "c"],
            "epoch": [0, 1, 2, 0, 1, 0],
            "m": [0.1, 0.4, 0.4, np.nan, -0.2, np.nan],
        }
    )
    assert stats.best_epochs(histories, "m", "maximize")["epoch"].to_dict() == {"a": 1, "b": 1}
    assert stats.best_epochs(histories, "m", "minimize")["epoch"].to_dict() == {"a": 0, "b": 1}
    assert stats.best_epochs(histories, "other", "maximize").empty


def test_best_so_far_ignores_values_that_are_not_finite() -> None:
    values = [np.nan, 0.1, np.inf, 0.3, 0.2]
    np.testing.assert_array_equal(stats.best_so_far(values, "maximize"), [np.nan, 0.1, 0.1, 0.3, 0.3])
    np.testing.assert_array_equal(stats.best_so_far(values, "minimize"), [np.nan, 0.1, 0.1, 0.1, 0.1])


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60))
def test_mcc_is_scikit_learns(pairs: list[tuple[bool, bool]]) -> None:
    labels, predicted = np.array(pairs, dtype=np.int64).T
    counts = stats.confusion(labels, predicted)
    if len(set(labels)) == 1 or len(set(predicted)) == 1:
        assert stats.mcc(counts) == 0
    else:
        assert stats.mcc(counts) == pytest.approx(matthews_corrcoef(labels, predicted), abs=1e-12)


def test_mcc_works_on_many_matrices_at_once() -> None:
    counts = np.array([[[90, 10, 20, 80]], [[0, 30, 0, 70]]])
    np.testing.assert_allclose(stats.mcc(counts), [[0.7035264706814485], [0.0]])


@pytest.mark.parametrize("counts", [(60, 40, 20, 280), (150, 172, 90, 631), (5, 25, 3, 67)])
def test_interval_is_scipys_bca(counts: tuple[int, ...]) -> None:
    ours = stats.mcc_interval(np.array(counts))
    cells = np.repeat(np.arange(4), counts)

    def statistic(sample: np.ndarray, axis: int) -> np.ndarray:
        return stats.mcc(np.stack([(sample == cell).sum(axis=axis) for cell in range(4)], axis=-1))

    theirs = scipy_stats.bootstrap(
        (cells,), statistic, vectorized=True, n_resamples=4000, batch=200, method="BCa", rng=np.random.default_rng(1)
    ).confidence_interval
    # Two sets of random resamples: their ends differ by Monte Carlo error only.
    width = theirs.high - theirs.low
    assert ours.low == pytest.approx(theirs.low, abs=0.05 * width)
    assert ours.high == pytest.approx(theirs.high, abs=0.05 * width)
    assert ours.n == sum(counts)


def test_acceleration_is_the_jackknife_formula_sentence_by_sentence() -> None:
    counts = np.array([5, 25, 3, 67])
    sentences = np.repeat(np.arange(4), counts)
    left = np.array([stats.mcc(np.bincount(np.delete(sentences, i), minlength=4)) for i in range(len(sentences))])
    deviation = left.mean() - left
    by_hand = (deviation**3).sum() / (6 * (deviation**2).sum() ** 1.5)
    assert stats._acceleration(counts, stats.mcc) == pytest.approx(by_hand)


def test_interval_is_repeatable_and_holds_the_estimate() -> None:
    counts = np.array([150, 172, 90, 631])
    interval = stats.mcc_interval(counts)
    assert interval == stats.mcc_interval(counts)
    assert interval.low < interval.value < interval.high


def test_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    truth = np.array([0.18, 0.12, 0.10, 0.60])
    rng = np.random.default_rng(5)
    inside = 0
    for counts in rng.multinomial(500, truth, size=200):
        interval = stats.bca(counts, stats.mcc, resamples=1000)
        inside += interval.low <= stats.mcc(truth) <= interval.high
    assert 0.90 <= inside / 200 <= 0.99


@pytest.mark.parametrize(
    ("counts", "value", "reason"),
    [
        ((0, 30, 0, 70), 0, "one class is predicted for every sentence"),
        ((0, 0, 30, 70), 0, "all the sentences are of one class"),
        ((30, 0, 0, 70), 1, "all the sentences are right; elsewhere up to 3.0%"),
        ((0, 30, 70, 0), -1, "all the sentences are wrong"),
    ],
)
def test_where_no_resample_differs_there_is_no_interval_but_a_reason(
    counts: tuple[int, ...], value: float, reason: str
) -> None:
    interval = stats.mcc_interval(np.array(counts))
    assert interval.value == pytest.approx(value)
    assert np.isnan([interval.low, interval.high]).all()
    assert interval.reason.startswith(reason)


def test_the_limit_for_no_error_is_the_exact_binomial_one() -> None:
    most = scipy_stats.binomtest(0, 100, alternative="less").proportion_ci(0.95).high
    assert f"up to {most:.1%}" in stats.mcc_interval(np.array([30, 0, 0, 70])).reason


def test_interval_needs_a_sentence() -> None:
    with pytest.raises(ValueError, match="no sentence"):
        stats.mcc_interval(np.zeros(4, dtype=np.int64))


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_scipys_exact_binomial_test(only_first: int, only_second: int) -> None:
    total = only_first + only_second
    expected = scipy_stats.binomtest(only_first, total, 0.5).pvalue if total else 1.0
    assert stats.mcnemar(only_first, only_second) == pytest.approx(expected)


def three(n: int, wrong_first: float, wrong_second: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Labels and two predictions with these shares of independent errors."""
    rng = np.random.default_rng(2)
    labels = (rng.random(n) < 0.7).astype(np.int64)
    first, second = (np.where(rng.random(n) < share, 1 - labels, labels) for share in (wrong_first, wrong_second))
    return labels, first, second


def test_comparison_finds_a_clear_difference_both_ways() -> None:
    labels, good, bad = three(500, 0.1, 0.3)
    ahead, behind = stats.compare(labels, good, bad), stats.compare(labels, bad, good)
    assert (ahead.verdict, behind.verdict) == ("first", "second")
    assert ahead.difference.value == pytest.approx(-behind.difference.value)
    assert ahead.difference.value == pytest.approx(matthews_corrcoef(labels, good) - matthews_corrcoef(labels, bad))
    assert ahead.p_value < 1e-6
    assert ahead.only_first == np.sum((good == labels) & (bad != labels))


def test_comparison_of_near_equals_is_a_tie() -> None:
    comparison = stats.compare(*three(500, 0.2, 0.21))
    assert comparison.verdict == "tie"
    assert comparison.p_value > 0.05


def test_comparison_of_a_classifier_with_itself_is_a_tie_without_an_interval() -> None:
    labels, first, _ = three(100, 0.2, 0.2)
    comparison = stats.compare(labels, first, first)
    assert np.isnan(comparison.difference.low)
    assert comparison.difference.reason == "the two give the same answer on every sentence"
    assert (comparison.verdict, comparison.p_value) == ("tie", 1.0)


def test_a_handful_of_sentences_decides_nothing() -> None:
    labels, first, _ = three(600, 0.2, 0.2)
    second = first.copy()
    right = np.flatnonzero(first == labels)
    second[right[:5]] = 1 - second[right[:5]]
    comparison = stats.compare(labels, first, second)
    assert (comparison.only_first, comparison.only_second) == (5, 0)
    assert comparison.p_value == pytest.approx(0.0625)
    assert comparison.verdict == "tie"
    second[right[5:12]] = 1 - second[right[5:12]]
    assert stats.compare(labels, first, second).verdict == "first"


def test_paired_interval_agrees_with_resampling_sentences() -> None:
    labels, first, second = three(300, 0.15, 0.25)
    ours = stats.compare(labels, first, second).difference
    rng = np.random.default_rng(9)
    draws = []
    for _ in range(2000):
        pick = rng.integers(0, 300, 300)
        draws.append(
            stats.mcc(stats.confusion(labels[pick], first[pick]))
            - stats.mcc(stats.confusion(labels[pick], second[pick]))
        )
    # Percentile and BCa intervals differ a little; both have to sit in the same place.
    np.testing.assert_allclose([ours.low, ours.high], np.quantile(draws, [0.025, 0.975]), atol=0.02)


def test_labels_are_read_by_name_or_number_and_nothing_else() -> None:
    assert stats.binary(pd.Series(["acceptable", "unacceptable"])).tolist() == [1, 0]
    assert stats.binary(pd.Series([0, 1])).tolist() == [0, 1]
    with pytest.raises(ValueError, match="'maybe'"):
        stats.binary(pd.Series(["acceptable", "maybe"]))
