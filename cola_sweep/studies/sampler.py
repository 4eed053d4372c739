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

from cola_sweep import domains, points
from cola_sweep.axes import axis
from cola_sweep.branches import Branch
from cola_sweep.parameters import Parameter, canonical
from cola_sweep.studies.known import has
from cola_sweep.studies.options import Options

EARLIER = "earlier"  # attribute of trials that another sweep ran
_TRIES = 8  # answers asked for before a free point is drawn, where the space is finite and the best are taken

# A point of the space: the value of each choice and of each member of its branch, by their names.
Values = dict[str, Any]


class SweepSampler(BaseSampler):
    """Samples whole points of a sweep's space, on the axes of `cola_sweep.axes`."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._choosers = {p.name: p for p in options.space if p.name in options.branches[0].choices}
        self._branches = {canonical(branch.choices): branch for branch in options.branches}
        members = {name: p for branch in options.branches for name, p in branch.members.items()}
        self._parameters: dict[str, Parameter] = self._choosers | members
        self.axes: dict[str, BaseDistribution] = {n: found for n, p in self._parameters.items() if (found := axis(p))}

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        return self.axes

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """A place on each axis of one branch."""
        known = [self.values(other.params) for other in _all_trials(study) if other.number != trial.number]
        taken = {canonical(values) for values in known}
        first = next((f for f in self._options.first if not any(has(values, f) for values in known)), {})
        for attempt in range(_TRIES):
            dice = random.Random(f"{self._options.seed}:{trial.number}:{attempt}")
            places = self._completed(self._answer(study, trial, dice) | self.places(first), dice)
            if canonical(self.values(places)) not in taken:
                return places
        free = self._free(known, dice)
        return places if free is None else self.places(free)

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
        totals = [points.count(branch.space) for branch in self._options.branches]
        known = {canonical(self.values(trial.params)) for trial in trials}
        return all(total is not None for total in totals) and len(known) >= sum(total or 0 for total in totals)

    def branch(self, places: Mapping[str, Any]) -> Branch:
        """The branch in which places on the axes lie."""
        return self._branches[canonical({name: self._value(name, places) for name in self._choosers})]

    def values(self, places: Mapping[str, Any]) -> Values:
        """The values at places on the axes."""
        branch = self.branch(places)
        return {**branch.choices, **{name: self._value(name, places) for name in branch.members}}

    def places(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """The places of values on the axes; the inverse of `values`."""
        return {
            name: domains.place(self._parameters[name], value) for name, value in values.items() if name in self.axes
        }

    def _value(self, name: str, places: Mapping[str, Any]) -> Any:
        parameter = self._parameters[name]
        return domains.at(parameter, places[name]) if name in self.axes else domains.option(parameter, 0)

    def _completed(self, given: Mapping[str, Any], dice: random.Random) -> dict[str, Any]:
        """What is given, and draws for what is not: of the choices first, then of what they bring and of no more."""

        def place(name: str) -> Any:
            parameter = self._parameters[name]
            return given[name] if name in given else domains.place(parameter, domains.draw(parameter, dice))

        places = {name: place(name) for name in self._choosers if name in self.axes}
        return places | {name: place(name) for name in self.branch(places).members if name in self.axes}

    def _answer(self, study: Study, trial: FrozenTrial, dice: random.Random) -> dict[str, Any]:
        inner = _sampler(self._options, dice.getrandbits(32))
        # Where trials differ in what they have, a sampler must find out itself what belongs together.
        axes = inner.infer_relative_search_space(study, trial) if self._choosers else self.axes
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return inner.sample_relative(study, trial, axes)

    def _free(self, known: list[Values], dice: random.Random) -> Values | None:
        """A random point that is not known; None if there is none."""
        for branch in dice.sample(self._options.branches, len(self._options.branches)):
            own = [values for values in known if values.keys() >= branch.members.keys()]
            done = {canonical([values[name] for name in branch.members]) for values in own}
            point = points.free_point(branch.space, done, dice)
            if point is not None:
                return {**branch.choices, **dict(zip(branch.members, point, strict=True))}
        return None


def _sampler(options: Options, seed: int) -> BaseSampler:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        if options.sampler == "tpe":
            return TPESampler(
                n_startup_trials=options.startup,
                multivariate=True,
                group=len(options.branches) > 1,
                constant_liar=True,
                seed=seed,
            )
        if options.sampler == "gp":
            return GPSampler(n_startup_trials=options.startup, seed=seed)
        if options.sampler == "cmaes":
            return CmaEsSampler(n_startup_trials=options.startup, seed=seed, warn_independent_sampling=False)
        return RandomSampler(seed=seed)


def _all_trials(study: Study) -> list[FrozenTrial]:
    """Those of every Hyperband bracket too, of which Optuna shows a sampler one alone; none that waits."""
    states = tuple(state for state in TrialState if state != TrialState.WAITING)
    return study._storage.get_all_trials(study._study_id, deepcopy=False, states=states)
