"""Parallel coordinates: each run is a line over one axis per parameter and one for the metric.

A page may let the reader choose ranges on the axes (`templates/parallel.js`): every vertex of a run's path lies
on an axis, so the drawing itself holds all that needs. Imports matplotlib, pandas and the types of `findings`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, MaxNLocator

from cola_sweep.figures.search import categories
from cola_sweep.figures.style import BLUE, INK, LINE, MUTED, ORANGE, PAPER, WIDE, Figure, LeftOut, drawing, short
from cola_sweep.findings import Findings, Parameter
from cola_sweep.wording import show_metric, show_value

MOST_LINES = 200
MOST_AXES = 7
BEST = 5
ABSENT = -0.09  # where a run without a number lies, below the axis


@dataclass(frozen=True)
class _Axis:
    title: str
    places: np.ndarray  # of each run, 0 bottom to 1 top
    ticks: list[tuple[float, str]]


def parallel(findings: Findings) -> Figure | LeftOut:
    """All parameters and the metric at once."""
    metric, ranked = findings.results.metric, findings.ranked
    parameters = [parameter for parameter in findings.parameters if ranked[parameter.column].nunique() > 1]
    if len(ranked) < 2:
        return LeftOut("parallel coordinates", "only one run can be ranked")
    if len(parameters) < 2:
        return LeftOut("parallel coordinates", "fewer than two parameters differ between ranked runs")
    parameters = parameters[: MOST_AXES - 1]
    runs = _chosen(ranked)
    axes_of = [_axis(runs[p.column], p) for p in parameters]
    axes_of.append(_metric_axis(runs["best"].astype(float), metric, findings.results.goal))
    titles = [
        f"{run['rank']}. {run['name']}: {metric} {show_metric(run['best'])}, "
        + ", ".join(f"{p.name} {show_value(run[p.column])}" for p in parameters)
        for _, run in runs.iterrows()
    ]
    few = "" if len(runs) == len(ranked) else f"{len(runs)}, evenly spread over the ranking, of "
    others = f"the next {min(BEST, len(runs)) - 1} blue" if len(runs) > 2 else "the other blue"
    caption = (
        f"Each of {few}{len(ranked):,} ranked runs as a line over its settings to its best {metric}: "
        f"the winner orange, {others}."
    )
    return drawing("parallel", caption, lambda axes: _draw(axes, axes_of), size=WIDE, titles=titles)


def _chosen(ranked: pd.DataFrame) -> pd.DataFrame:
    """All runs, or, of too many, the best few and others spread evenly over the ranking."""
    if len(ranked) <= MOST_LINES:
        return ranked
    rest = np.linspace(BEST, len(ranked) - 1, MOST_LINES - BEST).round().astype(int)
    return ranked.iloc[[*range(BEST), *rest]]


def _axis(values: pd.Series, parameter: Parameter) -> _Axis:
    if parameter.scale == "categorical":
        names, places = categories(values)
        height = (places + 0.5) / len(names)
        return _Axis(
            parameter.name, height, [((i + 0.5) / len(names), short(name, 16)) for i, name in enumerate(names)]
        )
    numbers = values.astype(float).to_numpy()
    log = parameter.scale == "log"
    places, ticks = _scaled(numbers, log)
    if np.isnan(numbers).any():
        ticks.append((ABSENT, "–"))
    return _Axis(parameter.name, np.where(np.isnan(numbers), ABSENT, places), ticks)


def _metric_axis(values: pd.Series, metric: str, goal: str) -> _Axis:
    """The better end is the upper one."""
    places, ticks = _scaled(values.to_numpy(), False)
    if goal == "minimize":
        places, ticks = 1 - places, [(1 - place, label) for place, label in ticks]
    return _Axis(metric, places, ticks)


def _scaled(numbers: np.ndarray, log: bool) -> tuple[np.ndarray, list[tuple[float, str]]]:
    """Numbers, NaN among them, as places from 0 to 1, and a few ticks."""
    low, high = np.nanmin(numbers), np.nanmax(numbers)
    if low == high:
        return np.where(np.isnan(numbers), np.nan, 0.5), [(0.5, show_value(low))]
    change = np.log10 if log else np.asarray
    start, end = change(low), change(high)
    locator = LogLocator(subs=(1, 3), numticks=6) if log else MaxNLocator(5)
    marks = [mark for mark in locator.tick_values(low, high) if low <= mark <= high]
    ticks = [(float((change(mark) - start) / (end - start)), show_value(mark)) for mark in marks]
    return (change(numbers) - start) / (end - start), ticks


def _draw(axes: Axes, axes_of: list[_Axis]) -> None:
    lines = np.stack([axis.places for axis in axes_of], axis=1)
    for place in reversed(range(len(lines))):
        color, width, strength = (
            (ORANGE, 2.6, 1.0) if place == 0 else (BLUE, 1.6, 0.9) if place < BEST else (MUTED, 1.0, 0.55)
        )
        # Clipping would hide the run without a number, and cost a reference for each line.
        axes.plot(lines[place], color=color, linewidth=width, alpha=strength, gid=f"item-{place}", clip_on=False)
    for place, axis in enumerate(axes_of):
        axes.axvline(place, color=INK, linewidth=0.8)
        for height, label in axis.ticks:
            axes.text(
                place - 0.025, height, label, ha="right", va="center", fontsize=8.5, zorder=4,
                bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.8, "pad": 0.8},
            )  # fmt: skip
            axes.plot([place - 0.012, place], [height, height], color=LINE, linewidth=0.8)
    axes.set_xticks(range(len(axes_of)), [short(axis.title, 22) for axis in axes_of])
    axes.xaxis.tick_top()
    axes.tick_params(length=0)
    axes.set(xlim=(-0.35, len(axes_of) - 0.9), ylim=(ABSENT - 0.03, 1.03), yticks=[])
    axes.grid(False)
    axes.spines[:].set_visible(False)
