"""The parameters of a sweep, and its configurations."""

from typing import Any

import pandas as pd
import pytest

from cola_sweep.analysis.swept import configurations, setting_columns, swept_parameters


@pytest.mark.parametrize(
    ("spec", "values", "scale"),
    [
        ({"distribution": "log_uniform_values", "min": 1e-5, "max": 2e-5}, [1e-5, 2e-5], "log"),
        ({"min": 0.0, "max": 0.5}, [0.1, 0.3], "linear"),
        ({"min": 1e-6, "max": 1.0}, [1e-6, 0.5], "log"),
        ({"values": [16, 32]}, [16, 32], "categorical"),
        ({"distribution": "categorical_w_probabilities"}, ["cls", "mean"], "categorical"),
    ],
)
def test_the_axis_fits_the_parameter(spec: dict[str, Any], values: list[Any], scale: str) -> None:
    (parameter,) = swept_parameters({"parameters": {"p": spec}}, pd.DataFrame({"config.p": values}))
    assert (parameter.column, parameter.name, parameter.scale) == ("config.p", "p", scale)


def test_constants_are_not_swept_and_nested_parameters_are_found() -> None:
    config = {
        "parameters": {
            "epochs": {"value": 3}, "seed": {"values": [1]}, "unused": {"values": [1, 2]},
            "optimizer": {"parameters": {"lr": {"min": 0.1, "max": 0.2}}},
        }
    }  # fmt: skip
    runs = pd.DataFrame({"config.epochs": [3, 3], "config.seed": [1, 1], "config.optimizer.lr": [0.1, 0.15]})
    assert [parameter.name for parameter in swept_parameters(config, runs)] == ["optimizer.lr"]


def test_without_a_declaration_what_varies_counts_as_swept() -> None:
    runs = pd.DataFrame({"config.a": [1, 1], "config.b": [1, 2], "provenance.device": ["x", "y"]})
    assert [parameter.name for parameter in swept_parameters({}, runs)] == ["b"]


def test_a_parameter_called_parameters_is_no_tree() -> None:
    config = {"parameters": {"parameters": {"values": [1, 2]}}}
    assert [p.name for p in swept_parameters(config, pd.DataFrame({"config.parameters": [1, 2]}))] == ["parameters"]


def test_values_that_are_mappings_count_by_what_differs_between_them() -> None:
    config = {"parameters": {"loss": {"values": [{"name": "ce", "weight": 1}, {"name": "focal", "weight": 1}]}}}
    runs = pd.DataFrame({"config.loss.name": ["ce", "focal"], "config.loss.weight": [1, 1]})
    assert [parameter.column for parameter in swept_parameters(config, runs)] == ["config.loss.name"]


@pytest.mark.parametrize(("name", "is_seed"), [("seed", 1), ("trainer.seed", 1), ("data_seed", 1), ("seeds_kept", 0)])
def test_seeds_are_known_by_name(name: str, is_seed: int) -> None:
    config = {"parameters": {name: {"values": [1, 2]}}}
    (parameter,) = swept_parameters(config, pd.DataFrame({f"config.{name}": [1, 2]}))
    assert parameter.is_seed == bool(is_seed)
    assert setting_columns([parameter]) == ([] if is_seed else [f"config.{name}"])


def test_configurations_are_numbered_in_the_order_in_which_they_occur() -> None:
    runs = pd.DataFrame({"config.lr": [1, 1, 2, 1], "config.decay": [None, None, 0.1, 0.1]})
    assert configurations(runs, ["config.lr", "config.decay"]).tolist() == [0, 0, 1, 2]
    assert configurations(runs, []).tolist() == [0] * 4
