"""Selection bias: against worlds whose truth is known."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from sklearn.metrics import matthews_corrcoef

from cola_sweep import stats
from cola_sweep.analysis import selection
from cola_sweep.analysis.align import Aligned


def world(seed: int, skills: list[float], n: int = 300) -> tuple[Aligned, pd.DataFrame]:
    """Runs that are right on each sentence with these probabilities, best first by what was measured."""
    rng = np.random.default_rng(seed)
    labels = (rng.random(n) < 0.7).astype(np.int64)
    right = rng.random((len(skills), n)) < np.array(skills)[:, None]
    predicted = np.where(right, labels, 1 - labels)
    measured = [stats.mcc(stats.confusion(labels, row)) for row in predicted]
    order = np.argsort(measured)[::-1]
    ids = tuple(f"run{place}" for place in order)
    ranked = pd.DataFrame({"id": ids, "name": [id.upper() for id in ids], "best": np.array(measured)[order]})
    return Aligned(ids, pd.DataFrame(), labels, predicted[order]), ranked


def found(*args: object, **changes: object) -> selection.Optimism:
    result = selection.optimism(*args, **changes)  # type: ignore[arg-type]
    assert isinstance(result, selection.Optimism)
    return result


def test_the_correction_takes_the_bias_away() -> None:
    """Ten runs that are equally good: the best looks too good, the corrected value does not."""
    results = [found(*world(seed, [0.8] * 10)) for seed in range(30)]
    truth = stats.mcc(np.array([0.3 * 0.8, 0.3 * 0.2, 0.7 * 0.2, 0.7 * 0.8]) * 1e6)
    naive, corrected = (np.mean([getattr(r, name) for r in results]) for name in ("naive", "optimism"))
    assert naive - truth > 0.05
    assert naive - corrected == pytest.approx(truth, abs=0.015)


def test_a_run_that_is_far_ahead_owes_nothing_to_luck() -> None:
    result = found(*world(0, [0.95, 0.6, 0.6, 0.6]))
    assert abs(result.optimism) < 0.01
    assert result.shares[["id", "name", "share"]].to_numpy().tolist()[0] == ["run0", "RUN0", 1.0]
    assert result.corrected.low < result.corrected.value < result.corrected.high


def test_shares_add_up_and_the_result_is_repeatable() -> None:
    aligned, ranked = world(1, [0.8] * 6)
    result = found(aligned, ranked)
    assert result.shares["share"].sum() == pytest.approx(1)
    assert result.shares["share"].is_monotonic_decreasing
    assert result.corrected == found(aligned, ranked).corrected
    assert result.naive == pytest.approx(ranked["best"].iloc[0])


def test_weighted_mcc_is_that_of_the_repeated_sentences() -> None:
    aligned, _ = world(2, [0.8, 0.7], n=40)
    weights = np.random.default_rng(0).integers(0, 3, size=(5, 40))
    values = selection._weighted_mcc(weights, aligned.labels, aligned.predicted)
    for row, drawn in zip(values, weights, strict=True):
        labels = np.repeat(aligned.labels, drawn)
        assert row == pytest.approx([matthews_corrcoef(labels, np.repeat(p, drawn)) for p in aligned.predicted])


def test_with_the_best_few_tables_alone_it_is_a_lower_bound_unless_the_last_never_wins() -> None:
    aligned, ranked = world(3, [0.8] * 8)
    few = Aligned(aligned.runs[:4], pd.DataFrame(), aligned.labels, aligned.predicted[:4])
    result = found(few, ranked)
    assert (result.considered, result.ranked, result.complete) == (4, 8, False)
    assert found(aligned, ranked).complete
    aligned, ranked = world(3, [0.95, 0.94, 0.6, 0.6, 0.6])
    few = Aligned(aligned.runs[:3], pd.DataFrame(), aligned.labels, aligned.predicted[:3])
    assert found(few, ranked).complete


def test_the_mean_of_repeats_is_flattered_less_than_the_best_run_and_both_are_corrected() -> None:
    """Five configurations of three runs, all equally good."""
    truth = float(stats.mcc(np.array([0.3 * 0.8, 0.3 * 0.2, 0.7 * 0.2, 0.7 * 0.8]) * 1e6))
    naive, corrected = [], []
    for seed in range(20):
        aligned, ranked = world(seed, [0.8] * 15)
        means = {name: ranked.iloc[place::5]["best"].mean() for place, name in enumerate("abcde")}
        order = sorted(means, key=lambda name: -means[name])
        repeats = [ranked.iloc["abcde".index(name) :: 5]["id"].tolist() for name in order]
        choice = selection.choose_again(aligned, repeats)
        assert choice is not None
        assert choice.naive == pytest.approx(max(means.values()))
        assert (choice.considered, choice.candidates, choice.complete) == (5, 5, True)
        naive.append(choice.naive)
        corrected.append(choice.naive - choice.optimism)
    single = np.mean([found(*world(seed, [0.8] * 15)).naive for seed in range(20)])
    assert truth + 0.02 < np.mean(naive) < single - 0.02
    assert np.mean(corrected) == pytest.approx(truth, abs=0.015)


def test_a_configuration_is_chosen_by_its_best_run_where_that_is_what_won() -> None:
    aligned, _ = world(0, [0.95, 0.5, 0.8, 0.8])
    lucky, steady = ["run0", "run1"], ["run2", "run3"]
    by_best = selection.choose_again(aligned, [lucky, steady], by_best=True)
    by_mean = selection.choose_again(aligned, [steady, lucky])
    assert by_best is not None
    assert by_mean is not None
    assert by_best.shares[0] > 0.95, "of the lucky one"
    assert by_mean.shares[0] > 0.95, "of the steady one"
    assert selection.choose_again(aligned, [lucky]) is None


def test_runs_behind_a_gap_are_not_considered() -> None:
    aligned, ranked = world(4, [0.8] * 5)
    gap = Aligned((*aligned.runs[:2], aligned.runs[3]), pd.DataFrame(), aligned.labels, aligned.predicted[[0, 1, 3]])
    assert found(gap, ranked).considered == 2
    first = Aligned(aligned.runs[1:], pd.DataFrame(), aligned.labels, aligned.predicted[1:])
    assert "fewer than two" in str(selection.optimism(first, ranked))
    assert "not at hand" in str(selection.optimism(None, ranked))


def test_transfer_sees_the_choice_of_one_domain_from_the_other() -> None:
    ranked = pd.DataFrame(
        {
            "id": list("abcd"), "name": list("ABCD"),
            "mcc_in": [0.40, 0.45, 0.30, np.nan], "mcc_out": [0.30, 0.10, 0.20, 0.90],
        }
    )  # fmt: skip
    result = selection.transfer(ranked)
    assert isinstance(result, selection.Transfer)
    assert result.n == 3
    assert result.correlation == pytest.approx(
        scipy_stats.spearmanr(ranked["mcc_in"][:3], ranked["mcc_out"][:3]).statistic
    )
    chosen_in, chosen_out = result.rows.to_dict("records")
    assert (chosen_in["chosen_on"], chosen_in["id"], chosen_in["rank_other"]) == ("in domain", "b", 3)
    assert chosen_in["lost"] == pytest.approx(0.2)
    assert (chosen_out["id"], chosen_out["rank_other"], chosen_out["best_other"]) == ("a", 2, 0.45)


def test_transfer_needs_two_runs_and_something_to_correlate() -> None:
    ranked = pd.DataFrame({"id": ["a", "b"], "name": ["a", "b"], "mcc_in": [0.1, 0.1], "mcc_out": [0.2, 0.3]})
    result = selection.transfer(ranked)
    assert isinstance(result, selection.Transfer)
    assert np.isnan(result.correlation)
    assert "fewer than two" in str(selection.transfer(ranked.head(1)))
