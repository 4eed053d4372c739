"""How often failed trials are tried again: read from the sweep file, and refused by every reader where it is wrong."""

from typing import Any

import pytest

from cola_sweep import sweep_rules
from cola_sweep.errors import UserError
from cola_sweep.retries import retries
from cola_sweep.space import SweepSpec, read_mapping


def sweep(entry: dict[str, Any], **more: Any) -> SweepSpec:
    return read_mapping({"method": "random", "parameters": {"_retry": entry, "lr": {"values": [1.0e-5]}}, **more})


def test_a_whole_number_is_taken_and_silence_means_none() -> None:
    assert retries(sweep({"value": 2})) == 2
    assert retries(read_mapping({"method": "grid", "parameters": {"a": {"value": 1}}})) == 0


@pytest.mark.parametrize("entry", [{"value": -1}, {"value": 11}, {"value": True}, {"value": "2"}, {"values": [1, 2]}])
def test_anything_else_is_refused_with_its_key_path(entry: dict[str, Any]) -> None:
    spec = sweep(entry)
    with pytest.raises(UserError, match=r"^parameters._retry: got .*; must be a whole number from 0 to 10; write _re"):
        retries(spec)
    assert [str(f) for f in sweep_rules.findings(spec) if f.severity == "error" and "_retry" in f.where]


def test_a_scheduler_repeats_its_own_trials() -> None:
    spec = sweep({"value": 2}, scheduler={"engine": "optuna"})
    (finding,) = sweep_rules.retried(spec)
    assert str(finding) == (
        "parameters._retry: got 2; failed trials are for the controller or scheduler to repeat; remove it"
    )
