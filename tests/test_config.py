import argparse
import dataclasses
import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.config import RESERVED_KEYS, TrialConfig
from cola_sweep.errors import UserError, run_main

small = st.floats(0, 0.99)
configs = st.builds(
    TrialConfig,
    lr=st.floats(1e-9, 1.0),
    batch_size=st.integers(1, 4096),
    warmup=small,
    label_smoothing=small,
    dropout=st.none() | small,
    pooling=st.sampled_from(["cls", "mean"]),
    train_limit=st.none() | st.integers(2, 10**6),
    seed=st.integers(0, 2**32 - 1),
)


def from_flags(*flags: str) -> TrialConfig:
    parser = argparse.ArgumentParser()
    TrialConfig.add_arguments(parser)
    return TrialConfig.from_mapping(vars(parser.parse_args(flags)))


@given(configs)
def test_survives_json_and_a_server_that_shortens_numbers(config: TrialConfig) -> None:
    values = json.loads(json.dumps(config.to_mapping()))
    assert TrialConfig.from_mapping(values) == config
    shortened = {
        key: int(value) if isinstance(value, float) and value == int(value) else value for key, value in values.items()
    }
    assert TrialConfig.from_mapping(shortened) == config


@given(configs)
def test_survives_a_command_line(config: TrialConfig) -> None:
    flags = [f"--{key.replace('_', '-')}={value}" for key, value in config.to_mapping().items()]
    assert from_flags(*flags) == config


def test_defaults_without_any_flag_and_of_an_empty_config() -> None:
    assert from_flags() == TrialConfig.from_mapping({}) == TrialConfig()


@pytest.mark.parametrize(
    ("key", "value", "parsed"),
    [
        ("lr", "1e-5", 1e-5),  # YAML 1.1 reads it as text
        ("batch_size", 32.0, 32),
        ("batch_size", "64", 64),
        ("epochs", "3.0", 3),
        ("dropout", "null", None),
        ("dropout", 0, 0.0),
        ("train_limit", None, None),
    ],
)
def test_values_are_read_by_the_type_of_the_field(key: str, value: Any, parsed: Any) -> None:
    found = getattr(TrialConfig.from_mapping({key: value}), key)
    assert found == parsed
    assert type(found) is type(parsed)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("lr", "fast"), ("lr", 0), ("lr", -1e-5), ("lr", "nan"), ("lr", float("inf")), ("lr", True), ("lr", None),
        ("lr", [1e-5]), ("lr", {"value": 1e-5}), ("batch_size", 1.5), ("batch_size", 0), ("epochs", False),
        ("warmup", 1), ("dropout", 1.0), ("dropout", -0.1), ("pooling", "max"), ("pooling", None), ("max_length", 7),
        ("data", ""), ("data", 3), ("checkpoint", None), ("precision", "fp16"), ("seed", -1), ("train_limit", 1),
        ("seed", 2**32), ("epochs", 10**400),
    ],
)  # fmt: skip
def test_a_wrong_value_is_refused_in_one_line_with_key_and_value(key: str, value: Any, capsys: Any) -> None:
    def main() -> int:
        TrialConfig.from_mapping({key: value})
        return 0

    assert run_main(main) == 2
    (line,) = capsys.readouterr().err.splitlines()
    got = "null" if value is None else value
    assert line.startswith(f"error: config.{key}: got {got!r}; ")


@pytest.mark.parametrize(
    ("key", "near"),
    [("learning_rate", "use one of data, checkpoint, lr,"), ("batchsize", "'batch_size'"), ("Lr", "'lr'")],
)
def test_an_unknown_key_is_refused_by_name(key: str, near: str) -> None:
    with pytest.raises(UserError, match=rf"^config\.{key}: .*no such key") as caught:
        TrialConfig.from_mapping({key: 1})
    assert near in str(caught.value)


def test_keys_of_wandb_and_of_the_trial_itself_are_skipped() -> None:
    extra = {"_wandb": {"t": 1}, "_anything": None} | {key: {"data": "x"} for key in RESERVED_KEYS}
    assert TrialConfig.from_mapping(extra) == TrialConfig()


def test_every_field_has_help_and_a_default_that_meets_its_own_rule() -> None:
    assert TrialConfig.from_mapping(TrialConfig().to_mapping()) == TrialConfig()
    assert all(field.metadata["help"] for field in dataclasses.fields(TrialConfig))


def test_a_config_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        TrialConfig().lr = 1.0  # type: ignore[misc]


def test_a_mapping_ties_settings_together() -> None:
    tied = {"cell": {"lr": 1e-4, "batch_size": 8}, "seed": 3, "provenance": {"device": "cpu"}, "_wandb": {"t": {}}}
    config = TrialConfig.from_mapping(tied)
    assert (config.lr, config.batch_size, config.seed) == (1e-4, 8, 3)
    assert TrialConfig.from_mapping(tied | {"lr": 1e-4}) == config  # as a run's config has it once it was read
    assert TrialConfig.from_mapping({"cell": {"lr": "1e-4", "batch_size": 8}, "seed": 3, "lr": 1e-4}) == config
    assert TrialConfig.from_mapping({"a": {"b": tied}}) == config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"cell": {"lr": 1e-4}, "lr": 2e-4}, "config.cell.lr: got 0.0001; lr is set beside it; leave lr out"),
        ({"a": {"lr": 1.0}, "b": {"c": {"lr": 2.0}}}, "config.b.c.lr: got 2.0; lr is set beside it"),
        ({"cell": {"width": 4}}, "config.width: got 4; no such key"),
        ({"cell": {}}, "config.cell: got {}; no such key"),
        ({"lr": {"low": 1}}, "config.lr: got {'low': 1}; must be"),
    ],
)
def test_tied_settings_keep_the_rules(values: dict, message: str) -> None:
    with pytest.raises(UserError, match=re.escape(message)):
        TrialConfig.from_mapping(values)
