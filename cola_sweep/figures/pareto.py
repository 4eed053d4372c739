"""What a better value costs. Imports matplotlib and the types of `findings`."""

from collections.abc import Iterator

from matplotlib.axes import Axes

from cola_sweep.analysis.pareto import Front
from cola_sweep.figures.style import BLUE, MUTED, Figure, LeftOut, drawing, log_ticks, short
from cola_sweep.findings import Findings

WIDE_RANGE = 30  # from which a logarithmic axis shows more
MOST_NAMES = 6


def pareto(findings: Findings) -> Iterator[Figure | LeftOut]:
    """The metric against each cost, and the runs that no other beats on both."""
    if not findings.fronts:
        yield LeftOut("metric against cost", findings.absent["fronts"])
    for front in findings.fronts or []:
        yield _front(front, findings.results.metric)


def _front(front: Front, metric: str) -> Figure:
    table, best = front.table, front.table[front.table["on_front"]]

    def draw(axes: Axes) -> None:
        others = table[~table["on_front"]]
        axes.scatter(others["cost"], others["best"], s=24, color=MUTED, linewidths=0)
        axes.plot(best["cost"], best["best"], "D-", color=BLUE, drawstyle="steps-post", markersize=6, linewidth=1.4)
        if len(best) <= MOST_NAMES:
            for row in best.itertuples():
                axes.annotate(
                    short(str(row.name)), (row.cost, row.best), (0, 7), textcoords="offset points", fontsize=8,
                    ha="center",
                )  # fmt: skip
        if table["cost"].min() > 0 and table["cost"].max() > WIDE_RANGE * table["cost"].min():
            axes.set_xscale("log")
            log_ticks(axes.xaxis)
        axes.margins(0.12, 0.15)
        axes.set(xlabel=f"{front.title}{f' ({front.unit})' if front.unit else ''}", ylabel=short(metric, 50))

    caption = (
        f"Best {metric} against {front.title} of {len(table):,} runs; the {len(best):,} on the line are the Pareto "
        "front: no run is both better and cheaper."
    )
    return drawing(f"pareto-{front.cost}", caption, draw)
