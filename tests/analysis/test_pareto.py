"""Runs that no other run beats."""

import numpy as np
import optuna
import pandas as pd
import pytest

from cola_sweep.analysis.pareto import fronts, non_dominated


def test_the_front_is_optunas() -> None:
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(directions=["minimize", "minimize"])
    values = np.random.default_rng(3).integers(0, 12, size=(60, 2)).astype(float)
    study.add_trials([optuna.trial.create_trial(values=row.tolist()) for row in values])
    expected = sorted(trial.number for trial in study.best_trials)
    assert np.flatnonzero(non_dominated(values)).tolist() == expected


def ranked(**columns: object) -> pd.DataFrame:
    runs = pd.DataFrame({"id": list("abcd"), "name": list("ABCD"), "best": [0.5, 0.45, 0.4, 0.3]})
    return runs.assign(**columns)


def test_each_cost_has_its_front_cheapest_first() -> None:
    runs = ranked(seconds=[90.0, 40.0, 60.0, 10.0], **{"provenance.parameters": [9, 9, 3, 3], "summary.cost/kwh": 1.0})
    found = fronts(runs, "maximize")
    assert not isinstance(found, str)
    assert [(front.cost, front.unit) for front in found] == [("seconds", "s"), ("parameters", "")]
    seconds, parameters = (front.table for front in found)
    assert seconds["id"].tolist() == ["d", "b", "c", "a"]
    assert seconds["on_front"].tolist() == [True, True, False, True]
    assert parameters.loc[parameters["on_front"], "id"].tolist() == ["c", "a"]


def test_a_goal_to_minimize_turns_the_front_round() -> None:
    found = fronts(ranked(seconds=[1.0, 2.0, 3.0, 4.0]), "minimize")
    assert not isinstance(found, str)
    assert found[0].table["on_front"].tolist() == [True, True, True, True]


@pytest.mark.parametrize("columns", [{}, {"seconds": np.nan}, {"seconds": 3.0}, {"seconds": [1, np.nan, 1, np.nan]}])
def test_without_a_cost_that_differs_there_is_no_front(columns: dict[str, object]) -> None:
    assert fronts(ranked(**columns), "maximize") == "no cost was logged that differs between runs"
