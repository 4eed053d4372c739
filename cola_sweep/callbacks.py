"""Lightning callbacks: keep the best epoch, stop on request, fail on divergence, one line per epoch.

They decide and keep; what is logged of the best epoch is logged by `train`, however the fit ends.
Imports endings, metric_names, model and samples; torch and lightning.
"""

import logging
import math
import shutil
import signal
import time
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from torch import Tensor

from cola_sweep.endings import StopRequest, TrialFailed
from cola_sweep.metric_names import OBJECTIVE
from cola_sweep.model import Batch, save_model
from cola_sweep.samples import Predictions


def quiet_lightning() -> None:
    """Keep its tips and hints out of a trial's log; called after its import, which sets the level anew."""
    for name in ("pytorch_lightning", "lightning_fabric"):
        logging.getLogger(name).setLevel(logging.WARNING)
    # Lightning's own use of torch, which a newer torch deprecates.
    warnings.filterwarnings("ignore", message=r".*isinstance\(treespec, LeafSpec\)")


@dataclass(frozen=True)
class Best:
    """The best epoch so far; its weights lie in `BestEpoch.model`."""

    epoch: int  # counted from 0, as `epoch` is in the history
    metrics: dict[str, float]  # by name, as logged in that epoch
    predictions: Predictions

    @property
    def collapsed(self) -> bool:
        """Whether the model calls every sentence acceptable, or none."""
        return self.metrics["valid/positive_rate"] in (0.0, 1.0)


class BestEpoch(pl.Callback):
    """Keeps predictions and weights of the epoch with the highest `valid/mcc`, the first among equals.

    The weights lie in `folder`, below a name with the epoch's number.
    """

    def __init__(self, folder: Path, tokenizer: Any) -> None:
        self.best: Best | None = None
        self._folder = folder
        self._tokenizer = tokenizer
        self._kept: Path | None = None
        self._batches: list[tuple[Tensor, Tensor, Tensor]] = []

    @property
    def model(self) -> Path | None:
        """The folder with the best epoch's weights; None before there is one."""
        return self._folder / f"model-{self.best.epoch}" if self.best else None

    def keep(self) -> list[Path]:
        """The model's folder, if there is one; it stays, for a checkpoint refers to it, until this is called again."""
        self._kept = self.model
        return [self._kept] if self._kept else []

    def on_validation_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._batches = []

    def on_validation_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Batch, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self._batches.append((batch["index"], batch["labels"], outputs))

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        if trainer.sanity_checking:
            return
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items() if name.startswith("valid/")}
        if is_better(metrics[OBJECTIVE], self.best.metrics[OBJECTIVE] if self.best else None):
            before = self.model
            self.best = Best(trainer.current_epoch, metrics, in_order(self._batches))
            assert self.model
            save_model(pl_module, self._tokenizer, self.model)  # type: ignore[arg-type]
            if before and before not in (self.model, self._kept):
                shutil.rmtree(before)

    def state_dict(self) -> dict[str, Any]:
        """Of tensors and plain values alone, as a checkpoint may hold."""
        if self.best is None:
            return {}
        predictions = {name: torch.from_numpy(column) for name, column in asdict(self.best.predictions).items()}
        return {"epoch": self.best.epoch, "metrics": self.best.metrics, "predictions": predictions}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        if state_dict:
            predictions = {name: column.numpy() for name, column in state_dict["predictions"].items()}
            self.best = Best(state_dict["epoch"], state_dict["metrics"], Predictions(**predictions))
        self.keep()


def is_better(value: float, best: float | None) -> bool:
    """Whether `value` is above `best`; NaN never is, and anything else is above None."""
    return not math.isnan(value) and (best is None or value > best)


def in_order(batches: list[tuple[Tensor, Tensor, Tensor]]) -> Predictions:
    """One epoch's batches (index, labels, logits), in the order of the split."""
    index, labels, logits = (torch.cat(column).cpu() for column in zip(*batches, strict=True))
    order = index.argsort()
    return Predictions(index[order].numpy(), labels[order].numpy(), logits[order].double().numpy())


class StopOnRequest(pl.Callback):
    """Ends the fit on every rank at the next batch once a signal came to one of them: the agent's reaches one alone."""

    def __init__(self, request: StopRequest) -> None:
        self._request = request

    def on_train_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._check(trainer)

    def on_validation_batch_end(self, trainer: pl.Trainer, *_: Any) -> None:
        self._check(trainer)

    def _check(self, trainer: pl.Trainer) -> None:
        if trainer.strategy.reduce_boolean_decision(self._request.signum is not None, all=False):
            self._request.signum = self._request.signum or signal.SIGTERM
            self._request.check()


class FailOnDivergence(pl.Callback):
    """Ends the fit when a loss is no longer finite: the weights then never recover.

    Looks every `log_every_n_steps`, since each look makes a GPU wait.
    """

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if trainer.global_step % trainer.log_every_n_steps == 0:  # type: ignore[attr-defined]
            self._check("train/loss", float(outputs["loss"]), trainer)

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._check("valid/loss", float(trainer.callback_metrics["valid/loss_epoch"]), trainer)

    @staticmethod
    def _check(name: str, loss: float, trainer: pl.Trainer) -> None:
        if not math.isfinite(loss):
            raise TrialFailed(
                f"diverged: {name} is {loss} at step {trainer.global_step}, epoch {trainer.current_epoch + 1}"
            )


class EpochLines(pl.Callback):
    """One line per epoch, for logs; on a terminal Lightning's progress bar shows more."""

    def __init__(self) -> None:
        self._started = 0.0

    def on_train_epoch_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._started = time.monotonic()

    def on_train_epoch_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        shown = ("train/loss_epoch", "valid/loss_epoch", "valid/acc", OBJECTIVE)
        values = "  ".join(f"{name} {float(trainer.callback_metrics[name]):.4f}" for name in shown)
        seconds = time.monotonic() - self._started
        print(f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}  {values}  {seconds:.1f} s")
