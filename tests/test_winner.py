"""What is repeated, and what happens to the alias, against fakes of the API."""

import argparse
import dataclasses
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import wandb
import yaml

from cola_sweep import champion, figures, snapshot, space, winner
from cola_sweep.analysis.seeds import SeedComparison
from cola_sweep.config import TrialConfig
from cola_sweep.errors import UserError
from cola_sweep.stats import Interval
from tests.fake_sweep import CONFIG, PATH, FakeApi, FakeModel, FakeModels, FakeRun, FakeSweep, fake_runs

REPEATED = SimpleNamespace(repeats=object())
PROGRAM = {"program": "cola_sweep/train.py", "command": ["${env}", "python", "-m", "cola_sweep.train"]}


def taken(n: int = 12, **config: Any) -> snapshot.Snapshot:
    return snapshot.take(FakeApi([FakeSweep(config=CONFIG | PROGRAM | config)], fake_runs(n, sentences=20)), PATH)


def test_the_best_configurations_are_tied_cells_of_a_grid_over_fresh_seeds() -> None:
    source = taken()
    plan = winner.plan(source, best=2, seeds=3)
    parameters = plan["parameters"]
    ranked = snapshot.records.best_first(source.records, source.metric, source.goal)
    swept = ("batch_size", "checkpoint", "lr")
    assert parameters["cell"]["values"] == [{name: run.config[name] for name in swept} for run in ranked[:2]]
    assert parameters["seed"] == {"values": [2, 3, 4]}  # the first sweep had seed 1
    assert parameters["epochs"] == {"value": 4}
    assert parameters["keep_models"] == {"value": 6}
    assert (plan["entity"], plan["project"], plan["method"]) == ("ada", "cola-sweep", "grid")
    assert plan["metric"] == {"name": "valid/mcc", "goal": "maximize"}
    spec = space.read_mapping(yaml.safe_load(yaml.safe_dump(plan)))
    assert not spec.warnings
    for cell in parameters["cell"]["values"]:
        assert TrialConfig.from_mapping({"cell": cell, "seed": 2}).lr == cell["lr"]


def test_a_configuration_that_ran_twice_is_repeated_once() -> None:
    source = taken()
    first, second, *_ = snapshot.records.best_first(source.records, source.metric, source.goal)
    second.config.update(first.config | {"seed": 7})
    plan = winner.plan(source, best=2, seeds=2)
    lrs = [cell["lr"] for cell in plan["parameters"]["cell"]["values"]]
    assert len(set(lrs)) == 2
    assert lrs[0] == first.config["lr"]
    assert plan["parameters"]["seed"]["values"] == [8, 9]


def test_groups_and_tied_settings_become_settings_of_the_cell() -> None:
    source = taken(parameters={"cell": {"values": []}, "data": {"parameters": {"data_seed": {}, "train_limit": {}}}})
    for record in source.records:
        record.config.update(cell={"lr": 1e-4, "batch_size": 8}, data={"train_limit": 50, "data_seed": 3})
    (cell, *_) = winner.plan(source, best=1, seeds=2)["parameters"]["cell"]["values"]
    assert cell == {"lr": 1e-4, "batch_size": 8, "train_limit": 50}


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (taken(program="theirs.py", command=None), "its program does not read tied settings"),
        (taken(0), "no run finished with a value"),
    ],
)
def test_what_cannot_be_repeated_is_one_line(source: snapshot.Snapshot, message: str) -> None:
    with pytest.raises(UserError, match=message):
        winner.plan(source, best=2, seeds=2)


def repeated(plan: dict[str, Any], *states: str) -> tuple[FakeSweep, list[FakeRun]]:
    """The sweep of a plan of two configurations and two seeds, and its trials in this order, which ended so."""
    sweep, runs = FakeSweep("ada/cola-sweep/seeds", config=plan), fake_runs(len(states), sentences=20)
    for place, (run, state) in enumerate(zip(runs, states, strict=True)):
        run.state = state
        run.config = {"cell": plan["parameters"]["cell"]["values"][place // 2], "seed": 2 + place % 2}
    return sweep, runs


@pytest.mark.parametrize(
    ("state", "trials", "taken_up"),
    [
        ("FINISHED", ["finished"] * 4, True),
        ("RUNNING", ["finished", "killed"], True),  # interrupted: it goes on
        ("PENDING", [], True),
        ("CANCELED", ["finished"] * 4, False),
        ("FINISHED", ["finished", "finished", "finished", "failed"], False),
        ("FINISHED", ["failed"] * 4, False),
    ],
)
def test_the_sweep_that_repeats_is_taken_up_if_it_goes_on_or_decides(
    monkeypatch: pytest.MonkeyPatch, state: str, trials: list[str], taken_up: bool
) -> None:
    source, args, made = taken(), argparse.Namespace(best=2, seeds=2), []
    plan = winner.plan(source, best=2, seeds=2)
    sweep, runs = repeated(plan, *trials)
    sweep.state = state
    other = FakeSweep("ada/cola-sweep/other", config=plan | {"parameters": {}})
    monkeypatch.setattr(wandb, "sweep", lambda config, **names: made.append((config, names)) or "new")
    path = winner._repeats(FakeApi([other, sweep], runs), source, args, None)
    assert path == ("ada/cola-sweep/seeds" if taken_up else "ada/cola-sweep/new")
    assert made == ([] if taken_up else [(plan, {"entity": "ada", "project": "cola-sweep"})])


def test_a_sweep_that_repeats_is_taken_up_by_its_own_path_too() -> None:
    source = taken()
    repeats = dataclasses.replace(source, path=f"{PATH}x", config=winner.plan(source, best=2, seeds=2))
    assert winner._repeats(FakeApi([], []), repeats, argparse.Namespace(best=2, seeds=2), None) == f"{PATH}x"


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, few_shuffles: None) -> Callable[..., int]:
    """`cola-sweep winner` over a sweep of repeats that is there, with agents that are not; returns its exit code."""
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(winner, "hub_answers", lambda: False)
    monkeypatch.setattr(figures, "draw", lambda findings: figures.Gallery())
    parser = argparse.ArgumentParser()
    winner.add_arguments(parser)

    def run(sweep: FakeSweep, runs: list[FakeRun], agents: Callable[..., int]) -> int:
        monkeypatch.setattr(winner, "connect", lambda: FakeApi([sweep], runs))
        monkeypatch.setattr(winner.agents, "run", agents)
        return winner.main(parser.parse_args(["seeds", "--n", "3", "--cold", "--out", str(tmp_path)]))

    return run


def test_an_interrupt_names_nobody_and_the_next_call_goes_on_with_the_same_sweep(
    command: Callable[..., int], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, runs = repeated(winner.plan(taken(), best=2, seeds=2), *["finished"] * 4)
    sweep.state, started, named = "RUNNING", [], []
    monkeypatch.setattr(winner, "_name_champion", lambda *_: named.append(1) or 0)

    def agents(code: int) -> Callable[..., int]:
        return lambda path, **how: started.append((path, how["n"], how["cold"])) or code

    assert command(sweep, runs[:1], agents(130)) == 130
    assert named == []
    assert command(sweep, runs, agents(0)) == 0
    assert started == [("ada/cola-sweep/seeds", 3, True)] * 2
    assert named == [1]
    sweep.state = "FINISHED"
    assert command(sweep, runs, agents(0)) == 0
    assert len(started) == 2, "nothing is left to run"
    assert capsys.readouterr().out.count("sweep ada/cola-sweep/seeds\n") == 3


def test_failed_trials_are_told_and_decide_nothing(
    command: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    sweep, runs = repeated(winner.plan(taken(), best=2, seeds=2), "finished", "failed", "killed", "failed")
    assert command(sweep, runs, lambda *_, **__: 1) == 1
    *_, left_out, undecided, nobody = capsys.readouterr().out.splitlines()
    assert left_out == "left out: 2 failed, 1 killed"
    assert undecided == "no configuration finished with two seeds"
    assert nobody == "no champion was named: nothing is decided"


@pytest.mark.parametrize("flag", ["best", "seeds", "n"])
def test_numbers_that_make_no_sense_are_refused(flag: str) -> None:
    parser = argparse.ArgumentParser()
    winner.add_arguments(parser)
    with pytest.raises(UserError, match=f"--{flag}: got 0; must be at least"):
        winner.main(parser.parse_args([f"--{flag}", "0"]))


def challenge(low: float, high: float) -> champion.Challenge:
    gap = Interval((low + high) / 2, low, high, 300)
    return champion.Challenge(SeedComparison(gap, (0.5, 0.4), (3, 1), "", {}, {}), 2, 0.0, True)


@pytest.mark.parametrize(
    ("result", "replace", "holder", "words"),
    [
        (challenge(0.1, 0.2), False, "model-a:v0", "champion: model-a:v0"),
        (challenge(-0.1, 0.2), False, "model-b:v0", "the champion stays, model-b:v0: MCC higher by 0.050 than"),
        ("other sentences", False, "model-b:v0", "the champion stays, model-b:v0: other sentences; --replace makes"),
        (challenge(-0.1, 0.2), True, "model-a:v0", "champion: model-a:v0"),
    ],
)
def test_a_champion_is_replaced_by_what_beats_it(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    result: Any,
    replace: bool,
    holder: str,
    words: str,
) -> None:
    monkeypatch.setattr(champion, "compare", lambda *_: result)
    api = FakeModels(FakeModel("model-a:v0", "best"), FakeModel("model-b:v0", "best", "champion"))
    source = SimpleNamespace(path=PATH, artifacts=({"run": "a", "type": "model", "name": "model-a:v0"},))
    monkeypatch.setattr(champion, "candidates", lambda found: [["a"]])
    assert winner._name_champion(api, source, REPEATED, replace) == 0  # type: ignore[arg-type]
    assert list(champion.holders(api, PATH)) == [holder]
    assert capsys.readouterr().out.startswith(words)


def test_without_a_model_nobody_is_champion(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(champion, "candidates", lambda found: [["a"]])
    source = SimpleNamespace(path=PATH, artifacts=())
    assert winner._name_champion(FakeModels(), source, REPEATED, False) == 1  # type: ignore[arg-type]
    nothing = SimpleNamespace(repeats=None)
    assert winner._name_champion(FakeModels(), source, nothing, False) == 1  # type: ignore[arg-type]
    assert capsys.readouterr().out.splitlines() == [
        "no champion was named: the winner has no model",
        "no champion was named: nothing is decided",
    ]
