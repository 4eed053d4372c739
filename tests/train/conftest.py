"""Trials in this process, offline: what the client writes for `wandb sync` is what is looked at."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import wandb
import yaml

from cola_sweep import model as model_module

CLOSED = ["WANDB_API_KEY", "WANDB_BASE_URL", "WANDB_SWEEP_ID", "WANDB_RUN_ID", "WANDB_PROJECT", "WANDB_ENTITY"]
TRAIN_ROWS, VALID_ROWS = 48, 24  # of the tiny corpus


@pytest.fixture(scope="module")
def folder_of_trials(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("trials")


@pytest.fixture(autouse=True, scope="module")
def offline(folder_of_trials: Path) -> Iterator[None]:
    """wandb writes into this folder only, and has neither key nor server."""
    patch = pytest.MonkeyPatch()
    for name in CLOSED:
        patch.delenv(name, raising=False)
    for name in ("WANDB_CACHE_DIR", "WANDB_DATA_DIR", "WANDB_CONFIG_DIR", "HOME"):
        patch.setenv(name, str(folder_of_trials / name.lower()))
    for name, value in (("MODE", "offline"), ("SILENT", "true"), ("CONSOLE", "off")):
        patch.setenv(f"WANDB_{name}", value)
    patch.setenv("COLA_SWEEP_HUB", "0")
    wandb.teardown()  # the client of an earlier module has read another environment
    yield
    wandb.teardown()
    patch.undo()


@pytest.fixture(autouse=True)
def fresh_client() -> None:
    """wandb remembers the folder and the variables of the first run of a process."""
    wandb.teardown()


@pytest.fixture
def flags(tiny_checkpoint: Path, tiny_corpus: Path) -> list[str]:
    return tiny_flags(tiny_checkpoint, tiny_corpus)


def tiny_flags(checkpoint: Path, corpus: Path) -> list[str]:
    return [
        f"--data={corpus}", f"--checkpoint={checkpoint}", "--epochs=3", "--batch-size=8", "--eval-batch-size=7",
        "--lr=0.02", "--pooling=mean", "--max-length=16", "--dropout=0",
    ]  # fmt: skip


@pytest.fixture
def in_step(monkeypatch: pytest.MonkeyPatch) -> Callable[[int, Callable[[], None]], list[int]]:
    """Do something in the n-th training step of the trial (from 0); an epoch has 6. Gives the steps that were begun."""

    def arrange(number: int, action: Callable[[], None]) -> list[int]:
        real = model_module.AcceptabilityModel.training_step
        begun: list[int] = []

        def training_step(self: Any, batch: Any, position: int) -> Any:
            begun.append(self.trainer.global_step)
            if self.trainer.global_step == number:
                action()
            return real(self, batch, position)

        monkeypatch.setattr(model_module.AcceptabilityModel, "training_step", training_step)
        return begun

    return arrange


@pytest.fixture
def swept(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Be a trial that an agent started with these parameters."""

    def arrange(**parameters: Any) -> None:
        path = tmp_path / "wandb" / "sweep-abc" / "config-r1.yaml"
        path.parent.mkdir(parents=True)
        path.write_text(yaml.safe_dump({key: {"value": value} for key, value in parameters.items()}))
        monkeypatch.chdir(tmp_path)
        monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
        monkeypatch.setenv("WANDB_SWEEP_PARAM_PATH", str(path))

    return arrange
