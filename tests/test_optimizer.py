"""AdamW's groups for the encoders that the sweeps use, and the learning rate from step to step."""

from pathlib import Path
from typing import Any, cast

import pytest
import torch
from pytorch_lightning.plugins import MixedPrecision
from torch import nn
from transformers import (
    AlbertConfig,
    AlbertModel,
    BertConfig,
    BertModel,
    DistilBertConfig,
    DistilBertModel,
    ElectraConfig,
    ElectraModel,
    MPNetConfig,
    MPNetModel,
    PreTrainedModel,
)

from cola_sweep.checkpoints import load_encoder, resolve
from cola_sweep.config import TrialConfig
from cola_sweep.errors import UserError
from cola_sweep.optimizer import adamw, layer_depths, learning_rate_factor, parameter_groups

SMALL = {"vocab_size": 11, "hidden_size": 4, "num_attention_heads": 2, "intermediate_size": 6}
LAYERS = 3


def encoder_of(kind: str) -> PreTrainedModel:
    if kind == "bert":
        return BertModel(BertConfig(num_hidden_layers=LAYERS, **SMALL), add_pooling_layer=False)
    if kind == "mpnet":
        return MPNetModel(MPNetConfig(num_hidden_layers=LAYERS, **SMALL), add_pooling_layer=False)
    if kind == "electra":  # its embeddings are narrower than its layers
        return ElectraModel(ElectraConfig(num_hidden_layers=LAYERS, embedding_size=2, **SMALL))
    return DistilBertModel(DistilBertConfig(n_layers=LAYERS, vocab_size=11, dim=4, n_heads=2, hidden_dim=6))


LAYER_NAMES = {
    "bert": "encoder.layer.", "mpnet": "encoder.layer.", "electra": "encoder.layer.", "distilbert": "transformer.layer."
}  # fmt: skip


def expected_depth(kind: str, name: str) -> int:
    """Written out by the architectures' own names."""
    if name.startswith(LAYER_NAMES[kind]):
        return int(name.removeprefix(LAYER_NAMES[kind])[0]) + 1
    if name.startswith("encoder.relative_attention_bias."):
        return LAYERS
    assert name.startswith(("embeddings.", "embeddings_project."))
    return 0


@pytest.mark.parametrize("kind", LAYER_NAMES)
@pytest.mark.parametrize("layer_decay", [1.0, 0.5])
def test_each_parameter_has_the_rate_of_its_layer_and_the_decay_of_its_shape(kind: str, layer_decay: float) -> None:
    encoder, head = encoder_of(kind), nn.Linear(4, 2)
    config = TrialConfig(lr=8.0, lr_layer_decay=layer_decay, weight_decay=0.3)
    got = {
        id(parameter): (group["lr"], group["weight_decay"])
        for group in parameter_groups(encoder, head, config)
        for parameter in group["params"]
    }
    wanted = {}
    for name, parameter in encoder.named_parameters():
        exempt = name.endswith("bias") or "LayerNorm" in name or "layer_norm" in name
        lr = 8.0 * layer_decay ** (LAYERS + 1 - expected_depth(kind, name))
        wanted[id(parameter)] = (lr, 0.0 if exempt else 0.3)
    wanted |= {id(head.weight): (8.0, 0.3), id(head.bias): (8.0, 0.0)}
    assert got == wanted


def test_without_layer_decay_there_are_two_groups_and_each_parameter_is_in_one() -> None:
    encoder, head = encoder_of("bert"), nn.Linear(4, 2)
    decayed, exempt = parameter_groups(encoder, head, TrialConfig(weight_decay=0.3))
    assert (decayed["weight_decay"], exempt["weight_decay"]) == (0.3, 0.0)
    assert len(decayed["params"]) + len(exempt["params"]) == len([*encoder.parameters(), *head.parameters()])


def test_what_is_frozen_is_left_out() -> None:
    encoder, head = encoder_of("bert"), nn.Linear(4, 2)
    encoder.embeddings.requires_grad_(False)
    groups = parameter_groups(encoder, head, TrialConfig())
    members = {id(parameter) for group in groups for parameter in group["params"]}
    assert not members & {id(parameter) for parameter in encoder.embeddings.parameters()}
    assert len(members) == len([*encoder.encoder.parameters(), *head.parameters()])


def test_a_truncated_encoder_counts_the_layers_it_has(tiny_checkpoint: Path) -> None:
    depths = layer_depths(load_encoder(resolve(f"{tiny_checkpoint}[:1]")))
    assert set(depths.values()) == {0, 1}


def test_layers_that_share_their_weights_have_no_rates_of_their_own() -> None:
    albert = AlbertModel(AlbertConfig(num_hidden_layers=2, embedding_size=2, **SMALL), add_pooling_layer=False)
    assert parameter_groups(albert, nn.Linear(4, 2), TrialConfig())
    with pytest.raises(UserError, match=r"config\.lr_layer_decay: .*layers of AlbertModel cannot be told apart"):
        parameter_groups(albert, nn.Linear(4, 2), TrialConfig(lr_layer_decay=0.9))


def test_the_schedule_moves_all_rates_in_proportion() -> None:
    encoder, head = encoder_of("bert"), nn.Linear(4, 2)
    optimizer = adamw(encoder, head, TrialConfig(lr=1.0, lr_layer_decay=0.5))
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: learning_rate_factor(step, 0, 2))
    optimizer.step()
    schedule.step()
    assert sorted({group["lr"] for group in optimizer.param_groups}) == [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2]


@pytest.mark.parametrize(("warmup", "total"), [(0, 1), (0, 10), (3, 10), (9, 10)])
def test_learning_rate_rises_to_its_peak_once_and_falls_to_0(warmup: int, total: int) -> None:
    factors = [learning_rate_factor(step, warmup, total) for step in range(total)]
    assert factors[warmup] == max(factors) == 1.0
    assert factors[: warmup + 1] == sorted(factors[: warmup + 1])
    assert factors[warmup:] == sorted(factors[warmup:], reverse=True)
    assert min(factors) > 0
    assert learning_rate_factor(total, warmup, total) == 0.0
    assert learning_rate_factor(total + 1, warmup, total) == 0.0


def test_gradients_are_clipped_under_autocast_too() -> None:
    weights = nn.Linear(2, 2)
    optimizer = adamw(cast(Any, nn.Linear(2, 2)), weights, TrialConfig())
    weights.weight.grad = torch.full_like(weights.weight, 100.0)
    MixedPrecision("bf16-mixed", "cpu").clip_gradients(optimizer, 1.0)
    assert float(weights.weight.grad.norm()) == pytest.approx(1.0, abs=1e-3)
