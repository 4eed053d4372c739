"""Pulling a sweep: from a fake of the API's objects."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import wandb

from cola_sweep import kept, records, snapshot
from cola_sweep.errors import UserError
from cola_sweep.snapshot import take
from tests.fake_sweep import PATH, FakeApi, FakeRun, FakeSweep, fake_runs


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
    pulled = take(FakeApi([FakeSweep()], runs), PATH)
    assert pulled.notes == ("The history of run run00000 could not be read: HTTP 500.",)
    first = pulled.records[0]
    assert (first.id, first.epochs) == ("run00000", [])
    assert records.score(first, "valid/mcc", "maximize").best == runs[0].summary_metrics["valid/mcc"]["max"]


def test_a_server_that_stops_answering_ends_the_pull() -> None:
    with pytest.raises(UserError, match="run00002: the server stopped answering"):
        take(FakeApi([FakeSweep()], broken(fake_runs(5, sentences=10))), PATH)


def test_a_long_history_is_scanned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot, "HISTORY_ROWS", 5)
    runs = fake_runs(1, sentences=10)
    assert len(runs[0].rows) == 12
    assert len(take(FakeApi([FakeSweep()], runs), PATH).records[0].epochs) == 4


def test_the_newest_sweep_is_the_default() -> None:
    old, new = FakeSweep("ada/cola-sweep/a", created="2026-11-19"), FakeSweep("ada/cola-sweep/b", created="2026-11-20")
    assert take(FakeApi([new, old], []), None).id == "b"


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
    assert take(FakeApi([FakeSweep()], []), path).path == PATH


def test_the_project_and_entity_set_for_wandb_are_used() -> None:
    api = FakeApi([FakeSweep("team/other/s1")], [])
    api.settings = {"entity": "team", "project": "other"}
    assert take(api, None).path == take(api, "s1").path == "team/other/s1"


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
        take(FakeApi(sweeps, []), path)
    assert "\n" not in str(raised.value)


def test_a_server_that_cannot_answer_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise wandb.errors.CommError("HTTP 502")

    api = FakeApi([FakeSweep()], [])
    monkeypatch.setattr(api, "runs", broken)
    with pytest.raises(UserError, match=rf"^runs of {PATH}: the server could not answer \(HTTP 502\)"):
        take(api, PATH)


@pytest.mark.parametrize(
    ("config", "metric", "goal"),
    [
        ({}, "valid/mcc", "maximize"),
        ({"metric": {"name": "loss"}}, "loss", "minimize"),
        ({"metric": {"name": "valid/mcc_best", "goal": "maximize"}}, "valid/mcc", "maximize"),
        ({"metrics": [{"name": "f1", "goal": "maximize"}, {"name": "cost/seconds"}]}, "f1", "maximize"),
    ],
)
def test_the_objective_is_the_sweeps(config: dict[str, Any], metric: str, goal: str) -> None:
    pulled = take(FakeApi([FakeSweep(config={"method": "grid", "parameters": {}} | config)], []), PATH)
    assert (pulled.metric, pulled.goal) == (metric, goal)


def test_a_long_pull_says_so(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(snapshot, "PROGRESS_SECONDS", -1)
    assert list(snapshot._each("runs", "ab")) == ["a", "b"]
    assert capsys.readouterr().err == "reading runs: 1 so far\nreading runs: 2 so far\n"


@pytest.fixture
def runs() -> list[FakeRun]:
    return fake_runs(6, sentences=10)


def pull(runs: list[FakeRun], kept_in: Path | None) -> snapshot.Snapshot:
    """A pull by a process of its own; `asked` of each run begins anew."""
    for run in runs:
        run.asked.clear()
    return take(FakeApi([FakeSweep()], runs), PATH, kept_in=kept_in)


def asked(runs: list[FakeRun]) -> dict[str, list[str]]:
    return {run.id: run.asked for run in runs if run.asked}


def test_a_second_pull_reads_nothing_again_and_is_the_same(runs: list[FakeRun], tmp_path: Path) -> None:
    first = pull(runs, tmp_path)
    assert len(asked(runs)) == 6
    second = pull(runs, tmp_path)
    assert asked(runs) == {run_id: ["table"] for run_id in first.tables}  # a table without a digest may change
    assert second == first
    assert second.fingerprint == first.fingerprint


@pytest.mark.parametrize(
    "change", [{"state": "killed"}, {"heartbeat_at": "2026-11-21"}, {"name": "renamed"}, {"rows": []}]
)
def test_only_a_run_that_changed_is_read_again(runs: list[FakeRun], tmp_path: Path, change: dict[str, Any]) -> None:
    pull(runs, tmp_path)
    vars(runs[2]).update(change)
    second = pull(runs, tmp_path)
    assert [run.id for run in runs if "history" in run.asked] == ["run00002"]
    assert second == pull(runs, None)


def test_a_running_run_never_goes_stale(runs: list[FakeRun], tmp_path: Path) -> None:
    runs[1].state = "running"
    pull(runs, tmp_path)
    runs[1].summary_metrics = {"valid/mcc": {"max": 0.9}}
    assert pull(runs, tmp_path).records[1].summary == {"valid/mcc": {"max": 0.9}}


def test_deleted_and_new_runs_are_noticed(runs: list[FakeRun], tmp_path: Path) -> None:
    pull(runs[:5], tmp_path)
    runs[0].asked.clear()
    assert [record.id for record in pull(runs[1:], tmp_path).records] == [run.id for run in runs[1:]]
    assert [run.id for run in runs if "history" in run.asked] == ["run00005"]


def test_a_history_that_could_not_be_read_is_asked_for_again(runs: list[FakeRun], tmp_path: Path) -> None:
    broken(runs[:1])
    assert pull(runs, tmp_path).notes
    runs[0].__class__ = FakeRun
    assert pull(runs, tmp_path) == pull(runs, None)


def test_a_table_with_a_digest_is_downloaded_once(runs: list[FakeRun], tmp_path: Path) -> None:
    first = pull(runs[:1], None).tables["run00000"]
    runs[0].summary_metrics["predictions"]["sha256"] = kept.digest(first)
    pull(runs[:1], tmp_path)
    assert pull(runs[:1], tmp_path).tables == {"run00000": first}
    assert "table" not in runs[0].asked


def test_another_server_has_runs_of_its_own(runs: list[FakeRun], tmp_path: Path) -> None:
    pull(runs, tmp_path)
    api = FakeApi([FakeSweep()], runs)
    api.settings["base_url"] = "https://wandb.example"
    for run in runs:
        run.asked.clear()
    take(api, PATH, kept_in=tmp_path)
    assert len(asked(runs)) == 6


def test_many_runs_are_read_in_pages(monkeypatch: pytest.MonkeyPatch, runs: list[FakeRun]) -> None:
    monkeypatch.setattr(snapshot, "PAGE", 4)
    assert pull(runs, None) == pull(runs, None)
    assert [record.id for record in pull(runs, None).records] == [run.id for run in runs]


def test_everything_that_was_pulled_is_in_the_fingerprint(runs: list[FakeRun]) -> None:
    taken = pull(runs, None)
    changes: dict[str, Any] = {
        "state": "running", "name": "other", "config": {}, "records": taken.records[1:], "tables": {}, "artifacts": (),
        "notes": ("x",), "url": "http://y",
    }  # fmt: skip
    prints = {dataclasses.replace(taken, **{name: value}).fingerprint for name, value in changes.items()}
    assert len(prints | {taken.fingerprint}) == len(changes) + 1


def test_artifacts_are_those_of_the_best(runs: list[FakeRun]) -> None:
    artifacts = pull(runs, None).artifacts
    assert [each["run"] for each in artifacts] == [
        record.id for record in records.best_first(pull(runs, None).records, "valid/mcc", "maximize")
    ]
    assert artifacts[0]["aliases"] == ["best"]
