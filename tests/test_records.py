"""Runs as plain values: epochs, scores, and who counts."""

import math
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cola_sweep import frames, records, stats
from cola_sweep.records import Goal, Record


def record(run_id: str = "a", state: str = "finished", created: str = "2026-11-20", **fields: Any) -> Record:
    values: dict[str, Any] = {"config": {}, "summary": {}, "epochs": []} | fields
    return Record(id=run_id, name=run_id, state=state, created=created, url="", **values)


def test_rows_of_one_epoch_become_one_and_single_steps_are_dropped() -> None:
    rows = [
        {"train/loss_step": 0.9, "epoch": 0, "trainer/global_step": 10, "_step": 0},
        {"valid/mcc": 0.2, "epoch": 0, "trainer/global_step": 74, "_step": 1, "conf": {"_type": "image-file"}},
        {"train/loss_epoch": 0.7, "epoch": 0, "trainer/global_step": 74, "_step": 2, "_timestamp": 1.0},
        {"valid/mcc": "NaN", "epoch": 1, "trainer/global_step": 149, "_step": 3, "valid/ok": True},
        {"cost/seconds": 41.5, "trainer/global_step": 149, "_step": 4},
    ]
    first, second = records.by_epoch(rows)
    assert first == {"epoch": 1, "step": 74, "valid/mcc": 0.2, "train/loss_epoch": 0.7}
    assert (second["epoch"], second["step"], second["valid/ok"]) == (2, 149, 1.0)
    assert math.isnan(second["valid/mcc"])


def test_rows_without_an_epoch_are_kept_apart() -> None:
    epochs = records.by_epoch([{"loss": 2.0, "_step": 0}, {"loss": 1.0, "_step": 5}])
    assert [(row["epoch"], row["step"], row["loss"]) for row in epochs] == [(1, 0, 2.0), (2, 5, 1.0)]


def test_epochs_that_someone_else_counted_are_kept() -> None:
    assert [row["epoch"] for row in records.by_epoch([{"epoch": 0.5, "loss": 2.0}, {"epoch": 1, "loss": 1.0}])] == [
        0.5,
        1,
    ]


def test_best_and_last_come_from_the_history() -> None:
    epochs = [{"epoch": 1, "m": 0.4}, {"epoch": 2, "m": math.nan}, {"epoch": 3, "m": 0.1}]
    run = record(epochs=epochs, summary={"m": {"max": 9.0}})
    assert records.score(run, "m", "maximize") == records.Score(0.4, 0.1, 3)
    assert records.score(run, "m", "minimize").best == 0.1


@pytest.mark.parametrize(
    ("summary", "goal", "best", "last", "logged"),
    [
        ({"m": {"max": 0.5, "last": 0.3}}, "maximize", 0.5, 0.3, 2),
        ({"m": {"min": 0.2, "last": 0.3}}, "minimize", 0.2, 0.3, 2),
        ({"m": {"max": "NaN", "last": 0.3}}, "maximize", 0.3, 0.3, 2),  # wandb's maximum, once one epoch was NaN
        ({"m": 0.4}, "maximize", 0.4, 0.4, 1),
        ({"m": "NaN"}, "maximize", math.nan, math.nan, 1),
        ({"other": 1}, "maximize", math.nan, math.nan, 0),
    ],
)
def test_without_history_the_summary_is_read(summary: dict, goal: Goal, best: float, last: float, logged: int) -> None:
    scored = records.score(record(summary=summary), "m", goal)
    assert [scored.best, scored.last] == pytest.approx([best, last], nan_ok=True)
    assert scored.logged == logged


@pytest.mark.parametrize(
    ("state", "best", "logged", "reason"),
    [
        ("finished", 0.1, 1, ""),
        ("finished", math.nan, 0, "metric never logged"),
        ("finished", math.nan, 3, "metric never finite"),
        *((state, 0.9, 3, state) for state in ("failed", "crashed", "killed", "running", "pending", "preempted")),
    ],
)
def test_a_run_that_cannot_be_the_best_has_a_reason(state: str, best: float, logged: int, reason: str) -> None:
    assert records.why_left_out(state, best, logged) == reason


RUNS = st.lists(
    st.tuples(
        st.sampled_from(["finished", "failed", "running"]),
        st.sampled_from(["2026-11-20", "2026-11-21"]),
        st.one_of(st.just([]), st.just([math.nan]), st.sampled_from([[0.0], [-0.0], [0.5], [1.0, 0.2]])),
    ),
    max_size=8,
)


@settings(max_examples=40)
@given(RUNS, st.sampled_from(["maximize", "minimize"]))
def test_the_plain_ranking_is_that_of_the_frames(runs: list[tuple[str, str, list[float]]], goal: Goal) -> None:
    found = [
        record(f"r{i}", state, created, epochs=[{"epoch": e, "step": e, "m": value} for e, value in enumerate(values)])
        for i, (state, created, values) in enumerate(runs)
    ]
    board = stats.rank(frames.runs_frame(found, "m", goal), goal)
    ranked = board.loc[pd.notna(board["rank"]), "id"].tolist()
    assert [run.id for run in records.best_first(found, "m", goal)] == ranked


def test_details_are_asked_of_the_best_and_of_the_best_configurations_over_seeds() -> None:
    values = {"a1": 0.5, "a2": 0.1, "b1": 0.4, "b2": 0.3, "c1": 0.35, "c2": 0.1, "d": 0.6, "e": 0.55}
    found = [
        record(name, config={"lr": name[0], "seed": name[1:], "provenance": {"time": name}}, summary={"m": value})
        for name, value in values.items()
    ]

    def ids(**limits: int) -> list[str]:
        return [run.id for run in records.in_detail(found, "m", "maximize", **limits)]

    assert ids() == ["d", "e", "a1", "b1", "c1", "b2", "a2", "c2"]
    assert ids(best=1) == ["d", "a1", "b1", "b2", "a2"]  # b and a have the best means; d and e no second seed
    assert ids(best=1, repeated=1) == ["d", "b1", "b2"]
    assert ids(best=0, most=3) == ["a1", "b1", "b2"]


def test_seeds_and_origins_make_no_other_configuration() -> None:
    one = {"lr": 1, "seed": 1, "model": {"seed": 3, "width": 8, "init_seed": 1}, "provenance": {"device": "cpu"}}
    same = {"seed": 2, "model": {"width": 8}, "lr": 1}
    assert records.configuration(one) == records.configuration(same)
    assert records.configuration(one) != records.configuration(one | {"lr": 2})
