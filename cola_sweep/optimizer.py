"""How the weights are moved: AdamW's parameter groups, and the learning rate from step to step.

Imports config and errors; torch.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from cola_sweep.config import TrialConfig
from cola_sweep.errors import UserError

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def adamw(encoder: "PreTrainedModel", head: nn.Module, config: TrialConfig) -> torch.optim.AdamW:
    """AdamW over both, in one pass over the weights: torch's default on a CPU takes eight times as long."""
    optimizer = torch.optim.AdamW(parameter_groups(encoder, head, config), lr=config.lr, fused=True)
    # A fused step could undo a loss scale itself, for which Lightning refuses to clip gradients under autocast.
    # bfloat16 needs no such scale.
    optimizer._step_supports_amp_scaling = False
    return optimizer


def parameter_groups(encoder: "PreTrainedModel", head: nn.Module, config: TrialConfig) -> list[dict[str, Any]]:
    """Every parameter that is trained, once, in groups of one learning rate and one decay.

    Matrices decay; biases and the weights of norms, all vectors, do not. The learning rate of the head is `config.lr`
    and falls by `config.lr_layer_decay` from layer to layer, from the last to the embeddings (Clark et al. 2020,
    ELECTRA, appendix B; Bao et al. 2022, BEiT).

    Raises:
        UserError: rates are to fall from layer to layer, and the encoder's layers cannot be told.
    """
    depths = layer_depths(encoder) if config.lr_layer_decay != 1 else {}
    head_depth = max(depths.values(), default=0) + 1
    members = [(parameter, depths.get(name, head_depth)) for name, parameter in encoder.named_parameters()]
    members += [(parameter, head_depth) for parameter in head.parameters()]
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for parameter, depth in members:
        if parameter.requires_grad:
            lr = config.lr * config.lr_layer_decay ** (head_depth - depth)
            decay = config.weight_decay if parameter.ndim >= 2 else 0.0
            groups.setdefault((lr, decay), []).append(parameter)
    return [{"params": group, "lr": lr, "weight_decay": decay} for (lr, decay), group in groups.items()]


def layer_depths(encoder: "PreTrainedModel") -> dict[str, int]:
    """The layer of each of the encoder's parameters, by name: 0 for the embeddings, then 1 to the number of layers.

    What is registered before the layers belongs to the embeddings (ELECTRA's projection of them, say); what comes
    after, or is shared by all layers (MPNet's relative positions), belongs to the last layer.

    Raises:
        UserError: the encoder has no list of its layers, as where all share their weights (ALBERT).
    """
    count: int = encoder.config.num_hidden_layers
    lists = ((name, module) for name, module in encoder.named_modules() if isinstance(module, nn.ModuleList))
    prefix = next((f"{name}." for name, module in lists if len(module) == count), None)
    if prefix is None:
        raise UserError(
            "config.lr_layer_decay", rule=f"the layers of {type(encoder).__name__} cannot be told apart",
            fix="set it to 1",
        )  # fmt: skip
    depths, before = {}, True
    for name, _ in encoder.named_parameters():
        if name.startswith(prefix):
            before = False
            depths[name] = int(name.removeprefix(prefix).split(".")[0]) + 1
        else:
            depths[name] = 0 if before else count
    return depths


def learning_rate_factor(step: int, warmup_steps: int, total_steps: int) -> float:
    """Share of the peak learning rate at a step counted from 0: a line up, then a line down to 0 at `total_steps`.

    No step is trained at 0, the first included.
    """
    rising = (step + 1) / (warmup_steps + 1)
    falling = (total_steps - step) / (total_steps - warmup_steps)
    return max(0.0, min(rising, falling))
