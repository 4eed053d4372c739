"""Pulling a sweep: against a fake of the API's objects."""

from typing import Any

import pytest
import wandb

from cola_sweep import results
from cola_sweep.errors import UserError
from tests.fake_sweep import CONFIG, PATH, FakeApi, FakeRun, FakeSweep, fake_runs


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


def test_predictions_are_those_of_the_best_runs_that_count(pulled: results.SweepResults) -> None:
    finished = pulled.runs[pulled.runs["state"] == "finished"].sort_values("best", ascending=False)
    assert list(pulled.predictions) == finished["id"].head(5).tolist()
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


class BrokenRun(FakeRun):
    def history(self, samples: int, pandas: bool) -> list[Any]:
        raise wandb.errors.CommError("HTTP 500")


def broken(runs: list[FakeRun]) -> list[FakeRun]:
    for run in runs:
        run.__class__ = BrokenRun
    return runs


def test_one_run_whose_history_cannot_be_read_is_noted_and_ranked_by_its_summary() -> None:
    runs = fake_runs(4, sentences=10)
    broken(runs[:1])
    pulled = results.read(FakeApi([FakeSweep()], runs), PATH)
    assert pulled.notes == ("The history of run run00000 could not be read: HTTP 500.",)
    assert pulled.runs["best"].iloc[0] == runs[0].summary_metrics["valid/mcc"]["max"]
    assert "run00000" not in set(pulled.histories["run"])


def test_a_server_that_stops_answering_ends_the_pull() -> None:
    with pytest.raises(UserError, match="run00002: the server stopped answering"):
        results.read(FakeApi([FakeSweep()], broken(fake_runs(5, sentences=10))), PATH)


def test_a_long_history_is_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(results, "HISTORY_ROWS", 5)
    runs = fake_runs(1, sentences=10)
    assert len(runs[0].rows) == 12
    assert len(results.read(FakeApi([FakeSweep()], runs), PATH).histories) == 4


def test_the_newest_sweep_is_the_default() -> None:
    old, new = FakeSweep("ada/cola-sweep/a", created="2026-11-19"), FakeSweep("ada/cola-sweep/b", created="2026-11-20")
    assert results.read(FakeApi([new, old], [])).id == "b"


@pytest.mark.parametrize(
    "path",
    [
        "ada/cola-sweep/k3x9a1bc",
        "cola-sweep/k3x9a1bc",
        "k3x9a1bc",
        "https://wandb.example/ada/cola-sweep/sweeps/k3x9a1bc",
        "https://wandb.example/ada/cola-sweep/sweeps/k3x9a1bc?nw=nwuserada",
    ],
)
def test_a_sweep_is_named_by_its_path_or_a_part_of_it(path: str) -> None:
    assert results.read(FakeApi([FakeSweep()], []), path).path == PATH


def test_the_project_and_entity_set_for_wandb_are_used() -> None:
    api = FakeApi([FakeSweep("team/other/s1")], [])
    api.settings = {"entity": "team", "project": "other"}
    assert results.read(api).path == results.read(api, "s1").path == "team/other/s1"


@pytest.mark.parametrize(
    ("sweeps", "path", "message"),
    [
        ([FakeSweep()], "nosuch", r"^sweep ada/cola-sweep/nosuch: does not exist; write the path that `wandb sweep`"),
        ([FakeSweep()], "a/b/c/d", r"^SWEEP: got 'a/b/c/d'; is not a sweep's path"),
        ([FakeSweep("eve/other/x")], None, r"^project ada/cola-sweep: does not exist; start one with `wandb sweep"),
        ([], None, r"^project ada/cola-sweep: has no sweep yet; start one"),
    ],
)
def test_what_is_not_there_is_one_line(sweeps: list[FakeSweep], path: str | None, message: str) -> None:
    with pytest.raises(UserError, match=message) as raised:
        results.read(FakeApi(sweeps, []), path)
    assert "\n" not in str(raised.value)


def test_a_server_that_cannot_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise wandb.errors.CommError("HTTP 502")

    api = FakeApi([FakeSweep()], [])
    monkeypatch.setattr(api, "runs", broken)
    with pytest.raises(UserError, match=rf"^runs of {PATH}: the server could not answer \(HTTP 502\)"):
        results.read(api, PATH)


@pytest.mark.parametrize(
    ("config", "metric", "goal"),
    [
        ({}, "valid/mcc", "maximize"),
        ({"metric": {"name": "loss"}}, "loss", "minimize"),
        ({"metrics": [{"name": "f1", "goal": "maximize"}, {"name": "cost/seconds"}]}, "f1", "maximize"),
    ],
)
def test_the_objective_is_the_sweeps(config: dict[str, Any], metric: str, goal: str) -> None:
    pulled = results.read(FakeApi([FakeSweep(config={"method": "grid", "parameters": {}} | config)], []), PATH)
    assert (pulled.metric, pulled.goal) == (metric, goal)


def test_a_minimize_goal_takes_the_smallest_value() -> None:
    sweep = FakeSweep(config=CONFIG | {"metric": {"name": "valid/loss_epoch"}})
    pulled = results.read(FakeApi([sweep], fake_runs(3, sentences=10)), PATH)
    assert pulled.runs["best"].iloc[0] == pulled.histories.query("run == 'run00000'")["valid/loss_epoch"].min()


def test_a_long_pull_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(results, "PROGRESS_SECONDS", -1)
    assert list(results._each("runs", "ab")) == ["a", "b"]
    assert capsys.readouterr().err == "reading runs: 1 so far\nreading runs: 2 so far\n"
