"""The state of a trial that is under way, on disk: written after each epoch, found again by who goes on with it.

    state.json     which trial this is, the rows that it has logged, and the other files with their hashes
    epoch-2.ckpt   Lightning's checkpoint, taken before epoch 2 (counted from 0)
    model-1/       the best epoch so far

`state.json` is put in place last, so whatever moment a kill strikes, the folder holds one whole state or none. Where
the folder lies, and how it gets to another machine, is for `unfinished`.

Imports callbacks, config, errors and replay; lightning, and wandb inside functions.
"""

import hashlib
import json
import os
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytorch_lightning as pl

from cola_sweep.callbacks import BestEpoch
from cola_sweep.config import Precision
from cola_sweep.errors import UserError
from cola_sweep.replay import Row, TrialLogger

STATE = "state.json"
# Work of less time is sooner done again than saved: 12 bytes per parameter, and the best epoch's model.
SAVE_SECONDS = 30.0


@dataclass(frozen=True)
class Saved:
    """Where a trial goes on: Lightning's checkpoint, the rows of metrics that led there, and in which precision."""

    checkpoint: Path | None = None
    rows: Sequence[Row] = ()
    precision: Precision | None = None


class EpochSeed(pl.Callback):
    """Lets the randomness of an epoch follow from seed and epoch alone, so that a resumed trial draws the same."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        (seed,) = np.random.SeedSequence((self._seed, trainer.current_epoch)).generate_state(1)
        pl.seed_everything(int(seed), workers=True, verbose=False)


class SaveEpochs(pl.Callback):
    """Writes the trial's state after each epoch but the last, unless the state before it is less than 30 s old.

    Lightning's checkpoint is taken in the hook that it is made for, but the state holds from the next epoch's start
    on: in between, the epoch's training metrics are logged.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], precision: Precision, best_epoch: BestEpoch,
        logger: TrialLogger, clock: Callable[[], float] = time.monotonic,
    ) -> None:  # fmt: skip
        self._folder = folder
        self._identity = identity
        self._precision: Precision = precision
        self._best_epoch = best_epoch
        self._logger = logger
        self._clock = clock
        self._saved_at = 0.0
        self._fresh: Path | None = None

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._saved_at = self._clock()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        last = trainer.should_stop or trainer.current_epoch + 1 == trainer.max_epochs
        due = not last and self._clock() - self._saved_at >= SAVE_SECONDS
        if trainer.strategy.reduce_boolean_decision(due, all=False):  # each rank has a clock of its own
            self._fresh = self._folder / f"epoch-{trainer.current_epoch + 1}.ckpt"
            trainer.save_checkpoint(self._fresh)

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if self._fresh and trainer.is_global_zero:
            parts = [self._fresh, *self._best_epoch.keep()]
            commit(self._folder, trainer.current_epoch, self._identity, parts, self._logger.rows, self._precision)
            self._saved_at = self._clock()
        self._fresh = None


def commit(
    folder: Path, epoch: int, identity: Mapping[str, Any], parts: Sequence[Path], rows: Sequence[Row] = (),
    precision: Precision = "fp32",
) -> None:  # fmt: skip
    """Make `parts`, files and folders in `folder`, its state; the first is the checkpoint. All else there goes."""
    files = [path for part in parts for path in ([part] if part.is_file() else sorted(part.iterdir()))]
    state = {
        "epoch": epoch,
        "checkpoint": parts[0].name,
        "files": {str(path.relative_to(folder)): digest(path) for path in files},
        "identity": identity,
        "rows": rows,
        "precision": precision,
    }
    fresh = folder / f"{STATE}.{os.getpid()}"
    fresh.write_text(json.dumps(state), encoding="utf-8")
    fresh.replace(folder / STATE)
    for path in folder.iterdir():
        if path not in parts and path.name != STATE:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_state(folder: Path) -> dict[str, Any] | None:
    """What `state.json` says; None if there is none, or none that is whole: then the folder is emptied."""
    try:
        state: dict[str, Any] = json.loads((folder / STATE).read_text(encoding="utf-8"))
        if {"epoch", "checkpoint", "identity", "rows", "precision"} <= state.keys() and all(
            (folder / name).is_file() and digest(folder / name) == expected for name, expected in state["files"].items()
        ):
            return state
    except FileNotFoundError:
        return None
    except (OSError, ValueError, LookupError, AttributeError):
        pass
    import wandb

    wandb.termwarn(f"the checkpoint in {folder} is damaged, and is not used")
    shutil.rmtree(folder, ignore_errors=True)
    return None


def find(folder: Path, identity: Mapping[str, Any]) -> Saved:
    """The state in `folder`, to go on from; an empty one if there is none.

    Args:
        identity: what decides the trial's result, as JSON values by name.

    Raises:
        UserError: the state is of a trial that differs.
    """
    if (state := read_state(folder)) is None:
        return Saved()
    begun = state["identity"]
    for name, value in identity.items():
        if begun.get(name) != value:
            raise UserError(
                name, got=value, rule=f"the run was begun with {begun.get(name)}, and goes on with nothing else",
                fix=f"put that back, begin another run, or remove {folder}",
            )  # fmt: skip
    print(f"resumed: {state['epoch']} epochs are done")
    return Saved(folder / state["checkpoint"], state["rows"], state["precision"])
