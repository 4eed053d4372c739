"""Optuna's multivariate TPE with constant liar, rebuilt from the trials each time, on the axes of `cola_sweep.axes`.

Probabilities of categorical values shape random draws alone: TPE learns its own. Trials under way are told as running,
so agents asking at the same time get different points.

Imports Optuna.
"""

import heapq
import random
import warnings
from collections.abc import Container, Iterator
from datetime import UTC, datetime
from functools import lru_cache

import optuna
from optuna.trial import FrozenTrial, TrialState

from cola_sweep import domains
from cola_sweep.axes import axis
from cola_sweep.points import Point
from cola_sweep.server.search.trials import UNDER_WAY, Trial
from cola_sweep.space import Metric, SweepSpec

# Estimates asked for, where the space is finite and the best cells are taken.
_TRIES = 8
# Optuna goes through all it is told at each answer. So it is told those that it takes for the good ones, which it has
# be 25 at most and of so many trials no fewer, and of the others the latest.
BEST, LATEST = 25, 225
_MOST_TRIALS = 2**31  # far more than any sweep has
_EPOCH = datetime.fromtimestamp(0, UTC)  # when a trial was makes no difference to the search


def estimates(spec: SweepSpec, trials: list[Trial], dice: random.Random) -> Iterator[Point]:
    """Points of the space, the best first; some may be taken."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=0, multivariate=True, constant_liar=True, seed=dice.getrandbits(32)
        )
    assert spec.metric is not None
    storage = _Told(_worth_telling(trials, spec.metric))
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

    def __init__(self, trials: list[tuple[int, Trial]]) -> None:
        super().__init__()
        self._told = [_told(number - _MOST_TRIALS, trial) for number, trial in trials]

    def get_all_trials(
        self, study_id: int, deepcopy: bool = True, states: Container[TrialState] | None = None
    ) -> list[FrozenTrial]:
        told = [trial for trial in self._told if states is None or trial.state in states]
        return [*told, *super().get_all_trials(study_id, deepcopy, states)]


def _worth_telling(trials: list[Trial], metric: Metric) -> list[tuple[int, Trial]]:
    """Those that are under way or have a value, by their places in `trials`; of very many, those that matter."""
    running, costs = [], {}
    sign = 1.0 if metric.goal == "minimize" else -1.0
    for place, trial in enumerate(trials):
        if trial.point is None:
            continue
        if trial.known is not None:
            # As Optuna has it: no pruned trial is as good as a complete one.
            costs[place] = (trial.state == "pruned", sign * trial.known)
        elif trial.state in UNDER_WAY:
            running.append(place)
    if len(costs) > BEST + LATEST:
        best = heapq.nsmallest(BEST, costs, costs.__getitem__)
        latest = [place for place in list(costs)[-BEST - LATEST :] if place not in best][-LATEST:]
    else:
        best, latest = [], list(costs)
    return [(place, trials[place]) for place in sorted(running + best + latest)]


@lru_cache(maxsize=8192)
def _told(number: int, trial: Trial) -> FrozenTrial:
    """The trial as Optuna has it. Most are told again, in the same place, each time."""
    known = trial.known
    state = TrialState.RUNNING if known is None else TrialState[trial.state.upper()]
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=state,
        value=known if state == TrialState.COMPLETE else None,
        intermediate_values={0: known} if state == TrialState.PRUNED and known is not None else {},
        params=trial.places,
        distributions={},  # of all: the axes
        datetime_start=_EPOCH,
        datetime_complete=None if state == TrialState.RUNNING else _EPOCH,
        user_attrs={},
        system_attrs={},
    )
