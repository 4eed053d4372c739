"""Answers of a study are those of the sampler that its file names, as Optuna gives them."""

import random
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.samplers import BaseSampler, CmaEsSampler, GPSampler, TPESampler
from optuna.trial import TrialState, create_trial

from cola_sweep.space import read_mapping
from cola_sweep.studies import options
from cola_sweep.studies.sweep_study import SweepStudy
from tests.studies.conftest import sweep_config

LR = {"distribution": "log_uniform_values", "min": 1e-5, "max": 1e-3}
SPACE: dict[str, Any] = {"lr": LR, "warmup": {"min": 0.0, "max": 0.5}}
pytestmark = pytest.mark.filterwarnings("ignore::optuna.exceptions.ExperimentalWarning")


def answer(name: str, other: Callable[[int], BaseSampler] | None = None) -> dict[str, Any]:
    """What a study's sampler, or another of the same seed, says after trials of which every third is under way."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    config = sweep_config({"sampler": name, "startup": 2, "seed": 3}, **SPACE)
    study = SweepStudy(options.read(read_mapping(config)), "abc")
    axes = study.sweep_sampler.axes
    for number in range(12):
        params = {"lr": 1e-5 * 1.4**number, "warmup": number * 5 % 12 / 24}
        ended: dict[str, Any] = {"value": -abs(params["lr"] - 2e-4)} if number % 3 else {"state": TrialState.RUNNING}
        study.add_trial(create_trial(params=params, distributions=axes, **ended))
    asked = study._storage.get_trial(study._storage.create_new_trial(study._study_id))
    seed = random.Random(f"3:{asked.number}:0").getrandbits(32)
    sampler = other(seed) if other else study.sweep_sampler
    return sampler.sample_relative(study, asked, axes)


def tpe(seed: int, constant_liar: bool = True) -> BaseSampler:
    return TPESampler(n_startup_trials=2, multivariate=True, constant_liar=constant_liar, seed=seed)


def test_tpe_takes_all_parameters_together_and_trials_under_way_for_bad_ones() -> None:
    found = answer("tpe")
    assert found.keys() == SPACE.keys(), "in one answer, which is multivariate"
    assert found == answer("tpe", tpe) != answer("tpe", lambda seed: tpe(seed, constant_liar=False))


@pytest.mark.parametrize(("name", "sampler"), [("gp", GPSampler), ("cmaes", CmaEsSampler)])
def test_the_others_are_optunas(name: str, sampler: Callable[..., BaseSampler]) -> None:
    found = answer(name)
    assert found.keys() == SPACE.keys()
    assert found == answer(name, lambda seed: sampler(seed=seed, n_startup_trials=2))
    assert found == answer(name), "a seed decides"
