from pathlib import Path
from typing import Any

import pytest

from cola_sweep.errors import UserError
from cola_sweep.space import read_file, read_mapping
from cola_sweep.studies import options
from cola_sweep.studies.options import Pruner, Terminator
from tests.studies.conftest import sweep_config

SPACE: dict[str, Any] = {
    "lr": {"distribution": "log_uniform_values", "min": 1e-5, "max": 3e-4},
    "batch_size": {"values": [16, 32]},
    "checkpoint": {"values": ["pypi:all-minilm-l6-v2", "bert-base-cased", "roberta-base", "mine"]},
    "epochs": {"value": 5},
}


def read(search: Any, **parameters: Any) -> options.Options:
    return options.read(read_mapping(sweep_config(search, **(parameters or SPACE))))


def test_a_sweep_without_options_gets_the_defaults() -> None:
    found = read(None)
    assert list(found.branches[0].members) == ["lr", "batch_size", "checkpoint", "epochs"]
    assert (found.sampler, found.seed, found.pruner, found.terminator, found.first) == ("tpe", 1, Pruner(), None, ())


def test_everything_can_be_said() -> None:
    found = read(
        {
            "sampler": "gp", "startup": 5, "seed": 7, "pruner": {"type": "hyperband", "min_epochs": 2},
            "terminator": {"patience": 4, "trials": 9}, "first": [{"lr": 1e-4, "batch_size": 16.0}],
            "earlier": ["a/b/c"],
        }
    )  # fmt: skip
    assert read({"first": [{"lr": "1e-4"}]}).first == ({"lr": 1e-4},), "as YAML reads 1e-4"
    assert found.pruner == Pruner("hyperband", {"min_epochs": 2, "max_epochs": 5, "eta": 3})
    assert found.terminator == Terminator(4, 9)
    assert found.first == ({"lr": 1e-4, "batch_size": 16},)
    assert (found.sampler, found.startup, found.seed, found.earlier) == ("gp", 5, 7, ("a/b/c",))


def test_recipes_are_taken_as_far_as_they_lie_in_the_space() -> None:
    assert read({"recipes": True}).first == (
        {"checkpoint": "pypi:all-minilm-l6-v2", "lr": 1e-4, "batch_size": 32},
        {"checkpoint": "bert-base-cased", "lr": 2e-5, "batch_size": 32},
        {"checkpoint": "roberta-base", "lr": 1e-5, "batch_size": 16},
    )


@pytest.mark.parametrize(
    ("search", "where"),
    [
        ("tpe", ""),
        ({"samplers": "tpe"}, ".samplers"),
        ({"sampler": "tpw"}, ".sampler"),
        ({"seed": -1}, ".seed"),
        ({"seed": "1"}, ".seed"),
        ({"startup": True}, ".startup"),
        ({"pruner": "asha"}, ".pruner.type"),
        ({"pruner": {"type": "median", "eta": 3}}, ".pruner.eta"),
        ({"pruner": {"type": "hyperband", "eta": 1}}, ".pruner.eta"),
        ({"pruner": {"type": "hyperband", "min_epochs": 5}}, ".pruner.min_epochs"),
        ({"pruner": {"type": "wilcoxon", "p": 1.5}}, ".pruner.p"),
        ({"terminator": {"trials": 5}}, ".terminator.patience"),
        ({"terminator": 5}, ".terminator"),
        ({"first": {"lr": 1e-4}}, ".first"),
        ({"first": [{"lr": 1e-4}, {"learning_rate": 1e-4}]}, ".first[1].learning_rate"),
        ({"first": [{"lr": 1e-2}]}, ".first[0].lr"),
        ({"recipes": "all"}, ".recipes"),
        ({"earlier": "abc"}, ".earlier"),
        ({"earlier": ["cola/abc"]}, ".earlier"),
        ({"sampler": "cmaes"}, ".sampler"),  # checkpoints are no numbers
    ],
)
def test_a_wrong_option_is_named(search: Any, where: str) -> None:
    with pytest.raises(UserError) as caught:
        read(search)
    assert caught.value.where == f"parameters._search.value{where}"


def test_cmaes_needs_two_axes_and_hyperband_the_epochs() -> None:
    lr = SPACE["lr"]
    with pytest.raises(UserError, match="two parameters"):
        read({"sampler": "cmaes"}, lr=lr)
    assert read({"sampler": "cmaes"}, lr=lr, warmup={"min": 0.0, "max": 0.2}).sampler == "cmaes"
    with pytest.raises(UserError, match="needs the epochs"):
        read({"pruner": "hyperband"}, lr=lr)


def test_several_metrics_are_neither_pruned_nor_for_cmaes() -> None:
    config = sweep_config({"pruner": "median"}, **SPACE) | {
        "metric": None, "metrics": [{"name": "valid/mcc_best", "goal": "maximize"}, {"name": "cost/parameters"}],
    }  # fmt: skip
    with pytest.raises(UserError, match="not stopped early"):
        options.read(read_mapping(config))
    config["parameters"]["_search"]["value"] = {"sampler": "cmaes"}
    with pytest.raises(UserError, match="improves one metric"):
        options.read(read_mapping(config))


@pytest.mark.parametrize("sampler", ["gp", "cmaes"])
def test_a_sampler_that_needs_the_same_ranges_everywhere_says_so(sampler: str) -> None:
    with pytest.raises(UserError, match="and the values of encoder bring their own; write sampler: tpe"):
        read({"sampler": sampler}, encoder={"values": [{"lr": SPACE["lr"]}, {"lr": 1e-3}]})


def test_hyperband_reckons_with_the_longest_trial_of_any_choice() -> None:
    values = [{"checkpoint": "a", "epochs": {"values": [2, 9]}}, {"checkpoint": "b", "epochs": 4}]
    assert read({"pruner": "hyperband"}, encoder={"values": values}).pruner.numbers["max_epochs"] == 9


@pytest.mark.parametrize(
    ("parameters", "most"),
    [
        ({"epochs": {"value": "5"}}, 5),
        ({"epochs": {"values": [2, "7", None, {"a": 1}, "many"]}}, 7),
        ({"epochs": {"min": 2, "max": 6}}, 6),
        ({"cell": {"values": [{"lr": 1e-4, "epochs": 4}, {"part": {"epochs": 8}}]}}, 8),
        ({"epochs": {"value": None}}, None),
        ({"epochs": {"distribution": "q_normal", "mu": 5, "sigma": 1}}, None),
        ({"lr": SPACE["lr"]}, None),
    ],
)
def test_the_longest_trial_is_found_wherever_its_epochs_stand(parameters: Any, most: int | None) -> None:
    assert options.longest(read_mapping(sweep_config({}, **parameters)).branches) == most


@pytest.mark.parametrize("name", ["optuna", "pareto", "per_checkpoint"])
def test_the_sweep_files_can_be_read(name: str) -> None:
    found = options.read(read_file(Path(__file__).parents[2] / "sweeps" / f"{name}.yaml"))
    assert 1e-4 in found.first[0].values(), "a recipe"
    assert found.run_cap == 30
