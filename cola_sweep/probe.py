"""How long the trials of a sweep take on this machine: a few steps of its cheapest and of its dearest settings.

Imports callbacks, checkpoints, config, cost, data, inputs, model, precision, space, sweep_rules and trainer;
lightning.
"""

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
from pytorch_lightning.loggers.logger import DummyLogger

from cola_sweep.callbacks import quiet_lightning
from cola_sweep.checkpoints import load_encoder, load_tokenizer
from cola_sweep.config import TrialConfig
from cola_sweep.cost import Cost, EnergyMeter
from cola_sweep.data import ColaDataModule
from cola_sweep.inputs import load_inputs
from cola_sweep.model import AcceptabilityModel
from cola_sweep.precision import choose
from cola_sweep.space import SweepSpec
from cola_sweep.sweep_rules import choices, extent
from cola_sweep.trainer import make_trainer

# Batches that are trained on, of which the first is not timed, and batches that are validated.
STEPS, VALIDATED = 8, 2


@dataclass(frozen=True)
class Probed:
    """Seconds of the fit of the cheapest and of the dearest trial, and the device."""

    cheapest: float
    dearest: float
    device: str


@dataclass(frozen=True)
class _Speed:
    """Seconds a sentence of training and of validation takes, of how many, on what."""

    training: float
    validation: float
    train: int
    valid: int
    device: str


def probe(spec: SweepSpec) -> Probed:
    """Time the settings of a sweep; what was timed once in this process is not timed again.

    Raises:
        UserError: a checkpoint or the corpus cannot be read.
    """
    seconds, device = [], ""
    for config in settings(spec):
        speed = _speed(replace(config, epochs=1, train_limit=None, valid_limit=None))
        train, valid = (config.train_limit or speed.train, config.valid_limit or speed.valid)
        epoch = min(train, speed.train) * speed.training + min(valid, speed.valid) * speed.validation
        seconds.append(config.epochs * epoch)
        device = speed.device
    return Probed(min(seconds), max(seconds), device)


def settings(spec: SweepSpec) -> Iterator[TrialConfig]:
    """What trials may be as far as their time depends on it: each listed value, of numbers the least and the most."""
    for branch in spec.branches:
        own = replace(spec, branches=(branch,))
        every: dict[str, list[Any]] = {
            name: sorted(set(extent(own, name))) for name in ("epochs", "batch_size", "max_length")
        }
        for name in ("checkpoint", "data", "train_limit", "valid_limit"):
            every[name] = [value for _, value in choices(own, name)] or [getattr(TrialConfig, name)]
        for values in product(*every.values()):
            yield TrialConfig.from_mapping(dict(zip(every, values, strict=True)))


@cache
def _speed(config: TrialConfig) -> _Speed:
    quiet_lightning()
    checkpoint, corpus = load_inputs(config)
    tokenizer = load_tokenizer(checkpoint)
    short = replace(
        config, train_limit=config.batch_size * STEPS, valid_limit=config.eval_batch_size * VALIDATED, compile="off"
    )
    data = ColaDataModule(short, corpus, tokenizer)
    model = AcceptabilityModel(load_encoder(checkpoint, config.dropout), short, corpus.valid.domains)
    bf16 = choose(config.precision, model.encoder.config, config.batch_size).name == "bf16"
    steps, cost, batches = _Steps(), Cost(EnergyMeter()), len(data.train_dataloader())
    with tempfile.TemporaryDirectory() as folder:
        trainer = make_trainer(short, batches, Path(folder), DummyLogger(), [steps, cost], bf16=bf16)
        trainer.fit(model, data)
    validation = cost.totals()["cost/seconds_per_1000"] / 1000
    device = trainer.strategy.root_device
    return _Speed(steps.seconds_a_sentence, validation, len(corpus.train), len(corpus.valid), device.type)


class _Steps(pl.Callback):
    """Times the sentences from the second batch on, if there is one: the first pays for what no other needs."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._first = self._last = 0.0
        self._sentences = 0

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        self._first = self._clock()

    def on_train_batch_end(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        self._last = self._clock()
        if batch_idx == 0 and trainer.num_training_batches > 1:
            self._first = self._last
        else:
            self._sentences += len(batch["labels"])

    @property
    def seconds_a_sentence(self) -> float:
        return (self._last - self._first) / self._sentences
