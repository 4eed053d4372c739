"""The replay of searches: what is counted, and that it is the same every time."""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from bench import replay as bench
from bench.problems import Outcome, Problem
from bench.replay import COUNTS, ENTRIES, Kept, interval, main, replay, table, until_stopped
from bench.searches import Ask, Start, chance, server, spec, study, sweep_file, wandb_bayes
from cola_sweep.errors import UserError
from cola_sweep.server.search import Trial
from cola_sweep.space import Hyperband

# Scores as they are: the number itself; longer the larger.
TOY = Problem("toy", {"x": {"min": 0, "max": 100}}, lambda params: Outcome((params["x"],), 1 + params["x"]), 100)


def scripted(numbers: Sequence[int], seen: list[list[Trial]] | None = None) -> Start:
    """A search that says these numbers, in order, and keeps what it was shown."""

    def start(_: Problem, __: int) -> Ask:
        def ask(trials: Sequence[Trial]) -> Mapping[str, Any] | None:
            if seen is not None:
                seen.append(list(trials))
            return {"x": numbers[len(trials)]} if len(trials) < len(numbers) else None

        return ask

    return start


def test_the_regret_is_what_the_best_so_far_lacks() -> None:
    numbers = [*range(10), 50, *[3] * 19, 90, *[0] * 9]
    assert replay(TOY, scripted(numbers), 0, 1) == (100 - 9, 100 - 50, 100 - 90)


def test_a_repeated_point_costs_a_trial() -> None:
    seen: list[list[Trial]] = []
    assert replay(TOY, scripted([7] * 60, seen), 0, 1) == (93, 93, 93)
    assert len(seen) == COUNTS[-1]


def test_a_search_that_ends_keeps_its_best() -> None:
    assert replay(TOY, scripted([1, 60, 2]), 0, 1) == (40, 40, 40)


def test_agents_work_at_once_and_end_by_their_seconds() -> None:
    seen: list[list[Trial]] = []
    replay(TOY, scripted([30, 10, 20, 40, *[0] * 50], seen), 0, 4)
    states = [[trial.state for trial in trials] for trials in seen]
    assert states[:4] == [["running"] * n for n in range(4)]
    assert [trial.value for trial in seen[4]] == [None, 10, None, None]  # the shortest of the four ended
    assert max(state.count("running") for state in states) == 3


@pytest.mark.parametrize("name", ["chance", "random", "bayes", "tpe", "optuna tpe"])
def test_a_seed_gives_the_same_replay(name: str) -> None:
    problem = bench.PROBLEMS["tuning"]()
    first, again, other = (replay(problem, ENTRIES[name][0], seed, 4) for seed in (3, 3, 4))
    assert first == again != other


def test_a_stopped_trial_costs_the_epochs_it_ran() -> None:
    """Two epochs each; those that are behind after the first are stopped there, so that more of them fit in."""
    late = Problem("late", TOY.parameters, lambda params: Outcome((params["x"] / 2, params["x"])), 100)
    numbers = [40, 30, 99, *[1] * 90]
    seen: list[list[Trial]] = []
    regrets = replay(late, scripted(numbers, seen), 0, 1, Hyperband(min_iter=1, eta=2))
    assert regrets == (1, 1, 1)
    last = seen[-1]
    assert [trial.state for trial in last[:4]] == ["complete", "complete", "complete", "pruned"]
    assert last[3].value == 0.5
    epochs = sum(1 if trial.state == "pruned" else 2 for trial in last)
    assert epochs in (2 * COUNTS[-1] - 1, 2 * COUNTS[-1] - 2)  # before the last one


def test_a_trial_with_nothing_to_be_behind_runs_to_its_end() -> None:
    outcome = Outcome((0.1, 0.2, 0.3), 6.0)
    assert until_stopped(outcome, [], Hyperband(min_iter=1, eta=2)) == outcome


def test_searches_see_the_space_and_draw_from_it() -> None:
    problem = Problem("lists", {"a": {"values": [1, 2]}, "b": {"values": ["x", "y"]}}, lambda _: Outcome((1.0,)), 1)
    drawn = [chance(problem, 0)([])["a"] for _ in range(3)]
    assert len(set(drawn)) == 1  # a seed's first draw
    ask = server("grid")(problem, 0)
    trials: list[Trial] = []
    while (params := ask(trials)) is not None:
        trials.append(bench.placed(spec(problem), params, "complete", 1.0))
    assert [tuple(trial.params.values()) for trial in trials] == [(1, "x"), (1, "y"), (2, "x"), (2, "y")]
    assert set(study("random")(problem, 0)([])) == {"a", "b"}
    assert set(sweep_file(problem, "bayes")["parameters"]) == {"a", "b"}  # not what a study was told beside


def test_without_its_environment_wandbs_search_says_how_to_make_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path))
    with pytest.raises(UserError, match="pip install sweeps==") as error:
        wandb_bayes(TOY, 0)
    assert str(tmp_path) in error.value.fix


def test_a_search_that_is_not_there_leaves_the_others(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLA_SWEEP_CACHE", str(tmp_path))
    command = ["--problem", "tuning", "--search", "wandb bayes", "chance", "grid", "--agents", "1", "--seeds", "2"]
    assert main(command) == 0
    shown = capsys.readouterr()
    assert "| chance | 2 | " in shown.out
    assert "| wandb" not in shown.out
    assert "left out: wandb bayes" in shown.err
    assert "tuning, grid: the space has no end" in shown.err


@pytest.mark.parametrize("wrong", [["--seeds", "0"], ["--agents", "0"], ["--problem", "tabel"], ["--search", "bays"]])
def test_a_wrong_flag_is_one_line(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(wrong)
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_what_was_replayed_is_not_replayed_again(tmp_path: Path) -> None:
    key = ("toy", "bayes", 1, 0)
    assert Kept(tmp_path / "kept.csv")(key, lambda: (0.1, 1 / 3, 0.0)) == (0.1, 1 / 3, 0.0)
    assert Kept(tmp_path / "kept.csv")(key, lambda: pytest.fail("replayed")) == (0.1, 1 / 3, 0.0)


def test_the_table_compares_the_same_seeds() -> None:
    found = {"tpe": [(3.0, 2.0, 1.0), (5.0, 4.0, 3.0)], "other": [(4.0, 2.0, 0.0), (6.0, 4.0, 2.0)]}
    rows = table(found)
    assert rows[2].startswith("| tpe | 2 | 4.000 (3.000, 5.000) | 3.000 ")
    assert rows[3].endswith("| 1.000 (1.000, 1.000) | 0.000 (0.000, 0.000) | -1.000 (-1.000, -1.000) |")


def test_the_interval_is_that_of_the_mean() -> None:
    mean, low, high = (float(part.strip("(),")) for part in interval([0.0, 1.0] * 50).split())
    # Of a hundred fair coins: 1.96 standard errors of 0.05.
    assert mean == 0.5
    assert math.isclose(low, 0.5 - 1.96 * 0.05, abs_tol=0.02)
    assert math.isclose(high, 0.5 + 1.96 * 0.05, abs_tol=0.02)
