"""What reports keep: read back as it was, or as if it were not there."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from cola_sweep import kept
from cola_sweep.records import Record

RUN = Record("a", "light-sweep-1", "finished", "2026-11-20", "http://x", {"lr": 1e-5}, {"m": None}, [{"epoch": 1.0}])
STAMP = ["finished", None, 3]


def only_file(folder: Path) -> Path:
    (path,) = (path for path in folder.glob("*/*") if path.is_file())
    return path


def test_runs_are_read_back(tmp_path: Path) -> None:
    kept.save_runs(tmp_path, "s", {"a": (STAMP, RUN)})
    assert kept.load_runs(tmp_path, "s") == {"a": (STAMP, RUN)}
    assert kept.load_runs(tmp_path, "another") == {}


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"made_by": 1}', "\0\xff"])
def test_what_is_broken_is_as_if_it_were_not_there(tmp_path: Path, content: str) -> None:
    kept.save_runs(tmp_path, "s", {"a": (STAMP, RUN)})
    only_file(tmp_path).write_text(content, encoding="latin-1")
    assert kept.load_runs(tmp_path, "s") == {}
    kept.save_runs(tmp_path, "s", {"a": (STAMP, RUN)})
    assert kept.load_runs(tmp_path, "s") == {"a": (STAMP, RUN)}


@pytest.mark.parametrize("runs", ["3", "[3]", "[[[], {}]]", '[[[], {"id": "a", "x": 1}]]'])
def test_runs_of_another_shape_are_as_if_they_were_not_there(tmp_path: Path, runs: str) -> None:
    kept.save_runs(tmp_path, "s", {})
    path = only_file(tmp_path)
    path.write_text(path.read_text().replace("[]", runs))
    assert kept.load_runs(tmp_path, "s") == {}


def test_other_code_reads_runs_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept.save_runs(tmp_path, "s", {"a": (STAMP, RUN)})
    monkeypatch.setattr(kept, "code_version", lambda: "other")
    assert kept.load_runs(tmp_path, "s") == {}


def test_bytes_are_kept_by_their_digest_alone(tmp_path: Path) -> None:
    sha256 = kept.digest(b"table")
    kept.save_bytes(tmp_path, sha256, b"other")
    kept.save_bytes(tmp_path, "../up", b"other")
    assert list(tmp_path.rglob("*")) == []
    kept.save_bytes(tmp_path, sha256, b"table")
    assert kept.load_bytes(tmp_path, sha256) == b"table"
    only_file(tmp_path).write_bytes(b"tabl")
    assert kept.load_bytes(tmp_path, sha256) is None
    assert kept.load_bytes(tmp_path, "") is None


def test_a_report_is_remembered_until_anything_of_it_changes(tmp_path: Path) -> None:
    target, folder = tmp_path / "report", tmp_path / "kept"
    target.mkdir()
    (target / "index.html").write_text("page")
    kept.remember(folder, target, "inputs", ["1. best"])
    assert kept.recall(folder, target, "inputs") == ["1. best"]
    assert kept.recall(folder, target, "other") is None
    assert kept.recall(folder, tmp_path, "inputs") is None
    (target / "index.html").write_text("edited")
    assert kept.recall(folder, target, "inputs") is None
    (target / "index.html").unlink()
    assert kept.recall(folder, target, "inputs") is None
    target.rmdir()
    assert kept.recall(folder, target, "inputs") is None


def test_the_oldest_goes_when_there_is_too_much(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept, "MOST_BYTES", 25)
    contents = [bytes([65 + i]) * 10 for i in range(3)]
    for age, content in enumerate(contents[:2]):
        kept.save_bytes(tmp_path, kept.digest(content), content)
        os.utime(tmp_path / "tables" / kept.digest(content), (age, age))
    assert kept.load_bytes(tmp_path, kept.digest(contents[0]))  # used, so newest
    kept.save_bytes(tmp_path, kept.digest(contents[2]), contents[2])
    held = [kept.load_bytes(tmp_path, kept.digest(content)) is not None for content in contents]
    assert held == [True, False, True]


def test_two_reports_at_once_leave_a_whole_file(tmp_path: Path) -> None:
    many = {str(i): (STAMP, replace(RUN, id=str(i))) for i in range(50)}

    def save_and_load(_: int) -> int:
        kept.save_runs(tmp_path, "s", many)
        return len(kept.load_runs(tmp_path, "s"))

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(save_and_load, range(16))) == {50}
    assert len(list(tmp_path.rglob("*"))) == 2


def test_a_folder_that_cannot_be_written_costs_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    kept.save_runs(tmp_path / "file", "s", {"a": (STAMP, RUN)})
    kept.save_runs(None, "s", {"a": (STAMP, RUN)})
    assert kept.load_runs(tmp_path / "file", "s") == kept.load_runs(None, "s") == {}


def test_the_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path))
    assert kept.default_folder() == tmp_path / "report"
