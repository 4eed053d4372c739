import math
import signal
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from cola_sweep.callbacks import Best, BestEpoch, EpochLines, FailOnDivergence, StopOnRequest, in_order, is_better
from cola_sweep.config import TrialConfig
from cola_sweep.endings import Stopped, StopRequest, TrialFailed
from cola_sweep.model import AcceptabilityModel
from cola_sweep.samples import Predictions

# Lightning's own use of torch, which a newer torch deprecates.
pytestmark = pytest.mark.filterwarnings(r"ignore:.*isinstance\(treespec, LeafSpec\)")

LABELS = (1, 0, 1, 1, 0)


class Scripted(nn.Module):
    """Stands for an encoder: its answer to row i is what the script says of it in this epoch."""

    config = SimpleNamespace(hidden_size=2)

    def __init__(self) -> None:
        super().__init__()
        self.answers = torch.zeros(len(LABELS), dtype=torch.long)
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> Any:
        answers = nn.functional.one_hot(self.answers[input_ids[:, 0]], 2).float() * 4
        return SimpleNamespace(last_hidden_state=(answers + self.weight).unsqueeze(1))

    def save_pretrained(self, folder: Any) -> None:
        (folder / "answers.txt").write_text(str(self.answers.tolist()))


class Script(pl.Callback):
    """Sets the encoder's answers for the validation of each epoch."""

    def __init__(self, *epochs: list[int]) -> None:
        self.epochs = epochs

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        pl_module.encoder.answers = torch.tensor(self.epochs[trainer.current_epoch])


class Batches:
    """The validation split in two batches, not in its order."""

    def __iter__(self) -> Any:
        for rows in ([4, 2], [0, 1, 3]):
            index = torch.tensor(rows)
            yield {
                "input_ids": index.unsqueeze(1),
                "attention_mask": torch.ones(len(rows), 1, dtype=torch.long),
                "labels": torch.tensor(LABELS)[index],
                "index": index,
            }

    def __len__(self) -> int:
        return 2


def fit(tmp_path: Any, epochs: list[list[int]], callbacks: list[pl.Callback], **options: Any) -> pl.Trainer:
    encoder: Any = Scripted()
    model = AcceptabilityModel(encoder, TrialConfig(lr=1e-12, epochs=len(epochs)), ["in", "in", "out", "out", "out"])
    nn.init.eye_(model.classifier.weight)
    nn.init.zeros_(model.classifier.bias)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=len(epochs), logger=False, enable_checkpointing=False, log_every_n_steps=1,
        enable_progress_bar=False, enable_model_summary=False, default_root_dir=tmp_path,
        callbacks=[Script(*epochs), *callbacks], **({"num_sanity_val_steps": 0} | options),
    )  # fmt: skip
    trainer.fit(model, Batches(), Batches())
    return trainer


TOKENIZER: Any = SimpleNamespace(save_pretrained=lambda folder: None)
ONE_WRONG, TWO_WRONG, OTHER_ONE_WRONG, ALL_ONES = [1, 0, 1, 1, 1], [1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]


def test_the_best_epoch_is_the_first_of_the_highest_mcc(tmp_path: Any) -> None:
    best_epoch = BestEpoch(tmp_path, TOKENIZER)
    fit(tmp_path, [TWO_WRONG, ONE_WRONG, OTHER_ONE_WRONG, TWO_WRONG], [best_epoch])
    best = best_epoch.best
    assert best is not None
    assert best.epoch == 1
    assert best.predictions.index.tolist() == [0, 1, 2, 3, 4]
    assert best.predictions.labels.tolist() == list(LABELS)
    assert best.predictions.predicted.tolist() == ONE_WRONG
    assert best_epoch.model == tmp_path / "model-1"
    assert (tmp_path / "model-1" / "answers.txt").read_text() == str(ONE_WRONG)
    assert [path.name for path in tmp_path.glob("model*")] == ["model-1"], "the one before is gone"
    assert best.metrics["valid/acc"] == pytest.approx(0.8)
    assert best.metrics["valid/loss_epoch"] == pytest.approx(best.predictions.loss.mean(), abs=1e-6)
    assert not best.collapsed


def test_a_first_epoch_with_mcc_0_is_kept_and_marked_collapsed(tmp_path: Any) -> None:
    best_epoch = BestEpoch(tmp_path, TOKENIZER)
    fit(tmp_path, [ALL_ONES, ALL_ONES], [best_epoch])
    assert best_epoch.best is not None
    assert best_epoch.best.epoch == 0
    assert best_epoch.best.metrics["valid/mcc"] == 0.0
    assert best_epoch.best.collapsed


def test_the_sanity_check_counts_for_nothing(tmp_path: Any) -> None:
    best_epoch = BestEpoch(tmp_path, TOKENIZER)

    class Sanity(pl.Callback):
        """The model answers better in the sanity check than it ever will again."""

        def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
            if trainer.sanity_checking:
                pl_module.encoder.answers = torch.tensor(LABELS)

    trainer = fit(tmp_path, [ALL_ONES], [Sanity(), best_epoch], num_sanity_val_steps=-1)
    assert best_epoch.best is not None
    assert best_epoch.best.metrics["valid/acc"] == pytest.approx(0.6)
    assert float(trainer.callback_metrics["valid/acc"]) == pytest.approx(0.6)


def test_every_metric_by_domain_is_kept_with_the_best(tmp_path: Any) -> None:
    best_epoch = BestEpoch(tmp_path, TOKENIZER)
    fit(tmp_path, [ONE_WRONG], [best_epoch])
    assert best_epoch.best is not None
    assert best_epoch.best.metrics["valid/mcc_in"] == pytest.approx(1.0)
    assert best_epoch.best.metrics["valid/mcc_out"] == 0.0


@pytest.mark.parametrize(
    ("value", "best", "better"),
    [(0.1, None, True), (-0.5, None, True), (0.1, 0.1, False), (0.2, 0.1, True), (0.0, 0.1, False),
     (math.nan, None, False), (math.nan, 0.1, False)],
)  # fmt: skip
def test_is_better(value: float, best: float | None, better: bool) -> None:
    assert is_better(value, best) is better


def test_in_order_puts_the_rows_of_a_part_of_the_split_in_its_order() -> None:
    batches = [
        (torch.tensor([9, 2]), torch.tensor([1, 0]), torch.tensor([[0.0, 1.0], [1.0, 0.0]])),
        (torch.tensor([5]), torch.tensor([1]), torch.tensor([[2.0, 3.0]])),
    ]
    found = in_order(batches)
    assert found.index.tolist() == [2, 5, 9]
    assert found.labels.tolist() == [0, 1, 1]
    assert found.logits.tolist() == [[1, 0], [2, 3], [0, 1]]


def test_a_model_that_never_says_acceptable_is_collapsed_too() -> None:
    none = Predictions(np.array([0]), np.array([1]), np.array([[1.0, 0.0]]))
    assert Best(0, {"valid/positive_rate": 0.0}, none).collapsed
    assert not Best(0, {"valid/positive_rate": 0.5}, none).collapsed


class Poison(pl.Callback):
    """Makes the weights NaN before the n-th training batch, or before validation."""

    def __init__(self, step: int | None = None) -> None:
        self.step = step

    def on_train_batch_start(self, trainer: pl.Trainer, pl_module: Any, batch: Any, batch_idx: int) -> None:
        if trainer.global_step == self.step:
            pl_module.classifier.weight.data.fill_(math.nan)

    def on_validation_start(self, trainer: pl.Trainer, pl_module: Any) -> None:
        if self.step is None:
            pl_module.classifier.weight.data.fill_(math.nan)


@pytest.mark.parametrize(
    ("step", "reason"), [(1, "train/loss is nan at step 2, epoch 1"), (None, "valid/loss is nan at step 2, epoch 1")]
)
def test_a_loss_that_is_not_finite_ends_the_fit_and_is_never_the_best(
    tmp_path: Any, step: int | None, reason: str
) -> None:
    best_epoch = BestEpoch(tmp_path, TOKENIZER)
    with pytest.raises(TrialFailed, match=reason):
        fit(tmp_path, [ONE_WRONG, ONE_WRONG], [FailOnDivergence(), Poison(step), best_epoch])
    assert best_epoch.best is None


@pytest.mark.parametrize("hook", ["on_train_batch_end", "on_validation_batch_end"])
def test_a_signal_to_one_rank_stops_every_rank_at_the_same_batch(hook: str) -> None:
    """Threads stand for the processes, and for their strategy its one word that matters: whether any rank says so."""
    requests = StopRequest(), StopRequest()
    said = [False, False]
    together = threading.Barrier(2, timeout=300)
    ended: dict[int, tuple[int, int]] = {}

    def process(rank: int) -> None:
        def any_says(decision: bool, all: bool) -> bool:
            said[rank] = decision
            together.wait()
            decided = any(said)
            together.wait()
            return decided

        trainer: Any = SimpleNamespace(strategy=SimpleNamespace(reduce_boolean_decision=any_says))
        for batch in range(5):
            if (rank, batch) == (1, 3):  # the agent's signal reaches one process alone
                requests[rank].signum = signal.SIGTERM
            try:
                getattr(StopOnRequest(requests[rank]), hook)(trainer)
            except Stopped as error:
                ended[rank] = batch, error.signum
                return

    ranks = [threading.Thread(target=process, args=(rank,)) for rank in (0, 1)]
    for thread in ranks:
        thread.start()
    for thread in ranks:
        thread.join()
    assert ended == {0: (3, signal.SIGTERM), 1: (3, signal.SIGTERM)}


def test_one_line_per_epoch(tmp_path: Any, capsys: pytest.CaptureFixture[str]) -> None:
    fit(tmp_path, [TWO_WRONG, ONE_WRONG], [EpochLines()])
    first, second = (line for line in capsys.readouterr().out.splitlines() if line.startswith("epoch "))
    assert first.startswith("epoch 1/2  train/loss_epoch ")
    assert "valid/mcc 0.0000" in first
    assert "valid/mcc 0.6124" in second
