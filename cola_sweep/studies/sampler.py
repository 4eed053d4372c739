"""The sampler of a sweep's study: known points first, Optuna's answers then, no point of a finite space twice.

Each trial's answer comes from a sampler of its own, seeded by the search's seed and the trial's number: W&B's
scheduler makes the study anew whenever it is started, and a stream of random numbers would begin again, with the
points that are tried already.

Imports optuna.
"""

import random
import warnings
from collections.abc import Mapping
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, RandomSampler, TPESampler
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from cola_sweep import domains
from cola_sweep.axes import axis
from cola_sweep.parameters import canonical
from cola_sweep.points import Point, count, free_point
from cola_sweep.studies.options import Options, is_of

EARLIER = "earlier"  # attribute of trials that another sweep ran
_TRIES = 8  # answers asked for before a free point is drawn, where the space is finite and the best are taken


class SweepSampler(BaseSampler):
    """Samples whole points of a sweep's space, on the axes of `cola_sweep.axes`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self.axes: dict[str, BaseDistribution] = {p.name: found for p in options.space if (found := axis(p))}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.axes

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A place on each axis."""
        known = [self.point(other.params) for other in _all_trials(study) if other.number != trial.number]
        taken = {canonical(point) for point in known}
        total = count(self._options.space)
        first = next((f for f in self._options.first if not any(is_of(p, self._options.space, f) for p in known)), {})
        for attempt in range(_TRIES):
            dice = random.Random(f"{self._options.seed}:{trial.number}:{attempt}")
            places = self._places(first)
            if search_space.keys() - places.keys():
                places = self._answer(study, trial, search_space, dice) | places
            if canonical(self.point(places)) not in taken:
                return places
        point = free_point(self._options.space, taken, dice) if total is not None else None
        return places if point is None else self.places(point)

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        raise AssertionError(f"{param_name} is no parameter of the sweep")

    def is_exhausted(self, study: Study) -> bool:
        """Whether there is nothing left to try: W&B's scheduler asks, and ends the sweep."""
        trials = _all_trials(study)
        own = sum(EARLIER not in trial.user_attrs for trial in trials)
        if self._options.run_cap is not None and own >= self._options.run_cap:
            return True
        total = count(self._options.space)
        return total is not None and len({canonical(self.point(trial.params)) for trial in trials}) >= total

    def point(self, params: Mapping[str, Any]) -> Point:
        """The values at places on the axes."""
        return tuple(
            domains.at(p, params[p.name]) if p.name in self.axes else domains.option(p, 0) for p in self._options.space
        )

    def places(self, point: Point) -> dict[str, Any]:
        """The places of a point on the axes; the inverse of `point`."""
        return self._places({p.name: value for p, value in zip(self._options.space, point, strict=True)})

    def _places(self, values: Mapping[str, Any]) -> dict[str, Any]:
        space = self._options.space
        return {p.name: domains.place(p, values[p.name]) for p in space if p.name in self.axes and p.name in values}

    def _answer(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution], dice: random.Random
    ) -> dict[str, Any]:
        inner = _sampler(self._options, dice.getrandbits(32))
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            found = inner.sample_relative(study, trial, search_space)
        chance = RandomSampler(seed=dice.getrandbits(32))
        missing = [name for name in search_space if name not in found]
        return found | {name: chance.sample_independent(study, trial, name, search_space[name]) for name in missing}


def _sampler(options: Options, seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if options.sampler == "tpe":
            return TPESampler(n_startup_trials=options.startup, multivariate=True, constant_liar=True, seed=seed)
        if options.sampler == "gp":
            return GPSampler(n_startup_trials=options.startup, seed=seed)
        if options.sampler == "cmaes":
            return CmaEsSampler(n_startup_trials=options.startup, seed=seed, warn_independent_sampling=False)
        return RandomSampler(seed=seed)


def _all_trials(study: Study) -> list[FrozenTrial]:
    """Those of every Hyperband bracket too, of which Optuna shows a sampler one alone; none that waits."""
    states = tuple(state for state in TrialState if state != TrialState.WAITING)
    return study._storage.get_all_trials(study._study_id, deepcopy=False, states=states)
