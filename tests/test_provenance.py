import subprocess
from contextlib import nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import wandb

from cola_sweep.checkpoints import Checkpoint
from cola_sweep.config import TrialConfig
from cola_sweep.corpus import Corpus, Split
from cola_sweep.errors import UserError
from cola_sweep.provenance import LookAgain, describe, earlier_configs, git_commit, refuse_mixture

SPLIT = Split(("A.",), (1,), ("s",), ("in",))
CORPUS = Corpus("CoLA from folder x (1 train, 1 dev)", "folder", "f" * 64, SPLIT, SPLIT)
CHECKPOINT = Checkpoint("auto[:3]", "hub:a/b", "/x", 3, "e" * 64)
CONFIG = TrialConfig(checkpoint="auto[:3]", seed=7)
OWN = describe(CONFIG, CHECKPOINT, CORPUS, torch.device("cpu"))


def other(name: str = "auto[:3]", **changes: str) -> dict[str, Any]:
    """Another run's config: which checkpoint it named, and how its provenance differs from this one's."""
    return {"checkpoint": name, "provenance": OWN | changes}


def test_description_is_complete() -> None:
    assert {
        "checkpoint": "hub:a/b[:3]", "weights_sha256": "e" * 64, "data": CORPUS.name, "data_kind": "folder",
        "data_fingerprint": "f" * 64, "git_commit": "", "versions": {}, "device": "cpu", "seed": 7,
    } == OWN | {"git_commit": "", "versions": {}}  # fmt: skip
    assert list(OWN["versions"]) == ["python", "torch", "pytorch-lightning", "transformers", "wandb", "cola-sweep"]
    assert OWN["versions"]["torch"] == torch.__version__


def test_git_commit(tmp_path: Path) -> None:
    def git(*words: str) -> str:
        identity = ("-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false")
        done = subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True, text=True)
        return done.stdout.strip()

    assert git_commit(tmp_path) is None
    git("init", "-q")
    assert git_commit(tmp_path) is None, "a checkout without a commit"
    (tmp_path / "file").write_text("one")
    git("add", "file")
    git("commit", "-q", "-m", "first")
    commit = git("rev-parse", "HEAD")
    assert git_commit(tmp_path) == commit
    (tmp_path / "file").write_text("two")
    assert git_commit(tmp_path) == f"{commit}-dirty"


def test_the_same_sources_and_runs_that_say_nothing_are_accepted() -> None:
    refuse_mixture(CONFIG, OWN, [other(), {}, {"checkpoint": "auto[:3]"}, {"provenance": None}])


def test_other_data_is_refused() -> None:
    with pytest.raises(UserError, match=r"^config\.data: .*used 'synthetic'"):
        refuse_mixture(CONFIG, OWN, [other(), other(data_fingerprint="0" * 64, data="synthetic")])


def test_other_weights_are_refused_under_the_same_name_only() -> None:
    refuse_mixture(CONFIG, OWN, [other("pypi:x", weights_sha256="0" * 64)])
    with pytest.raises(UserError, match=r"^config\.checkpoint: .*pypi:x"):
        refuse_mixture(CONFIG, OWN, [other(), other(weights_sha256="0" * 64, checkpoint="pypi:x")])


RUN = SimpleNamespace(id="me", entity="e", project="p", sweep_id="abc", offline=False, config={"own": 1})


def test_earlier_runs_are_asked_for_once_and_this_one_is_as_it_was_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Api:
        def runs(self, path: str, **query: Any) -> Any:
            asked.append((path, query["filters"], query["lazy"]))
            return iter([SimpleNamespace(id="first", config={"a": 1}), SimpleNamespace(id="me", config={"a": 2})])

    monkeypatch.setattr(wandb, "Api", Api)
    assert earlier_configs(RUN) == [{"own": 1}, {"a": 1}]
    assert asked == [("e/p", {"sweep": "abc"}, False)]


@pytest.mark.parametrize(("place", "gives_way"), [(0, False), (1, True)])
def test_of_two_trials_that_began_at_once_with_two_sources_the_younger_gives_way(
    monkeypatch: pytest.MonkeyPatch, place: int, gives_way: bool
) -> None:
    runs = [SimpleNamespace(id="they", config=other(data_fingerprint="0" * 64, data="synthetic"))]
    runs.insert(place, SimpleNamespace(id="me", config=other()))
    monkeypatch.setattr(wandb, "Api", lambda: SimpleNamespace(runs=lambda path, **query: iter(runs)))
    config = wandb.Config()
    config.update(other())
    look: Any = LookAgain(SimpleNamespace(**vars(RUN) | {"config": config}), CONFIG)
    look.on_validation_start(SimpleNamespace(current_epoch=1), None)
    with pytest.raises(UserError, match="used 'synthetic'") if gives_way else nullcontext():
        look.on_validation_start(SimpleNamespace(current_epoch=0), None)
    assert config["provenance"] == ({} if gives_way else OWN)


def test_a_silent_api_is_a_warning_of_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise ConnectionError("no route\nand a long story")

    said: list[str] = []
    monkeypatch.setattr(wandb, "Api", refuse)
    # Not read from stderr: another test's settings may have silenced the client there.
    monkeypatch.setattr(wandb, "termwarn", said.append)
    assert earlier_configs(RUN) == [{"own": 1}]
    (line,) = said
    assert line.endswith("no route")
