"""Figures of two sweeps side by side: the best so far of each, and all their runs.

Imports matplotlib, `stats` and the types of `findings`.
"""

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cola_sweep import stats
from cola_sweep.figures.style import BLUE, ORANGE, Figure, LeftOut, drawing, short, spread
from cola_sweep.findings import Findings

LOOKS = ((BLUE, "-", "o"), (ORANGE, "--", "s"))


def best_so_far(pair: Sequence[Findings], names: Sequence[str]) -> Figure | LeftOut:
    """How fast each search came to its best."""
    metric = pair[0].results.metric
    if any(found.ranked.empty for found in pair):
        return LeftOut("best so far of both", "one of them has no ranked run")

    def draw(axes: Axes) -> None:
        for found, name, (color, style, marker) in zip(pair, names, LOOKS, strict=True):
            runs = found.ranked.sort_values(["created", "id"], kind="stable")
            best = stats.best_so_far(runs["best"].tolist(), found.results.goal)
            axes.step(
                np.arange(1, len(best) + 1), best, where="post", color=color, linestyle=style, marker=marker,
                markersize=4, linewidth=1.8, label="\u200b" + short(name, 40),
            )  # fmt: skip
        axes.set(xlabel="run, in the order of their start", ylabel=short(metric, 50))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.figure.legend(fontsize=8.5, loc="outside lower center", ncols=1)

    n = " and ".join(f"{len(found.ranked):,}" for found in pair)
    return drawing("best-so-far", f"Best {metric} so far in each sweep, over their {n} ranked runs.", draw)


def all_runs(pair: Sequence[Findings], names: Sequence[str]) -> Figure | LeftOut:
    """Every ranked run of both."""
    metric = pair[0].results.metric
    if any(found.ranked.empty for found in pair):
        return LeftOut("runs of both", "one of them has no ranked run")

    def draw(axes: Axes) -> None:
        for place, (found, (color, _, marker)) in enumerate(zip(pair, LOOKS, strict=True)):
            values = found.ranked["best"].to_numpy(dtype=float)
            heights = spread(np.full(len(values), place), 0.5)
            axes.scatter(values, heights, s=28, color=color, marker=marker, alpha=0.7, linewidths=0)
            axes.plot([np.median(values)] * 2, [place - 0.36, place + 0.36], color=color, linewidth=2)
        axes.set_yticks([0, 1], [short(name, 30) for name in names])
        axes.set_ylim(1.5, -0.5)
        axes.set(xlabel=short(metric, 50))

    n = " and ".join(f"{len(found.ranked):,}" for found in pair)
    return drawing("all-runs", f"Best {metric} of each of the {n} ranked runs; the bars are medians.", draw)
