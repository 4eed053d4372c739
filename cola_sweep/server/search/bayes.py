"""Bayesian search: Optuna's multivariate TPE with constant liar, rebuilt from the trials each time.

The first trials are random draws, which honour every distribution; then the study replays the trials
issued and is asked for the next, on the axes of `cola_sweep.axes`. Probabilities of categorical values
shape the random draws alone: TPE learns its own.

Trials under way are told as running, so agents asking at the same time get different points; failed
ones and those without a finite value are not told, never given a made-up value.
"""

import math
import random
import warnings
from collections.abc import Container, Iterator
from datetime import UTC, datetime
from functools import lru_cache

import optuna
from optuna.trial import FrozenTrial, TrialState

from cola_sweep import domains
from cola_sweep.axes import axis
from cola_sweep.parameters import canonical
from cola_sweep.points import Point, count, free_point, nested
from cola_sweep.server.search.trials import VALUED, Suggestion, Trial, placed, taken
from cola_sweep.space import SweepSpec, read_mapping

# Random trials before the estimate: at most so many, and a third of a capped sweep, but three at least.
STARTUP, LEAST_STARTUP = 10, 3
# Estimates asked for before a free cell is drawn, where the space is finite and the best cells are taken.
_TRIES = 8
_MOST_TOLD = 2**31  # far more than any sweep has
_EPOCH = datetime.fromtimestamp(0, UTC)  # when a trial was makes no difference to the search


def next_estimate(spec: SweepSpec, trials: list[Trial], dice: random.Random) -> Suggestion | None:
    """The next point, or None if a finite space has no more."""
    done = taken(trials)
    total = count(spec.parameters)
    if total is not None and len(done) >= total:
        return None
    informative = sum(1 for trial in trials if _value(trial) is not None)
    startup = startup_trials(spec)
    if informative < startup or not any(axis(p) for p in spec.parameters):
        point = free_point(spec.parameters, done, dice)
        why = f"random draw: {informative} of the first {startup} trials have a value"
        return Suggestion(nested(spec.parameters, point), why) if point is not None else None
    for point in _estimates(spec, trials, dice):
        if total is None or canonical(point) not in done:
            return Suggestion(nested(spec.parameters, point), f"TPE over {informative} trials")
    point = free_point(spec.parameters, done, dice)
    return (
        Suggestion(nested(spec.parameters, point), "random draw: TPE proposed points taken")
        if point is not None
        else None
    )


def warm_up() -> None:
    """Ask for a point of a toy space: part of Optuna is imported by its first answer only."""
    spec = read_mapping({"method": "bayes", "metric": {"name": "m"}, "parameters": {"a": {"min": 0.0, "max": 1.0}}})
    trials = [placed(spec, {"a": i / STARTUP}, "complete", float(i)) for i in range(STARTUP)]
    next_estimate(spec, trials, random.Random(0))


def startup_trials(spec: SweepSpec) -> int:
    """How many trials with a value there must be before TPE is asked."""
    return min(STARTUP, max(LEAST_STARTUP, spec.run_cap // 3)) if spec.run_cap else STARTUP


def _estimates(spec: SweepSpec, trials: list[Trial], dice: random.Random) -> Iterator[Point]:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=0, multivariate=True, constant_liar=True, seed=dice.getrandbits(32)
        )
    assert spec.metric is not None
    storage = _Told(trials)
    study = optuna.create_study(direction=spec.metric.goal, storage=storage)
    number = storage.get_study_id_from_name(study.study_name)
    axes = {p.name: found for p in sorted(spec.parameters, key=lambda p: p.name) if (found := axis(p))}
    for _ in range(_TRIES):
        # As `study.ask` does, which would first compare the axes of all trials to find what they share.
        asked = storage.get_trial(storage.create_new_trial(number))
        params = sampler.sample_relative(study, asked, axes)
        yield tuple(domains.at(p, params[p.name]) if p.name in axes else domains.option(p, 0) for p in spec.parameters)


class _Told(optuna.storages.InMemoryStorage):
    """The trials told, and behind them those that are asked for.

    Put in one by one, as a study takes them, each would be copied and compared with the best: most of an
    answer's time. Those asked for are numbered from 0, so the others stay below.
    """

    def __init__(self, trials: list[Trial]) -> None:
        super().__init__()
        told = [_told(number, trial) for number, trial in enumerate(trials, -_MOST_TOLD)]
        self._told = [trial for trial in told if trial]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        told = [trial for trial in self._told if states is None or trial.state in states]
        return [*told, *super().get_all_trials(study_id, deepcopy, states)]


def _outcome(trial: Trial) -> tuple[TrialState, float | None] | None:
    """The state and value to tell; None if the trial teaches nothing."""
    if trial.point is None:
        return None
    if trial.state in ("waiting", "running"):
        return TrialState.RUNNING, None
    value = _value(trial)
    if value is None:
        return None
    return TrialState.PRUNED if trial.state == "pruned" else TrialState.COMPLETE, value


@lru_cache(maxsize=8192)
def _told(number: int, trial: Trial) -> FrozenTrial | None:
    """The trial as Optuna has it; None if it teaches nothing. Most are told again, in the same place, each time."""
    outcome = _outcome(trial)
    if outcome is None:
        return None
    state, value = outcome
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=value if state == TrialState.COMPLETE else None,
        intermediate_values={0: value} if state == TrialState.PRUNED and value is not None else {},
        params=trial.places,
        distributions={},  # of all: the axes
        datetime_start=_EPOCH,
        datetime_complete=None if state == TrialState.RUNNING else _EPOCH,
        user_attrs={},
        system_attrs={},
    )


def _value(trial: Trial) -> float | None:
    known = trial.state in VALUED and trial.value is not None and math.isfinite(trial.value)
    return trial.value if known else None
