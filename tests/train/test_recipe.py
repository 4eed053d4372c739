"""Every setting of a trial, in combinations that nobody thought of: each trains the steps that it says."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import pytest
import torch
import wandb
from hypothesis import example, given, settings
from hypothesis import strategies as st

from cola_sweep import train as train_module
from cola_sweep import trainer as trainer_module
from cola_sweep.checkpoints import resolve
from cola_sweep.config import TrialConfig
from cola_sweep.corpus import load_corpus
from cola_sweep.endings import StopRequest
from cola_sweep.metrics import matthews
from tests.train.conftest import TRAIN_ROWS, VALID_ROWS

# What reaches the fit otherwise than by the test's own hand, or takes long here: compilers, other precisions.
ELSEWHERE = {"data", "checkpoint", "precision", "compile", "keep_models"}
SETTINGS: dict[str, st.SearchStrategy[Any]] = {
    "lr": st.floats(1e-6, 0.01),
    "batch_size": st.sampled_from([1, 7, 8, 48, 4096]),
    "accumulate": st.integers(1, 4),
    "epochs": st.integers(1, 3),
    "patience": st.none() | st.integers(1, 2),
    "warmup": st.floats(0, 0.99),
    "lr_layer_decay": st.floats(0.1, 1),
    "weight_decay": st.floats(0, 1),
    "grad_clip": st.sampled_from([0.0, 0.1, 1.0]),
    "label_smoothing": st.floats(0, 0.9),
    "class_weights": st.sampled_from(["none", "balanced"]),
    "dropout": st.none() | st.floats(0, 0.9),
    "pooling": st.sampled_from(["cls", "mean"]),
    "max_length": st.integers(8, 32),
    "eval_batch_size": st.integers(1, 40),
    "train_limit": st.none() | st.integers(2, 60),
    "valid_limit": st.none() | st.integers(2, 30),
    "seed": st.integers(0, 2**32 - 1),
}


def test_no_setting_is_forgotten_here() -> None:
    assert SETTINGS.keys() | ELSEWHERE == {field.name for field in dataclasses.fields(TrialConfig)}


@settings(max_examples=4)
@given(drawn=st.fixed_dictionaries({}, optional=SETTINGS))
@example(drawn={"batch_size": 7, "accumulate": 3, "class_weights": "balanced", "label_smoothing": 0.3})
@example(drawn={"batch_size": 4096, "accumulate": 2, "warmup": 0.99, "lr_layer_decay": 0.5, "pooling": "cls"})
@example(drawn={"train_limit": 2, "valid_limit": 2, "epochs": 1, "dropout": 0.0, "class_weights": "balanced"})
@example(drawn={"patience": 1, "epochs": 3, "lr": 1e-6, "eval_batch_size": 1, "max_length": 8, "grad_clip": 0.0})
def test_any_combination_of_settings_is_trained(
    drawn: dict[str, Any], tiny_checkpoint: Path, tiny_corpus: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    config = TrialConfig.from_mapping({"max_length": 16, "epochs": 2, **drawn, "data": str(tiny_corpus)})
    kept: list[Any] = []
    trainers: list[Any] = []
    real = trainer_module.make_trainer
    folder = tmp_path_factory.mktemp("recipe")
    with pytest.MonkeyPatch.context() as patch, wandb.init(mode="disabled", dir=folder) as run:
        patch.setattr(trainer_module, "make_trainer", lambda *a, **k: trainers.append(real(*a, **k)) or trainers[0])
        patch.setattr(train_module, "keep_best", lambda run, best_epoch, *_: kept.append(best_epoch.best))
        train_module.train(run, config, resolve(str(tiny_checkpoint)), load_corpus(config.data), StopRequest())
    (trainer,), (best,) = trainers, kept
    batches = math.ceil(min(config.train_limit or TRAIN_ROWS, TRAIN_ROWS) / config.batch_size)
    epochs = trainer.current_epoch
    assert epochs == config.epochs or (config.patience and config.patience < epochs < config.epochs)
    assert trainer.global_step == epochs * math.ceil(batches / config.accumulate)
    assert all(torch.isfinite(parameter).all() for parameter in trainer.lightning_module.parameters())
    assert len(best.predictions.index) == min(config.valid_limit or VALID_ROWS, VALID_ROWS)
    (tn, fp), (fn, tp) = best.predictions.counts.tolist()
    assert best.metrics["valid/mcc"] == pytest.approx(matthews(tn, fp, fn, tp), abs=1e-6)
