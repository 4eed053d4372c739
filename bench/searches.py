"""Every search that is compared: from a problem and a seed to a function from the trials so far to the next point.

`grid`, `random` and `bayes` are the embedded server's, the three of Optuna those of `wandb sweep-scheduler` with this
project's study, and `wandb bayes` is W&B's own. `tpe` is the part of `bayes` that Optuna has, after ten random draws;
`chance` draws with no look at the trials, so that points repeat.

Imports the server's search, studies and cache; optuna.
"""

import atexit
import json
import random
import subprocess
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import optuna

from bench.problems import Problem
from cola_sweep.cache import cache_folder
from cola_sweep.errors import UserError
from cola_sweep.parameters import canonical
from cola_sweep.points import count, free_point, nested
from cola_sweep.server.search import Trial, suggest, tpe
from cola_sweep.server.search.trials import taken
from cola_sweep.space import SweepSpec, read_mapping
from cola_sweep.studies import options
from cola_sweep.studies.sweep_study import SweepStudy
from cola_sweep.study import space

WANDB_SWEEPS = "sweeps==0.3.0"
TPE_STARTUP = 10

# The next point, or None where a finite space has no more; trials under way have the state `running`.
Ask = Callable[[Sequence[Trial]], Mapping[str, Any] | None]
Start = Callable[[Problem, int], Ask]


def sweep_file(problem: Problem, method: str) -> dict[str, Any]:
    metric = {"name": "score", "goal": "maximize"}
    return {"method": method, "metric": metric, "parameters": dict(problem.parameters)}


def spec(problem: Problem, method: str = "random") -> SweepSpec:
    return read_mapping(sweep_file(problem, method))


def server(method: str) -> Start:
    """A search of the embedded server."""

    def start(problem: Problem, seed: int) -> Ask:
        read = spec(problem, method)

        def ask(trials: Sequence[Trial]) -> Mapping[str, Any] | None:
            found = suggest(read, list(trials), seed)
            return found.params if found else None

        return ask

    return start


def chance(problem: Problem, seed: int) -> Ask:
    """Independent draws."""
    parameters, dice = spec(problem).parameters, random.Random(seed)

    def ask(_: Sequence[Trial]) -> Mapping[str, Any]:
        point = free_point(parameters, set(), dice)
        assert point is not None
        return nested(parameters, point)

    return ask


def tpe_alone(problem: Problem, seed: int) -> Ask:
    """TPE after `TPE_STARTUP` random draws, which are those of `random`: what `bayes` was before it had a process."""
    read, draw = spec(problem, "bayes"), server("random")(problem, seed)

    def ask(trials: Sequence[Trial]) -> Mapping[str, Any] | None:
        if sum(trial.known is not None for trial in trials) < TPE_STARTUP:
            return draw(trials)
        done, dice = taken(trials), random.Random(f"{seed}:{len(trials)}")
        points = tpe.estimates(read, list(trials), dice)
        if count(read.parameters) is not None:
            points = (point for point in points if canonical(point) not in done)
        found = next(iter(points), None) or free_point(read.parameters, done, dice)
        return nested(read.parameters, found) if found else None

    return ask


def study(sampler: str) -> Start:
    """A search of Optuna's, as `wandb sweep-scheduler` asks it."""

    def start(problem: Problem, seed: int) -> Ask:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        file = sweep_file(problem, "custom") | {"scheduler": {"engine": "optuna"}}
        file["parameters"][options.NAME] = {"value": {"sampler": sampler, "seed": seed}}
        found = SweepStudy(options.read(read_mapping(file)), "replay")
        asked: list[optuna.Trial] = []
        untold: set[int] = set()

        def ask(trials: Sequence[Trial]) -> Mapping[str, Any]:
            for number in sorted(untold):
                if trials[number].value is not None:
                    found.tell(asked[number], trials[number].value)
                    untold.remove(number)
            untold.add(len(asked))
            asked.append(found.ask())
            return space(asked[-1])

        return ask

    return start


def wandb_bayes(problem: Problem, seed: int) -> Ask:
    """W&B's `sweeps` package, in its own process.

    Raises:
        UserError: its environment is not there.
    """
    process, config = _wandb_sweeps(), sweep_file(problem, "bayes")

    def ask(trials: Sequence[Trial]) -> Mapping[str, Any]:
        told = [{"params": trial.params, "score": trial.value} for trial in trials]
        question = {"seed": 1000 * seed + len(trials), "config": config, "trials": told}
        assert process.stdin
        assert process.stdout
        process.stdin.write(json.dumps(question) + "\n")
        process.stdin.flush()
        answer: dict[str, Any] = json.loads(process.stdout.readline())
        return answer

    return ask


@cache
def _wandb_sweeps() -> "subprocess.Popen[str]":
    folder = cache_folder("bench", "sweeps")
    python = folder / "bin" / "python"
    if not python.exists():
        fix = f"python -m venv {folder} && {folder}/bin/pip install {WANDB_SWEEPS}"
        raise UserError(
            "wandb bayes", rule="W&B's package needs an environment of its own (it pins numpy < 2)", fix=fix
        )
    program = Path(__file__).with_name("wandb_sweeps.py")
    process = subprocess.Popen([python, program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    atexit.register(process.kill)
    return process


SEARCHES: dict[str, Start] = {
    "grid": server("grid"),
    "chance": chance,
    "random": server("random"),
    "bayes": server("bayes"),
    "tpe": tpe_alone,
    "optuna tpe": study("tpe"),
    "optuna gp": study("gp"),
    "optuna cmaes": study("cmaes"),
    "wandb bayes": wandb_bayes,
}
