"""The study of a sweep: what `wandb sweep-scheduler` asks and tells.

W&B's scheduler reports the metric at steps of the history, which differ with the batch size, and describes runs by
their config; a study here counts epochs, and finds the point of a config in the sweep's space.

Imports optuna.
"""

import logging
import warnings
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.pruners import BasePruner, HyperbandPruner, MedianPruner, NopPruner, WilcoxonPruner
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial, Trial, TrialState, create_trial

from cola_sweep.points import nested, point_of
from cola_sweep.studies.options import Options, Pruner, Terminator
from cola_sweep.studies.sampler import EARLIER, SweepSampler

# Below Optuna's own, whose lines the scheduler shows and sends to the server.
_logger = logging.getLogger("optuna.cola_sweep")


class EpochTrial(Trial):
    """Takes the n-th value reported as that of n epochs done, whatever its step, and shows what its run is told."""

    study: "SweepStudy"

    @property
    def params(self) -> dict[str, Any]:
        return self.study.arguments(super().params)

    def report(self, value: float, step: int) -> None:
        super().report(value, len(self.storage.get_trial(self._trial_id).intermediate_values) + 1)

    def should_prune(self) -> bool:
        """Whether it is to be stopped; then the scheduler's log says how it stood."""
        pruned = super().should_prune()
        if pruned:
            _logger.info("Trial %d is behind %s", self.number, self.study.standing(self.number))
        return pruned


class SweepStudy(optuna.Study):
    """An Optuna study whose trials are points of a sweep's space."""

    def __init__(self, options: Options, name: str) -> None:
        self.options = options
        self.sweep_sampler = SweepSampler(options)
        storage = InMemoryStorage()
        # The name decides Hyperband's brackets.
        optuna.create_study(study_name=name, storage=storage, directions=[metric.goal for metric in options.metrics])
        super().__init__(name, storage, sampler=self.sweep_sampler, pruner=pruner(options.pruner))

    def ask(self, fixed_distributions: dict[str, BaseDistribution] | None = None) -> Trial:
        trial = EpochTrial(self, super().ask(fixed_distributions)._trial_id)
        given = self._storage.get_trial_system_attrs(trial._trial_id).get("fixed_params")
        for name in trial.relative_params if given is None else given:
            trial._suggest(name, self.sweep_sampler.axes[name])
        return trial

    def arguments(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """The config of the run at places on the axes."""
        values, branch = self.sweep_sampler.values(params), self.sweep_sampler.branch(params)
        return nested(branch.space, tuple(values[name] for name in branch.members))

    def enqueue_trial(
        self, params: Mapping[str, Any], user_attrs: dict[str, Any] | None = None, skip_if_exists: bool = False
    ) -> None:
        """Let the next trial be the point of a run's config.

        Raises:
            ValueError: it lies outside the space.
        """
        super().enqueue_trial(self._places(params), user_attrs, skip_if_exists)

    def add_earlier(self, config: Mapping[str, Any], values: list[float], epochs: list[float], sweep: str) -> None:
        """Let the study know a finished run of another sweep.

        Args:
            epochs: the metric after each epoch.

        Raises:
            ValueError: the config lies outside the space.
        """
        places = self._places(config)
        self.add_trial(
            create_trial(
                state=TrialState.COMPLETE,
                params=places,
                distributions={name: self.sweep_sampler.axes[name] for name in places},
                values=values,
                intermediate_values=dict(enumerate(epochs, 1)) if len(values) == 1 else {},
                user_attrs={EARLIER: sweep},
            )
        )

    def standing(self, number: int) -> str:
        """A trial's last value, and what the others had by then."""
        trials = {trial.number: trial.intermediate_values for trial in self.get_trials(deepcopy=False)}
        own, name = trials.pop(number), self.options.metrics[0].name
        epoch = max(own)
        others = [values[min(epoch, max(values))] for values in trials.values() if values]
        best = (max if self.direction == optuna.study.StudyDirection.MAXIMIZE else min)(others, default=own[epoch])
        return (
            f"after {epoch} epochs, says the pruner {self.options.pruner.type}: {name} is {own[epoch]:.3f}; of "
            f"{len(others)} others it was {best:.3f} at best, {median(others or [best]):.3f} in the middle."
        )

    def _places(self, config: Mapping[str, Any]) -> dict[str, Any]:
        for branch in self.options.branches:
            point = point_of(branch.space, config)
            if point is not None:
                values = {**branch.choices, **dict(zip(branch.members, point, strict=True))}
                return self.sweep_sampler.places(values)
        raise ValueError(f"its {self._misfit(config)} lies outside the sweep's space")

    def _misfit(self, config: Mapping[str, Any]) -> str:
        """The name of the parameter for which a config is no point; of several branches that which it suits longest."""
        suited = [
            [point_of([parameter], config) is not None for parameter in branch.space].index(False)
            for branch in self.options.branches
        ]
        longest = max(suited)
        return self.options.branches[suited.index(longest)].space[longest].name


def pruner(options: Pruner) -> BasePruner:
    """Optuna's pruner, at epochs that are done, from 1."""
    numbers: dict[str, Any] = dict(options.numbers)
    if options.type == "hyperband":
        return HyperbandPruner(numbers["min_epochs"], numbers["max_epochs"], numbers["eta"])
    if options.type == "median":
        return MedianPruner(n_startup_trials=numbers["startup"], n_warmup_steps=numbers["warmup"] + 1)
    if options.type == "wilcoxon":
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return WilcoxonPruner(p_threshold=numbers["p"], n_startup_steps=numbers["startup"])
    return NopPruner()


def terminator(options: Terminator) -> Callable[[optuna.Study], bool]:
    """Whether a study has come to its end: none of the last `patience` trials of its own is the best, or on the front.

    Of equals the first is the best. Optuna's own terminators are deprecated since 5.0.
    """

    def is_over(study: optuna.Study) -> bool:
        finished = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
        own = sorted((trial for trial in finished if EARLIER not in trial.user_attrs), key=_ended)
        if len(own) < max(options.trials, options.patience):
            return False
        best: dict[tuple[float, ...], int] = {}
        for trial in sorted(study.best_trials, key=_ended):
            best.setdefault(tuple(trial.values), trial.number)
        return not any(trial.number in best.values() for trial in own[-options.patience :])

    return is_over


def _ended(trial: FrozenTrial) -> tuple[Any, int]:
    return trial.datetime_complete, trial.number
