"""What a better value costs: the runs that no other run beats on both, for each cost that was logged.

Imports numpy, pandas and `stats`.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cola_sweep import stats

# Cost, its title and unit, and the columns that hold it; the first that a sweep has is taken.
COSTS = (
    ("seconds", "training time", "s", ("seconds",)),
    ("speed", "time for 1,000 sentences", "s", ("summary.cost/seconds_per_1000",)),
    ("parameters", "parameters of the model", "", ("summary.cost/parameters", "provenance.parameters")),
    ("energy", "energy", "kWh", ("summary.cost/kwh", "summary.cost/kwh.last", "summary.cost/kwh.max")),
)


@dataclass(frozen=True)
class Front:
    """The metric against one cost.

    Attributes:
        cost, title, unit: which one; `unit` is "" for a count.
        table: the ranked runs that have it, cheapest first: `id`, `name`, `best`, `cost`, `on_front`.
    """

    cost: str
    title: str
    unit: str
    table: pd.DataFrame


def fronts(ranked: pd.DataFrame, goal: stats.Goal) -> list[Front] | str:
    """One front for each cost that at least two runs logged and that differs between them; or why there is none."""
    found = [front for cost in COSTS if (front := _front(ranked, goal, *cost)) is not None]
    return found or "no cost was logged that differs between runs"


def _front(
    ranked: pd.DataFrame, goal: stats.Goal, cost: str, title: str, unit: str, columns: tuple[str, ...]
) -> Front | None:
    column = next((name for name in columns if name in ranked and ranked[name].notna().any()), None)
    if column is None:
        return None
    table = ranked[["id", "name", "best"]].assign(cost=pd.to_numeric(ranked[column], errors="coerce")).dropna()
    if table["cost"].nunique() < 2:
        return None
    sign = -1.0 if goal == "maximize" else 1.0
    table["on_front"] = non_dominated(np.column_stack([sign * table["best"], table["cost"]]))
    return Front(cost, title, unit, table.sort_values(["cost", "id"], kind="stable").reset_index(drop=True))


def non_dominated(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    """Which rows of (n, m) no other row beats: none is at most as large everywhere and smaller somewhere.

    Equal rows do not beat each other. Source: Deb (2001), Multi-Objective Optimization using Evolutionary Algorithms,
    definition 2.5.
    """
    at_most = (values[:, None, :] <= values[None, :, :]).all(axis=2)
    below = (values[:, None, :] < values[None, :, :]).any(axis=2)
    return np.logical_not((at_most & below).any(axis=0))
