"""What a better value costs. Imports matplotlib, numpy and the types of `findings`."""

from collections.abc import Iterator

import numpy as np
from matplotlib.axes import Axes

from cola_sweep.analysis.pareto import Front
from cola_sweep.figures.style import BLUE, MUTED, Figure, LeftOut, drawing, log_ticks, short
from cola_sweep.findings import Findings

WIDE_RANGE = 30  # from which a logarithmic axis shows more
MOST_NAMES = 6
NEAR = 0.15  # inches


def pareto(findings: Findings) -> Iterator[Figure | LeftOut]:
    """The metric against each cost, and the runs that no other beats on both."""
    if not findings.fronts:
        yield LeftOut("metric against cost", findings.absent["fronts"])
    for front in findings.fronts or []:
        yield _front(front, findings.results.metric)


def _front(front: Front, metric: str) -> Figure:
    table, best = front.table, front.table[front.table["on_front"]]
    is_named = len(best) <= MOST_NAMES

    def draw(axes: Axes) -> None:
        others = table[~table["on_front"]]
        axes.scatter(others["cost"], others["best"], s=24, color=MUTED, linewidths=0)
        axes.plot(best["cost"], best["best"], "D-", color=BLUE, drawstyle="steps-post", markersize=6, linewidth=1.4)
        if table["cost"].min() > 0 and table["cost"].max() > WIDE_RANGE * table["cost"].min():
            axes.set_xscale("log")
            log_ticks(axes.xaxis)
        axes.margins(0.12, 0.15)
        if is_named:
            _number(axes, best[["cost", "best"]].to_numpy(float))
        axes.set(xlabel=f"{front.title}{f' ({front.unit})' if front.unit else ''}", ylabel=short(metric, 50))

    names = f" From the cheapest: {', '.join(f'{i} {name}' for i, name in enumerate(best['name'], 1))}."
    caption = (
        f"Best {metric} against {front.title} of {len(table):,} runs; the {len(best):,} on the line are the Pareto "
        f"front: no run is both better and cheaper.{names if is_named else ''}"
    )
    return drawing(f"pareto-{front.cost}", caption, draw)


def _number(axes: Axes, places: np.ndarray) -> None:
    """Count the places from 1, beside them, where a front is cheaper and has nothing; near ones share a text."""
    axes.autoscale_view()  # or there is no scale yet
    inches = axes.transData.transform(places) / axes.figure.dpi
    first = 0
    for i in range(1, len(places) + 1):
        if i == len(places) or np.hypot(*(inches[i] - inches[first])) > NEAR:
            text = f"{first + 1}" if i == first + 1 else f"{first + 1}–{i}"
            axes.annotate(text, places[first], (-6, 0), textcoords="offset points", fontsize=8, ha="right", va="center")
            first = i
