"""What finished trials leave behind, and how it is read back."""

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cola_sweep import kept, past
from cola_sweep.records import Record

SOURCE = {"device": "cpu", "precision": "fp32", "data_fingerprint": "abc"}
CONFIG = {"checkpoint": "tiny", "batch_size": 8}


@pytest.fixture(autouse=True)
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path / "cache"))
    return past.default_file()


def run(folder: Path, name: str = "r", seconds: float | None = 4.0, started: float = 0.0) -> Any:
    (folder / "files").mkdir(parents=True, exist_ok=True)
    return SimpleNamespace(
        id=name, summary={"cost/seconds": seconds}, start_time=started, disabled=False, dir=str(folder / "files")
    )


def test_a_trial_leaves_what_it_took(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past.time, "time", lambda: 110.0)
    model = tmp_path / "model"
    model.mkdir()
    (model / "weights").write_bytes(bytes(1000))
    ours = run(tmp_path / "run", started=100.0)
    (tmp_path / "run" / "run.wandb").write_bytes(bytes(20))
    (tmp_path / "run" / "files" / "table.json").write_bytes(bytes(3))
    past.leave(ours, CONFIG, SOURCE, 2, model)
    (found,) = past.trials(file)
    assert (found.run, found.config, found.epochs, found.seconds, found.around) == ("r", CONFIG, 2, 4.0, 6.0)
    assert (found.device, found.precision, found.data) == ("cpu", "fp32", "abc")
    assert (found.model_bytes, found.log_bytes) == (1000, 23)


def test_a_trial_without_an_epoch_or_a_cost_leaves_nothing(tmp_path: Path, file: Path) -> None:
    past.leave(run(tmp_path / "run", seconds=None), CONFIG, SOURCE, 2, None)
    past.leave(run(tmp_path / "run"), CONFIG, SOURCE, 0, None)
    assert not file.exists()


def test_a_cache_that_cannot_be_written_is_no_harm(tmp_path: Path, file: Path) -> None:
    file.parent.write_text("no folder")
    past.leave(run(tmp_path / "run"), CONFIG, SOURCE, 2, None)
    assert past.trials(file) == []


def test_a_file_that_goes_while_it_is_measured_is_no_harm(
    tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = run(tmp_path / "run")

    def gone(folder: Path, pattern: str) -> Any:
        raise FileNotFoundError(folder)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rglob", gone)
        past.leave(ours, CONFIG, SOURCE, 2, None)
    assert past.trials(file) == []


def test_lines_that_cannot_be_read_are_left_out(tmp_path: Path, file: Path) -> None:
    past.leave(run(tmp_path / "run"), CONFIG, SOURCE, 2, None)
    with file.open("ab") as stream:
        stream.write(b'{"run": "of another version"}\nnull\n\xff\n{"run')
    assert [each.run for each in past.trials(file)] == ["r"]


def test_the_file_stays_short_and_keeps_the_newest(tmp_path: Path, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(past, "MOST_BYTES", 2000)
    for i in range(20):
        past.leave(run(tmp_path / "run", f"r{i}"), CONFIG, SOURCE, 2, None)
    left = [each.run for each in past.trials(file)]
    assert left == [f"r{i}" for i in range(20 - len(left), 20)]
    assert 3 <= len(left) <= 9
    assert [path.name for path in file.parent.iterdir()] == [file.name]


def test_what_reports_pulled_counts_too_but_not_twice(tmp_path: Path, file: Path) -> None:
    def pulled(name: str, **changed: Any) -> Record:
        config = CONFIG | {"provenance": SOURCE, "epochs": 3}
        summary = {"cost/seconds": 8, "_runtime": 10.0}
        facts = {"state": "finished", "created": "2026-01-01", "config": config, "summary": summary}
        return Record(**(facts | {"id": name, "name": name, "url": "", "epochs": [{"epoch": 1.0}]} | changed))

    past.leave(run(tmp_path / "run", "both"), CONFIG, SOURCE, 2, None)
    records = [
        pulled("both"), pulled("theirs"), pulled("killed", state="killed"), pulled("no epochs", epochs=[]),
        pulled("no cost", summary={}), pulled("not ours", config={}),
    ]  # fmt: skip
    kept.save_runs(tmp_path / "report", "a", {record.id: (["stamp"], record) for record in records})
    (tmp_path / "report" / "runs" / "broken").write_text(json.dumps(["runs"]))
    both, theirs = sorted(past.trials(file, tmp_path / "report"), key=lambda each: each.run)
    assert (both.run, both.seconds) == ("both", 4.0), "by its own line"
    assert (theirs.epochs, theirs.seconds, theirs.around, theirs.data) == (1, 8.0, 2.0, "abc")
