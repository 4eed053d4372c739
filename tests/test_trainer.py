"""Lightning's trainer, and that every setting of a trial reaches what is trained: nothing is fitted here."""

from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
import wandb

from cola_sweep.checkpoints import resolve
from cola_sweep.config import TrialConfig
from cola_sweep.corpus import load_corpus
from cola_sweep.early_stopping import EarlyStopping
from cola_sweep.endings import StopRequest, TrialFailed
from cola_sweep.train import train
from cola_sweep.trainer import LOG_EVERY, make_trainer


@pytest.mark.parametrize(
    ("batches", "accumulate", "every"), [(1000, 1, LOG_EVERY), (7, 1, 7), (7, 2, 4), (1, 4, 1), (1000, 100, LOG_EVERY)]
)
def test_an_epoch_of_few_steps_is_logged_too(tmp_path: Path, batches: int, accumulate: int, every: int) -> None:
    config = TrialConfig(accumulate=accumulate)
    trainer: Any = make_trainer(config, batches, tmp_path, pl.loggers.CSVLogger(tmp_path), [], bf16=False)
    assert (trainer.log_every_n_steps, trainer.accumulate_grad_batches) == (every, accumulate)
    assert list(tmp_path.iterdir()) == [], "nothing is written but by callbacks"


def test_the_trainer_is_as_the_trial_has_it(tmp_path: Path) -> None:
    def made(*, bf16: bool, **settings: Any) -> pl.Trainer:
        return make_trainer(TrialConfig(**settings), 9, tmp_path, pl.loggers.CSVLogger(tmp_path), [], bf16=bf16)

    one, other = made(bf16=True, epochs=4, grad_clip=0.7), made(bf16=False, grad_clip=0)
    assert (one.precision, one.max_epochs, one.gradient_clip_val, one.num_devices) == ("bf16-mixed", 4, 0.7, 1)
    assert (other.precision, other.gradient_clip_val) == ("32-true", None)


@pytest.fixture
def fitted(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What `fit` was given, and how the encoder was to be compiled; a fit runs out of memory at once."""
    seen: dict[str, Any] = {"compiled": []}

    def fit(trainer: pl.Trainer, model: Any, data: Any, **how: Any) -> None:
        seen.update(trainer=trainer, model=model, data=data, seed=torch.initial_seed())
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    monkeypatch.setattr(pl.Trainer, "fit", fit)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, **how: seen["compiled"].append((module, how)))
    return seen


def test_every_setting_reaches_what_is_trained_and_a_lack_of_memory_is_said_with_its_sizes(
    tiny_checkpoint: Path, tiny_corpus: Path, tmp_path: Path, fitted: dict[str, Any]
) -> None:
    config = TrialConfig(
        checkpoint=f"{tiny_checkpoint}[:1]", data=str(tiny_corpus), max_length=16, batch_size=8, eval_batch_size=7,
        train_limit=40, valid_limit=20, epochs=5, accumulate=2, dropout=0.3, class_weights="balanced", grad_clip=0.7,
        patience=2, precision="bf16", compile="on", seed=7,
    )  # fmt: skip
    with (
        wandb.init(mode="disabled", dir=tmp_path) as run,
        pytest.raises(TrialFailed, match=r"^out of memory with batch_size 8, eval_batch_size 7: CUDA out of memory"),
    ):
        train(run, config, resolve(config.checkpoint), load_corpus(config.data), StopRequest())
    trainer, model, data = (fitted[name] for name in ("trainer", "model", "data"))
    assert (trainer.precision, trainer.gradient_clip_val, trainer.max_epochs) == ("bf16-mixed", 0.7, 5)
    assert (trainer.accumulate_grad_batches, trainer.log_every_n_steps) == (2, 3)
    assert [type(each) for each in trainer.callbacks].count(EarlyStopping) == 1
    assert model.config == config
    labels = data.train_table["labels"]
    assert model.weights.tolist() == pytest.approx([20 / int((labels == label).sum()) for label in (0, 1)])
    assert {module.p for module in model.modules() if isinstance(module, torch.nn.Dropout)} == {0.3}
    assert len(model.encoder.encoder.layer) == 1
    assert fitted["compiled"] == [(model.encoder, {"dynamic": True, "mode": None})]
    assert fitted["seed"] == 7
    assert (len(data.train_table["index"]), len(data.valid_table["index"])) == (40, 20)
    assert len(data.train_dataloader()) == 5
    assert {"valid/mcc_in", "valid/mcc_out"} <= set(model.valid_metrics)
