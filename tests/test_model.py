import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import pytorch_lightning as pl
import torch
from torch import nn

from cola_sweep.checkpoints import Checkpoint, load_encoder, load_tokenizer, resolve
from cola_sweep.config import TrialConfig
from cola_sweep.errors import UserError
from cola_sweep.model import (
    FIRST_TOKEN_SUFFICES,
    LONG_TRIAL,
    AcceptabilityModel,
    class_weights,
    compile_encoder,
    finish_first_token_only,
    load_model,
    pool,
    save_model,
)
from tests.conftest import WORDS


@pytest.fixture
def checkpoint(tiny_checkpoint: Path) -> Checkpoint:
    return resolve(str(tiny_checkpoint))


def batch(checkpoint: Checkpoint, *sentences: str, pad_to: int | None = None) -> dict[str, torch.Tensor]:
    tokenizer = load_tokenizer(checkpoint)
    padding = {"padding": "max_length", "max_length": pad_to} if pad_to else {"padding": True}
    return dict(tokenizer(list(sentences), return_tensors="pt", **padding))


def test_pooling_reads_the_first_token_or_the_mean_without_padding() -> None:
    hidden = torch.tensor([[[1.0, 2.0], [3.0, 6.0], [100.0, 100.0]]])
    mask = torch.tensor([[1, 1, 0]])
    assert pool(hidden, mask, "cls").tolist() == [[1.0, 2.0]]
    assert pool(hidden, mask, "mean").tolist() == [[2.0, 4.0]]


@pytest.mark.parametrize("pooling", ["cls", "mean"])
def test_padding_does_not_change_the_answer(checkpoint: Checkpoint, pooling: str) -> None:
    config = TrialConfig.from_mapping({"pooling": pooling})
    model = AcceptabilityModel(load_encoder(checkpoint, None), config).eval()
    with torch.inference_mode():
        short = model(batch(checkpoint, "the cat sees"))
        padded = model(batch(checkpoint, "the cat sees", pad_to=20))
    torch.testing.assert_close(short, padded)
    assert short.shape == (1, 2)


@pytest.mark.parametrize("architecture", FIRST_TOKEN_SUFFICES)
def test_a_first_token_alone_has_the_value_and_the_gradients_it_had_among_all(architecture: str) -> None:
    from transformers import AutoConfig, AutoModel

    sizes = {"hidden_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 16}
    more = {"vocab_size": 30, "embedding_size": 8, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    torch.manual_seed(0)
    encoder = AutoModel.from_config(AutoConfig.for_model(architecture, **sizes, **more))
    ids = torch.tensor([[5, 6, 7, 8], [9, 10, 1, 1]])
    inputs = {"input_ids": ids, "attention_mask": (ids != 1).long()}

    def run() -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        encoder.zero_grad()
        first = encoder(**inputs).last_hidden_state[:, 0]
        first.square().sum().backward()
        return first.detach(), {name: p.grad for name, p in encoder.named_parameters() if p.grad is not None}

    before = run()
    finish_first_token_only(encoder)
    assert encoder(**inputs).last_hidden_state.shape == (2, 1, 8)
    torch.testing.assert_close(run(), before)


def test_mean_pooling_and_unknown_architectures_keep_all_tokens(checkpoint: Checkpoint) -> None:
    tokens = batch(checkpoint, "the cat sees")
    encoder = load_encoder(checkpoint)
    AcceptabilityModel(encoder, TrialConfig(pooling="mean"))
    encoder.config.model_type = "other"
    finish_first_token_only(encoder)
    assert encoder(**tokens).last_hidden_state.shape == (1, 5, 16)


def test_balanced_weights_let_both_classes_count_alike() -> None:
    labels = torch.tensor([1, 1, 1, 0])
    weights = class_weights("balanced", labels)
    assert weights is not None
    assert weights.tolist() == pytest.approx([2.0, 2 / 3])
    assert weights[labels].mean() == pytest.approx(1.0)
    assert class_weights("balanced", torch.tensor([1, 1]))[1] == 1.0  # type: ignore[index]
    assert class_weights("none", labels) is None


def test_the_training_loss_is_weighted_by_class_and_smoothed(checkpoint: Checkpoint) -> None:
    logits, labels = torch.tensor([[0.3, -0.2], [1.0, 0.5], [-0.7, 0.9]]), torch.tensor([1, 0, 1])
    model = AcceptabilityModel(
        load_encoder(checkpoint), TrialConfig(label_smoothing=0.2), weights=torch.tensor([3.0, 0.5])
    )
    logs = logits.log_softmax(dim=1)
    by_sentence = [-(0.9 * logs[row, label] + 0.1 * logs[row, 1 - label]) for row, label in enumerate(labels.tolist())]
    wanted = (0.5 * by_sentence[0] + 3.0 * by_sentence[1] + 0.5 * by_sentence[2]) / 3
    torch.testing.assert_close(model.training_loss(logits, labels), wanted)


@dataclass
class Batches:
    """Not the list itself, which Lightning would take for several loaders."""

    of: list[dict[str, torch.Tensor]]

    def __len__(self) -> int:
        return len(self.of)

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        return iter(self.of)


def trained(
    checkpoint: Checkpoint, batches: Batches, callbacks: Sequence[pl.Callback] = (), **settings: Any
) -> AcceptabilityModel:
    """Two epochs of training on these batches."""
    torch.manual_seed(0)
    config = TrialConfig(dropout=0.0, epochs=2, lr=0.01, grad_clip=0.5, **settings)
    model = AcceptabilityModel(load_encoder(checkpoint, 0.0), config)
    trainer = pl.Trainer(
        accelerator="cpu", max_epochs=2, accumulate_grad_batches=config.accumulate, gradient_clip_val=0.5,
        callbacks=list(callbacks), logger=False, enable_checkpointing=False, enable_model_summary=False,
        enable_progress_bar=False,
    )  # fmt: skip
    trainer.fit(model, batches)
    return model


# Lightning's own use of torch, which a newer torch deprecates; and that nothing is validated here.
fitting = pytest.mark.filterwarnings(
    r"ignore:.*isinstance\(treespec, LeafSpec\)", "ignore:.*but have no `val_dataloader`"
)


@fitting
def test_training_loss_and_accuracy_are_in_the_progress_bar_by_step_and_epoch(checkpoint: Checkpoint) -> None:
    rows = batch(checkpoint, "the cat sees", "sees the cat") | {"labels": torch.tensor([1, 0])}
    shown = trained(checkpoint, Batches([rows]), batch_size=2).trainer.progress_bar_metrics
    assert {f"train/{name}_{when}" for name in ("loss", "acc") for when in ("step", "epoch")} <= set(shown)


@fitting
def test_loss_and_accuracy_of_an_epoch_are_means_over_its_sentences(checkpoint: Checkpoint) -> None:
    steps = []

    class Steps(pl.Callback):
        def on_train_batch_end(self, trainer: pl.Trainer, _: Any, outputs: Any, batch: Any, __: int) -> None:
            steps.append((float(outputs["loss"]), float(trainer.callback_metrics["train/acc_step"])))

    one = batch(checkpoint, "the cat sees") | {"labels": torch.tensor([0])}
    four = batch(checkpoint, "sees the cat", "dog", "the dog", "sleeps .") | {"labels": torch.tensor([0, 1, 1, 1])}
    found = trained(checkpoint, Batches([one, four]), [Steps()], batch_size=4).trainer.callback_metrics
    wanted = [(of_one + 4 * of_four) / 5 for of_one, of_four in zip(*steps[-2:], strict=True)]
    assert [float(found[f"train/{name}_epoch"]) for name in ("loss", "acc")] == pytest.approx(wanted, abs=1e-6)


@fitting
def test_the_learning_rate_rises_over_its_share_of_the_optimizers_steps_and_falls(checkpoint: Checkpoint) -> None:
    rates = []

    class Rates(pl.Callback):
        def on_before_optimizer_step(self, _: Any, __: Any, optimizer: torch.optim.Optimizer) -> None:
            (rate,) = {group["lr"] for group in optimizer.param_groups}
            rates.append(rate)

    rows = batch(checkpoint, "the cat sees", "sees the cat") | {"labels": torch.tensor([1, 0])}
    trained(checkpoint, Batches([rows] * 10), [Rates()], batch_size=2, accumulate=2, warmup=0.3)
    shares = [1 / 4, 2 / 4, 3 / 4, 1, *(n / 7 for n in range(6, 0, -1))]
    assert rates == pytest.approx([0.01 * share for share in shares])


@fitting
def test_batches_that_are_accumulated_are_one_larger_batch(checkpoint: Checkpoint) -> None:
    """Also where a batch is short, and where the epoch ends within a step: 4 + 4, 3 + 4, 4."""
    sentences = [
        f"the {noun} {verb} {end}" for noun in ("cat", "dog") for verb in ("sees", "sleeps") for end in WORDS[5:10]
    ]
    rows = batch(checkpoint, *sentences[:19]) | {"labels": torch.arange(19) % 2, "index": torch.arange(19)}

    def cut(*sizes: int) -> Batches:
        columns = {key: value.split(sizes) for key, value in rows.items()}
        return Batches([{key: parts[i] for key, parts in columns.items()} for i in range(len(sizes))])

    small = trained(checkpoint, cut(4, 4, 3, 4, 4), batch_size=4, accumulate=2)
    large = trained(checkpoint, cut(8, 7, 4), batch_size=8)
    for one, other in zip(small.parameters(), large.parameters(), strict=True):
        # The keys' biases have no gradient but rounding, which Adam makes steps of.
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("settings", "device", "batches", "compiled"),
    [
        ({}, "cpu", 10**6, []), ({}, "cuda", LONG_TRIAL, [None]), ({}, "cuda", LONG_TRIAL - 1, []),
        ({"compile": "on"}, "cpu", 1, [None]), ({"compile": "off"}, "cuda", 10**6, []),
        ({"compile": "graphs"}, "cuda", 1, ["reduce-overhead"]),
        ({"compile": "graphs", "accumulate": 2}, "cuda", 1, [None]),
    ],
)  # fmt: skip
def test_an_encoder_is_compiled_by_itself_only_for_a_long_trial_on_a_gpu(
    settings: dict[str, Any], device: str, batches: int, compiled: list[str | None], monkeypatch: pytest.MonkeyPatch
) -> None:
    modes = []
    monkeypatch.setattr(nn.Module, "compile", lambda module, *, dynamic, mode: modes.append(mode))
    assert compile_encoder(nn.Linear(1, 1), TrialConfig(**settings), device, batches) is bool(compiled)
    assert modes == compiled


def test_the_trials_dropout_reaches_encoder_and_head(checkpoint: Checkpoint) -> None:
    model = AcceptabilityModel(load_encoder(checkpoint, 0.4), TrialConfig(dropout=0.4))
    assert {module.p for module in model.modules() if isinstance(module, nn.Dropout)} == {0.4}


def test_a_saved_model_answers_as_before_and_is_a_checkpoint(checkpoint: Checkpoint, tmp_path: Path) -> None:
    config = TrialConfig(pooling="mean", dropout=0.2, lr=3e-4)
    model = AcceptabilityModel(load_encoder(checkpoint, 0.2), config).eval()
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.2)
    save_model(AcceptabilityModel(load_encoder(checkpoint, None), config), load_tokenizer(checkpoint), tmp_path)
    save_model(model, load_tokenizer(checkpoint), tmp_path)  # a better epoch replaces the one before

    again = load_model(tmp_path)

    sentences = batch(checkpoint, "the cat sees the dog .", "sees the cat")
    with torch.inference_mode():
        assert torch.equal(model(sentences), again(sentences))
    assert again.config == config
    assert (
        load_tokenizer(resolve(str(tmp_path)))("the cat").input_ids
        == batch(checkpoint, "the cat")["input_ids"].squeeze().tolist()
    )


def test_a_compiled_encoder_is_saved_as_any_other(
    checkpoint: Checkpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The compiler takes 16 s to be imported; what counts here is that the module stays what it is.
    compiled = []
    monkeypatch.setattr(torch, "compile", lambda function, **_: lambda *a, **k: compiled.append(1) or function(*a, **k))
    model = AcceptabilityModel(load_encoder(checkpoint), TrialConfig()).eval()
    sentences = batch(checkpoint, "the cat sees the dog .", "sees the cat")
    with torch.inference_mode():
        plain = model(sentences)
        assert compile_encoder(model.encoder, TrialConfig(compile="on"), "cpu", 1)
        assert torch.equal(model(sentences), plain)
        assert compiled
        save_model(model, load_tokenizer(checkpoint), tmp_path)
        assert torch.equal(load_model(tmp_path)(sentences), plain)


def test_a_model_of_an_earlier_version_is_loaded(checkpoint: Checkpoint, tmp_path: Path) -> None:
    """Its configuration lacks the settings that came later, which then mean what was done before them."""
    save_model(AcceptabilityModel(load_encoder(checkpoint), TrialConfig()), load_tokenizer(checkpoint), tmp_path)
    trial = json.loads((tmp_path / "trial.json").read_text())
    for name in ("accumulate", "patience", "lr_layer_decay", "class_weights", "compile"):
        del trial[name]
    (tmp_path / "trial.json").write_text(json.dumps(trial))
    assert load_model(tmp_path).config == TrialConfig()


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        load_model(tmp_path)
