"""Trials that were killed or preempted come to the same end as one that was left alone, through the real client."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import LiveServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def seen(
    live_server: LiveServer, tiny_corpus: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """What `interrupted_trials` saw, in one process for all tests: most of its time is imports."""
    folder = tmp_path_factory.mktemp("interrupted")
    words = [sys.executable, "-m", "tests.system.interrupted_trials", str(tiny_corpus), str(tiny_checkpoint)]
    done = live_server.run(*words, cwd=folder, timeout=500, PYTHONPATH=str(ROOT), COLA_SWEEP_HUB="0")
    print(done.stdout, done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def test_the_codes_say_what_happened(seen: Any) -> None:
    assert seen["codes"] == {"whole": [0], "killed": [-9, -9, 0], "preempted": [143, 0]}


@pytest.mark.parametrize("name", ["killed", "preempted"])
def test_an_interrupted_trial_ends_as_if_nothing_had_been(seen: Any, name: str) -> None:
    whole, other = seen["whole"], seen[name]
    assert sum("valid/mcc" in row for row in whole["rows"]) == 4
    assert other["rows"] == whole["rows"], "no row twice, none missing, none different"
    assert other["weights"] == whole["weights"]
    assert set(whole["weights"]) == {"model.safetensors", "head.safetensors"}
    assert other["summary"] == whole["summary"], "best and last of all epochs, not of the last process's"
    assert (other["state"], other["tables"], len(other["costs"])) == ("finished", 1, 1)
    assert other["ended badly"] == []


def test_nothing_is_kept_once_a_trial_has_its_result(seen: Any) -> None:
    assert seen["left"] == []
    assert [seen[name]["sent"] for name in ("whole", "killed", "preempted")] == [[], [], []]
    assert seen["between"] == {"state": "preempted", "sent": ["resume/epoch-00002.tar"]}
