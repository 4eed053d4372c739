"""Figures of the winner's predictions: confusion matrices and calibration.

Imports matplotlib, seaborn, `stats` and the types of `findings`.
"""

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes

from cola_sweep import stats
from cola_sweep.figures.style import BLUE, INK, MUTED, SHADES, Figure, LeftOut, drawing
from cola_sweep.findings import Findings


def confusion(findings: Findings, place: int = 0) -> Figure | LeftOut:
    """The confusion matrix of the run at `place` of the ranking: counts, and shares of each true class."""
    who = ("the winner", "the runner-up")[place]
    title = f"confusion matrix of {who}"
    table = table_of(findings, place)
    if table is None:
        return LeftOut(title, "its predictions are not at hand")
    counts = stats.confusion(table["label"].to_numpy(), table["predicted"].to_numpy())
    matrix = counts.reshape(2, 2)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)

    def draw(axes: Axes) -> None:
        labels = np.array([f"{count:,}\n{share:.0%}" for count, share in zip(matrix.flat, shares.flat, strict=True)])
        sns.heatmap(
            shares, annot=labels.reshape(2, 2), fmt="", cmap=SHADES, vmin=0, vmax=1, ax=axes, linewidths=2,
            linecolor="none", cbar=False, xticklabels=stats.CLASSES, yticklabels=stats.CLASSES,
            annot_kws={"size": 13, "color": INK},
        )  # fmt: skip
        axes.set(xlabel="predicted", ylabel="true")
        axes.grid(False)
        axes.tick_params(length=0)

    caption = (
        f"Confusion matrix of {who} on {int(counts.sum()):,} validation sentences: counts, and shares of each "
        "true class."
    )
    return drawing(("confusion-matrix", "confusion-matrix-runner-up")[place], caption, draw)


def calibration(findings: Findings) -> Figure | LeftOut:
    """Do the winner's probabilities mean what they say."""
    found = findings.calibration
    if found is None:
        return LeftOut("calibration of the winner", findings.absent["calibration"])
    bins = found.table

    def draw(axes: Axes) -> None:
        axes.plot([0, 1], [0, 1], color=MUTED, linestyle="--", linewidth=1)
        errors = [bins["acceptable"] - bins["share_low"], bins["share_high"] - bins["acceptable"]]
        axes.errorbar(bins["predicted"], bins["acceptable"], yerr=errors, fmt="o-", color=BLUE, markersize=5)
        for row in bins.itertuples():
            axes.annotate(
                f"{row.n:,}", (row.predicted, row.acceptable), (5, -9), textcoords="offset points", fontsize=8
            )
        axes.set(
            xlim=(-0.03, 1.06), ylim=(-0.05, 1.05), xlabel="predicted probability of “acceptable”",
            ylabel="share acceptable",
        )  # fmt: skip

    caption = (
        f"Calibration of the winner on {found.n:,} sentences: share of acceptable ones by predicted probability, "
        "with 95% intervals (Wilson) and the number of sentences; the dashed line would be perfect."
    )
    return drawing("calibration", caption, draw)


def table_of(findings: Findings, place: int) -> pd.DataFrame | None:
    """The predictions of the run at `place` of the ranking, if they are at hand and not empty."""
    ids = findings.ranked["id"]
    table = findings.results.predictions.get(ids.iloc[place]) if len(ids) > place else None
    return None if table is None or table.empty else table
