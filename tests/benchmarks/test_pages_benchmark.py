"""The benchmark of the pages, at a tiny size and without a browser."""

import re
from pathlib import Path

import pytest

from tests.benchmarks import pages


def test_pages_and_curves_are_timed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.benchmarks.pages.shutil.which", lambda name: None)
    rows = pages.pages(tmp_path, count=2, steps=50, times=1)
    assert [row.what for row in rows][2:] == [
        "run of 50 steps: HTML",
        "10 curves of 50 steps, some lines",
        "10 curves of 50 steps, first time",
        "10 curves of 50 steps, kept",
    ]
    assert all(row.got.endswith(" ms") for row in rows)


def test_the_server_is_loaded_while_pages_follow_it(tmp_path: Path) -> None:
    heartbeat = {"count": 2, "before": 12, "rounds": 4, "poll": 0.1, "wait": 0}
    logging = {"count": 2, "steps": 20, "seconds": 1}
    rows = pages.live(tmp_path, count=3, logging=logging, heartbeat=heartbeat)
    assert [row.what.split()[:3] for row in rows if row.target] == [
        ["2", "runs", "logging:"], ["resident", "MiB", "after"], ["random,", "12-16", "runs,"],
        ["heartbeats", "a", "second,"],
    ]  # fmt: skip
    answers = re.fullmatch(r"3 pages: the median of (\d+) answers", rows[-1].what)
    assert answers is not None
    assert int(answers[1]) >= 6
