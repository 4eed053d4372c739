"""How much of the metric's variance each parameter explains. Imports matplotlib and the types of `findings`."""

import numpy as np
from matplotlib.axes import Axes

from cola_sweep.figures.style import BLUE, INK, ORANGE, Figure, LeftOut, drawing, short
from cola_sweep.findings import Findings

MOST = 12


def importance(findings: Findings) -> Figure | LeftOut:
    """A bar for each parameter, its spread, and the share it would have by chance."""
    found = findings.importance
    if found is None:
        return LeftOut("importance of the parameters", findings.absent["importance"])
    table = found.table.head(MOST)

    def draw(axes: Axes) -> None:
        places = np.arange(len(table))
        axes.barh(places, table["share"], height=0.55, color=BLUE, alpha=0.55)
        # A mean of trees may lie outside their inner 90%, if a few of them say much.
        ends = [(table["share"] - table["low"]).clip(lower=0), (table["high"] - table["share"]).clip(lower=0)]
        axes.errorbar(table["share"], places, xerr=ends, fmt="none", ecolor=INK, elinewidth=1.2)
        axes.plot(table["chance"], places, "|", color=ORANGE, markersize=18, markeredgewidth=2.2)
        axes.set_yticks(places, [short(name) for name in table["name"]])
        axes.set_ylim(len(table) - 0.4, -0.6)
        axes.set(xlabel="share of the variance", xlim=(0, None))
        axes.grid(False, axis="y")

    caption = (
        f"Share of the variance of {findings.results.metric} that each parameter explains alone (fANOVA over "
        f"{found.n:,} runs); whiskers are 90% of the trees; below the orange mark it may be chance."
    )
    return drawing("importance", caption, draw, size=(4.8, max(1.6, 0.9 + 0.42 * len(table))))
