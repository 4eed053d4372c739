"""The benchmark of the pages, at a tiny size and without a browser."""

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
