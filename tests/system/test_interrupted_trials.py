"""A trial that is cut off goes on, on another machine too, as if nothing had been; through the real client."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from cola_sweep.warm_server import THREADLESS
from tests.system.conftest import LiveServer

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def seen(
    live_server: LiveServer, tiny_corpus: Path, tiny_checkpoint: Path, tmp_path_factory: pytest.TempPathFactory
) -> Any:
    """What `interrupted_trials` saw, in one process for all tests: most of its time is imports."""
    folder = tmp_path_factory.mktemp("interrupted")
    paths = map(str, (tiny_corpus, tiny_checkpoint, live_server.data_dir))
    words = [sys.executable, "-m", "tests.system.interrupted_trials", *paths]
    done = live_server.run(*words, cwd=folder, timeout=900, PYTHONPATH=str(ROOT), COLA_SWEEP_HUB="0", **THREADLESS)
    print(done.stdout, done.stderr)
    return json.loads(done.stdout.splitlines()[-1])


def test_a_trial_killed_and_preempted_ends_as_one_that_was_left_alone(seen: Any) -> None:
    assert seen["codes"] == [0, 0, -9, 143, 0, 143]
    assert seen["between"] == {"state": "preempted", "sent": ["resume/epoch-00003.zip"]}
    whole, cut = seen["whole"], seen["cut"]
    assert sum("valid/mcc" in row for row in whole["rows"]) == 4
    assert cut["rows"] == whole["rows"], "no row twice, none missing, none different"
    assert set(whole["weights"]) == {"model.safetensors", "head.safetensors"}
    assert cut["weights"] == whole["weights"]
    assert cut["summary"] == whole["summary"], "best and last of all epochs, not of the last process's"
    assert (cut["state"], cut["tables"], len(cut["costs"]), cut["ended badly"]) == ("finished", 1, 1, [])


def test_a_trial_whose_server_is_away_for_a_while_loses_nothing(seen: Any) -> None:
    whole, alone = seen["whole"], seen["alone"]
    assert alone["rows"] == whole["rows"]
    assert (alone["state"], alone["tables"], len(alone["costs"])) == ("finished", 1, 1)
    assert (alone["summary"], alone["weights"]) == (whole["summary"], whole["weights"])


def test_a_trial_that_the_server_stopped_is_not_preempted_and_begins_nowhere_else(seen: Any) -> None:
    """SIGTERM does not say so; the one private door of the client's that we use does."""
    assert seen["stopped"] == ["killed", "Stopped: stopped by the server", 0]


def test_nothing_is_kept_once_a_trial_has_its_result_or_was_stopped(seen: Any) -> None:
    assert seen["left"] == []
    assert [seen[run]["sent"] for run in ("whole", "alone", "cut")] == [[], [], []]


def test_what_a_warm_trial_needs_is_imported_ahead(seen: Any) -> None:
    """But for modules that libraries make up as they go, and what wandb looks up for a name in its own."""
    made_up = {"transformers.models.align", "transformers.models.bert.tokenization_bert_fast"}
    looked_up = {"wandb.sdk.artifacts._generated.operations", "wandb.wandb_run"}
    assert set(seen["imports"]) <= made_up | looked_up


def test_a_stop_of_one_rank_ends_all_at_the_same_step(seen: Any) -> None:
    assert seen["ranks"] == [[4, 15], [4, 15]]
