"""Options of a search that never come to act."""

from typing import Any

import pytest

from cola_sweep.space import read_mapping
from cola_sweep.studies import options
from cola_sweep.studies.doubts import doubts
from tests.studies.conftest import sweep_config

SPACE: dict[str, Any] = {"lr": {"min": 1e-5, "max": 1e-4}, "epochs": {"values": [3, 5]}}


def said(search: Any, run_cap: int | None = 20, **parameters: Any) -> list[str]:
    config = sweep_config(search, **(parameters or SPACE)) | {"run_cap": run_cap}
    return [str(finding) for finding in doubts(options.read(read_mapping(config)))]


@pytest.mark.parametrize(
    ("search", "line"),
    [
        ({"startup": 20}, "startup: got 20; run_cap is 20, so every trial is random; write startup: 6"),
        ({"terminator": {"patience": 5, "trials": 20}}, "terminator: got 20; run_cap is 20, so this never ends"),
        ({"pruner": {"type": "median", "startup": 20}}, "pruner.startup: got 20; run_cap is 20, so nothing is stopped"),
        (
            {"pruner": {"type": "median", "warmup": 4}},
            "pruner.warmup: got 4; judges first after 5 epochs, and no trial",
        ),
        ({"pruner": {"type": "wilcoxon", "startup": 5}}, "pruner.startup: got 5; judges first after 5 epochs, and no"),
    ],
)
def test_what_never_acts_is_doubtful(search: Any, line: str) -> None:
    (found,) = said(search)
    assert found.startswith(f"parameters._search.value.{line}")


@pytest.mark.parametrize(
    "search",
    [
        None,
        {"startup": 20, "earlier": ["abc"]},
        {"startup": 20, "sampler": "random"},
        {"terminator": {"patience": 5, "trials": 19}},
        {"pruner": {"type": "median", "warmup": 3}},
        {"pruner": {"type": "wilcoxon", "startup": 4}},
        {"pruner": "hyperband"},
    ],
)
def test_what_acts_is_not(search: Any) -> None:
    assert said(search) == []


def test_a_search_needs_an_end() -> None:
    (found,) = said({}, None)
    assert found == "parameters: without run_cap this search has no end; add run_cap: 20"
    assert said({"terminator": {"patience": 5}}, None) == []
    assert said({}, None, lr={"values": [1e-5, 1e-4]}) == [], "it ends with its space"


def test_a_trial_has_the_default_epochs_where_the_file_says_none() -> None:
    assert said({"pruner": {"type": "median", "warmup": 1}}, lr=SPACE["lr"]) == []
    (found,) = said({"pruner": {"type": "median", "warmup": 2}}, lr=SPACE["lr"])
    assert "no trial has more than 3: nothing is stopped" in found
