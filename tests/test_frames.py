"""Records as frames."""

from typing import Any

import pandas as pd
import pytest

from cola_sweep import frames
from cola_sweep.records import Record


def record(run_id: str = "a", **fields: Any) -> Record:
    values: dict[str, Any] = {"state": "finished", "config": {}, "summary": {}, "epochs": []} | fields
    return Record(id=run_id, name=run_id, created="2026-11-20", url="http://x", **values)


def test_columns_say_where_they_come_from() -> None:
    config = {"lr": 1e-5, "optimizer": {"name": "adamw"}, "layers": [1, 2], "provenance": {"device": "cpu"}}
    summary = {
        "cost/seconds": 3,
        "m": {"max": 1.0},
        "examples": {"_type": "table-file", "path": "x", "nrows": 3},
        "words": "many",
    }
    frame = frames.runs_frame([record(config=config, summary=summary)], "m", "maximize")
    assert {key: value for key, value in frame.iloc[0].to_dict().items() if "." in key} == {
        "config.lr": 1e-5,
        "config.optimizer.name": "adamw",
        "config.layers": "[1, 2]",
        "provenance.device": "cpu",
        "summary.cost/seconds": 3,
        "summary.m.max": 1.0,
    }


def test_a_trial_that_was_asked_to_stop_is_told_from_one_that_broke() -> None:
    asked = {"stopped": "Stopped: stopped by SIGTERM"}
    runs = [("killed", asked), ("failed", asked), ("finished", asked), ("killed", {}), ("failed", {})]
    records = [record(str(n), state=state, summary=summary) for n, (state, summary) in enumerate(runs)]
    found = frames.runs_frame(records, "m", "maximize")["state"].tolist()
    assert found == ["stopped early", "stopped early", "finished", "killed", "failed"]


def test_a_failure_is_told_in_the_first_line_of_the_trials_own_words() -> None:
    said = ["TrialFailed: out of memory with batch_size 64\nat length 128", None, {"max": 1}]
    records = [record(str(n), state="failed", summary={"failure": text}) for n, text in enumerate(said)]
    found = frames.runs_frame([*records, record("last")], "m", "maximize")["failure"].tolist()
    assert found == ["TrialFailed: out of memory with batch_size 64", "", "", ""]


def test_a_row_has_the_score_of_its_run() -> None:
    epochs = [{"epoch": 1.0, "step": 9.0, "m": 0.4}, {"epoch": 2.0, "step": 19.0, "m": 0.1}]
    frame = frames.runs_frame([record(epochs=epochs)], "m", "maximize")
    assert frame.loc[0, ["best", "last", "logged"]].tolist() == [0.4, 0.1, 2]


def test_a_null_setting_is_told_from_one_that_is_missing() -> None:
    runs = [record("a", config={"warmup": None, "lr": 1}), record("b", config={"warmup": 0.1}), record("c")]
    frame = frames.runs_frame(runs, "m", "maximize")
    assert frame["config.warmup"].fillna("missing").tolist() == ["null", 0.1, "missing"]
    assert frame["config.lr"].isna().tolist() == [False, True, True]


def test_frames_of_nothing_have_their_columns() -> None:
    assert list(frames.runs_frame([], "m", "maximize")) == list(frames.RUN_COLUMNS)
    assert list(frames.histories_frame([record()])) == ["run", "epoch", "step"]
    assert list(frames.artifacts_frame([])) == list(frames.ARTIFACT_COLUMNS)


def test_histories_of_different_keys_share_one_frame() -> None:
    runs = [
        record("x", epochs=[{"epoch": 1.0, "step": 1.0, "b": 2.0}]),
        record("y", epochs=[{"epoch": 1.0, "step": 1.0, "a": 1.0}]),
    ]
    histories = frames.histories_frame(runs)
    pd.testing.assert_index_equal(histories.columns, pd.Index(["run", "epoch", "step", "a", "b"]))
    assert histories["a"].isna().tolist() == [True, False]


def test_a_table_is_what_its_json_says() -> None:
    assert frames.table_frame(b'{"columns": ["n"], "data": [[1], [2]]}')["n"].tolist() == [1, 2]
    for broken in (b"<html>", b'{"columns": ["n"]}', b'{"columns": ["n"], "data": [[1, 2]]}', b"[]"):
        with pytest.raises((ValueError, KeyError, TypeError)):
            frames.table_frame(broken)
