"""Which parameters mattered to a sweep's metric: Optuna's PED-ANOVA over its ended trials. Imports Optuna when asked.

Watanabe, Bansal, Hutter 2023: how far a parameter's values among the best tenth of the trials differ from those of all.
It takes milliseconds where fANOVA takes minutes; the report computes that one, with its spread.
"""

import warnings
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from cola_sweep.parameters import canonical
from cola_sweep.server import search
from cola_sweep.server.states import OPEN_RUN
from cola_sweep.space import Goal

FEWEST = 10  # ended trials; fewer say nothing
Column = tuple[str, str, tuple[Any, ...]]  # name, scale, a value of each trial


def importance(sweep: Mapping[str, Any]) -> dict[str, Any]:
    """What `trials.data` of a sweep says of its parameters.

    Returns:
        `n`, the trials it rests on, and `shares`, (parameter, share of 1) with the largest first; or `why` not.
    """
    ended = [trial for trial in sweep["trials"] if trial["state"] not in OPEN_RUN and trial["value"] is not None]
    if sweep["metric"] is None:
        return {"n": 0, "why": "The sweep names no metric that it is after."}
    if len(ended) < FEWEST:
        return {"n": len(ended), "why": f"This takes {FEWEST} ended trials with a value; there are {len(ended)}."}
    values = tuple(trial["value"] for trial in ended)
    columns = tuple(
        (parameter["name"], parameter["scale"], tuple(_cell(trial["values"][place]) for trial in ended))
        for place, parameter in enumerate(sweep["parameters"])
    )
    columns = tuple(column for column in columns if None not in column[2] and len(set(column[2])) > 1)
    if not columns or len(set(values)) == 1:
        return {"n": len(ended), "why": "Nothing differs between the trials."}
    return {"n": len(ended), "shares": _shares(columns, values, sweep["metric"]["goal"])}


# A page asks again with each trial that ends, and every open page of a sweep asks for the same.
@lru_cache(maxsize=32)
def _shares(columns: tuple[Column, ...], values: tuple[float, ...], goal: Goal) -> list[tuple[str, float]]:
    search.prepare("bayes")  # imports Optuna in the way that keeps it from slowing answers down
    import optuna

    spaces, places = {}, {}
    for name, scale, cells in columns:
        spaces[name], places[name] = _axis(scale, cells)
    told = [
        optuna.trial.create_trial(params={n: places[n][i] for n in spaces}, distributions=spaces, value=value)
        for i, value in enumerate(values)
    ]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        evaluator = optuna.importance.PedAnovaImportanceEvaluator()
    study = optuna.create_study(direction=goal)
    study.add_trials(told)
    return list(optuna.importance.get_param_importances(study, evaluator=evaluator).items())


def _axis(scale: str, cells: Sequence[Any]) -> tuple[Any, Sequence[Any]]:
    """The range that the trials cover, and each one's place in it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    if scale == "values" or any(isinstance(cell, str) for cell in cells):
        order = {cell: place for place, cell in enumerate(dict.fromkeys(cells))}
        return CategoricalDistribution(range(len(order))), [order[cell] for cell in cells]
    return FloatDistribution(min(cells), max(cells), log=scale == "log" and min(cells) > 0), cells


def _cell(value: Any) -> Any:
    """A value that can be compared: numbers as they are, others as their text."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if value is None or is_number else canonical(value)
