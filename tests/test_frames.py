"""Rows of the API as frames."""

import math

import pandas as pd
import pytest

from cola_sweep import frames
from tests.fake_sweep import FakeRun


def run(config: dict | None = None, summary: dict | None = None, rows: list | None = None) -> FakeRun:
    return FakeRun(0, "finished", config or {}, summary or {}, rows or [])


def test_rows_of_one_epoch_become_one_and_single_steps_are_dropped() -> None:
    rows = [
        {"train/loss_step": 0.9, "epoch": 0, "trainer/global_step": 10, "_step": 0},
        {"valid/mcc": 0.2, "epoch": 0, "trainer/global_step": 74, "_step": 1, "conf": {"_type": "image-file"}},
        {"train/loss_epoch": 0.7, "epoch": 0, "trainer/global_step": 74, "_step": 2, "_timestamp": 1.0},
        {"valid/mcc": "NaN", "epoch": 1, "trainer/global_step": 149, "_step": 3, "valid/ok": True},
        {"cost/seconds": 41.5, "trainer/global_step": 149, "_step": 4},
    ]
    first, second = frames.by_epoch(rows)
    assert first == {"epoch": 0, "step": 74, "valid/mcc": 0.2, "train/loss_epoch": 0.7}
    assert (second["epoch"], second["step"], second["valid/ok"]) == (1, 149, 1.0)
    assert math.isnan(second["valid/mcc"])


def test_rows_without_an_epoch_are_kept_apart() -> None:
    epochs = frames.by_epoch([{"loss": 2.0, "_step": 0}, {"loss": 1.0, "_step": 5}])
    assert [(row["epoch"], row["step"], row["loss"]) for row in epochs] == [(0, 0, 2.0), (1, 5, 1.0)]


def test_best_and_last_come_from_the_history() -> None:
    epochs = [{"epoch": 0, "m": 0.4}, {"epoch": 1, "m": math.nan}, {"epoch": 2, "m": 0.1}]
    row = frames.run_row(run(summary={"m": {"max": 9.0}}), epochs, "m", "maximize")
    assert (row["best"], row["last"], row["logged"]) == (0.4, 0.1, 3)
    assert frames.run_row(run(), epochs, "m", "minimize")["best"] == 0.1


@pytest.mark.parametrize(
    ("summary", "goal", "best", "last", "logged"),
    [
        ({"m": {"max": 0.5, "last": 0.3}}, "maximize", 0.5, 0.3, 2),
        ({"m": {"min": 0.2, "last": 0.3}}, "minimize", 0.2, 0.3, 2),
        ({"m": 0.4}, "maximize", 0.4, 0.4, 1),
        ({"m": "NaN"}, "maximize", math.nan, math.nan, 1),
        ({"other": 1}, "maximize", math.nan, math.nan, 0),
    ],
)
def test_without_history_the_summary_is_read(summary: dict, goal: str, best: float, last: float, logged: int) -> None:
    row = frames.run_row(run(summary=summary), [], "m", goal)  # type: ignore[arg-type]
    assert [row["best"], row["last"]] == pytest.approx([best, last], nan_ok=True)
    assert row["logged"] == logged


def test_columns_say_where_they_come_from() -> None:
    config = {
        "lr": 1e-5,
        "optimizer": {"name": "adamw"},
        "layers": [1, 2],
        "_wandb": {},
        "provenance": {"device": "cpu"},
    }
    summary = {
        "cost/seconds": 3,
        "m": {"max": 1.0},
        "examples": {"_type": "table-file", "path": "x", "nrows": 3},
        "_step": 4,
    }
    row = frames.run_row(run(config, summary), [], "m", "maximize")
    assert {key: value for key, value in row.items() if "." in key} == {
        "config.lr": 1e-5,
        "config.optimizer.name": "adamw",
        "config.layers": "[1, 2]",
        "provenance.device": "cpu",
        "summary.cost/seconds": 3,
        "summary.m.max": 1.0,
    }


def test_frames_of_nothing_have_their_columns() -> None:
    assert list(frames.runs_frame([])) == list(frames.RUN_COLUMNS)
    assert list(frames.histories_frame({"a": []})) == ["run", "epoch", "step"]


def test_runs_with_different_keys_share_one_frame() -> None:
    rows = [frames.run_row(run({key: 1}), [], "m", "maximize") for key in ("a", "b")]
    frame = frames.runs_frame(rows)
    assert frame[["config.a", "config.b"]].isna().to_numpy().tolist() == [[False, True], [True, False]]
    histories = frames.histories_frame(
        {"x": [{"epoch": 0, "step": 1, "b": 2.0}], "y": [{"epoch": 0, "step": 1, "a": 1.0}]}
    )
    pd.testing.assert_index_equal(histories.columns, pd.Index(["run", "epoch", "step", "a", "b"]))
