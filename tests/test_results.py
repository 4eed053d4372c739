"""A sweep's frames: from a fake of the API's objects."""

import pytest

from cola_sweep import results
from tests.fake_sweep import CONFIG, PATH, FakeApi, FakeSweep, fake_runs


@pytest.fixture(scope="module")
def pulled() -> results.SweepResults:
    return results.read(FakeApi([FakeSweep()], fake_runs()), PATH)


def test_a_sweep_is_pulled_whole(pulled: results.SweepResults) -> None:
    assert (pulled.path, pulled.id, pulled.name) == (PATH, "k3x9a1bc", "lr and batch size")
    assert (pulled.metric, pulled.goal, pulled.state) == ("valid/mcc", "maximize", "finished")
    assert len(pulled.runs) == 20
    assert pulled.runs["provenance.data_kind"].unique().tolist() == ["synthetic"]
    assert len(pulled.histories) == 80
    assert {"valid/mcc", "train/loss_epoch"} <= set(pulled.histories)
    assert pulled.notes == ()
    assert pulled.artifacts["run"].tolist() == list(pulled.predictions)


def test_predictions_are_those_of_the_best_runs_that_count(pulled: results.SweepResults) -> None:
    finished = pulled.runs[pulled.runs["state"] == "finished"].sort_values("best", ascending=False)
    assert list(pulled.predictions) == finished["id"].head(10).tolist()
    table = next(iter(pulled.predictions.values()))
    assert set(table["label"]) == {0, 1}
    assert set(table["predicted"]) == {0, 1}
    assert len(table) == 600


def test_a_run_without_predictions_is_noted() -> None:
    runs = fake_runs(2, sentences=10)
    del runs[0].summary_metrics["predictions"]
    assert runs[1].table is not None
    runs[1].table["data"][0][2] = "maybe"
    pulled = results.read(FakeApi([FakeSweep()], runs), PATH)
    assert pulled.predictions == {}
    assert sorted(pulled.notes) == [
        "No predictions table was logged by run00000.",
        "The predictions table of run run00001 could not be read: unknown class 'maybe'.",
    ]


def test_a_minimize_goal_takes_the_smallest_value() -> None:
    sweep = FakeSweep(config=CONFIG | {"metric": {"name": "valid/loss_epoch"}})
    pulled = results.read(FakeApi([sweep], fake_runs(3, sentences=10)), PATH)
    assert pulled.runs["best"].iloc[0] == pulled.histories.query("run == 'run00000'")["valid/loss_epoch"].min()
