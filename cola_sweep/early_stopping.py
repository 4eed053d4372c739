"""Ends a trial whose objective has stopped rising.

Not Lightning's own callback, which would end a trial that has yet to begin learning. Imports
callbacks and metric_names; lightning.
"""

from typing import Any

import pytorch_lightning as pl

from cola_sweep.callbacks import is_better
from cola_sweep.metric_names import OBJECTIVE


class EarlyStopping(pl.Callback):
    """Ends the fit after `patience` epochs in a row without a `valid/mcc` above the best so far.

    Epochs in which the model predicts one class only do not count until one of them has not: an encoder that is
    fine-tuned often does so at first, and then learns (on CoLA, MiniLM-L6 in its first epoch). Whether such a trial
    is hopeless is for the sweep's `early_terminate` to say, which compares it with others.
    """

    def __init__(self, patience: int) -> None:
        self._patience = patience
        self._best: float | None = None
        self._waited = 0

    def on_validation_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        value, positive_rate = (float(trainer.callback_metrics[name]) for name in (OBJECTIVE, "valid/positive_rate"))
        if self._best is None and positive_rate in (0.0, 1.0):
            return
        self._waited += 1
        if is_better(value, self._best):
            self._best, self._waited = value, 0
        if self._waited >= self._patience:
            trainer.should_stop = True

    def state_dict(self) -> dict[str, Any]:
        return {"best": self._best, "waited": self._waited}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self._best, self._waited = state_dict["best"], state_dict["waited"]
