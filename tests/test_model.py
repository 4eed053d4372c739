from pathlib import Path

import pytest
import torch
from torch import nn

from cola_sweep.checkpoints import Checkpoint, load_encoder, load_tokenizer, resolve
from cola_sweep.config import TrialConfig
from cola_sweep.errors import UserError
from cola_sweep.model import AcceptabilityModel, decay_groups, learning_rate_factor, load_model, pool, save_model


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


@pytest.mark.parametrize(("warmup", "total"), [(0, 1), (0, 10), (3, 10), (9, 10)])
def test_learning_rate_rises_to_its_peak_once_and_falls_to_0(warmup: int, total: int) -> None:
    factors = [learning_rate_factor(step, warmup, total) for step in range(total)]
    assert factors[warmup] == max(factors) == 1.0
    assert factors[: warmup + 1] == sorted(factors[: warmup + 1])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert min(factors) > 0
    assert learning_rate_factor(total, warmup, total) == 0.0
    assert learning_rate_factor(total + 1, warmup, total) == 0.0


def test_biases_and_norms_do_not_decay(checkpoint: Checkpoint) -> None:
    model = AcceptabilityModel(load_encoder(checkpoint, None), TrialConfig())
    decayed, exempt = decay_groups(model, 0.3)
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    assert (decayed["weight_decay"], exempt["weight_decay"]) == (0.3, 0.0)
    assert all(not (names[id(p)].endswith("bias") or "LayerNorm" in names[id(p)]) for p in decayed["params"])
    assert all(names[id(p)].endswith("bias") or "LayerNorm" in names[id(p)] for p in exempt["params"])
    assert len(decayed["params"]) + len(exempt["params"]) == len(list(model.parameters()))


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


def test_a_folder_without_weights_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"config\.json"):
        load_model(tmp_path)
