"""Figures of the runs: learning curves of the metric and of the loss.

Imports matplotlib, pandas and the types of `findings`.
"""

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from cola_sweep.figures.style import CURVES, MUTED, Figure, LeftOut, drawing, short
from cola_sweep.findings import Findings

FAINT_CURVES = 200
LOSSES = {"train/loss_epoch": "training", "valid/loss_epoch": "validation"}


def learning_curves(findings: Findings) -> Figure | LeftOut:
    """The metric after each epoch, the best runs in colour."""
    metric, names = findings.results.metric, findings.ranked.set_index("id")["name"]
    curves = _curves_of(findings)
    if not any(len(curve) > 1 for curve in curves.values()):
        return LeftOut("learning curves", f"no ranked run logged {metric} more than once")
    shown = min(len(curves), len(CURVES) + FAINT_CURVES)

    def draw(axes: Axes) -> None:
        for curve in list(curves.values())[len(CURVES) : shown]:
            axes.plot(curve["epoch"], curve[metric], color=MUTED, linewidth=0.8, alpha=0.5)
        for (run_id, curve), (color, style, marker) in zip(curves.items(), CURVES, strict=False):
            label = "\u200b" + short(str(names[run_id]))  # matplotlib would hide a label that begins with _
            axes.plot(
                curve["epoch"], curve[metric],
                color=color, linestyle=style, marker=marker, markersize=4.5, linewidth=1.8, label=label,
            )  # fmt: skip
        axes.set(xlabel="epoch", ylabel=short(metric, 50))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.figure.legend(fontsize=8.5, loc="outside lower center", ncols=2)

    grey = f": the best {len(CURVES)} in colour, {shown - len(CURVES)} others in grey" if shown > len(CURVES) else ""
    return drawing("learning-curves", f"{metric} of {shown} runs after each epoch{grey}.", draw)


def losses(findings: Findings) -> Figure | LeftOut:
    """Training and validation loss of the winner: where they part, it learns by heart."""
    histories, winner = findings.results.histories, findings.winner
    title = "losses of the winner"
    if winner is None or not set(LOSSES) & set(histories):
        return LeftOut(title, "no loss was logged per epoch")
    history = histories[histories["run"] == winner["id"]]
    curves = {label: history.dropna(subset=[key]) for key, label in LOSSES.items() if key in history}
    if not any(len(curve) > 1 for curve in curves.values()):
        return LeftOut(title, "the winner logged no loss in more than one epoch")

    def draw(axes: Axes) -> None:
        for (key, label), (color, style, marker) in zip(LOSSES.items(), CURVES, strict=False):
            if label in curves:
                axes.plot(
                    curves[label]["epoch"], curves[label][key],
                    color=color, linestyle=style, marker=marker, markersize=4.5, linewidth=1.8, label=label,
                )  # fmt: skip
        axes.set(xlabel="epoch", ylabel="loss per sentence (nats)")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.figure.legend(fontsize=8.5, loc="outside lower center", ncols=2)

    return drawing("losses", "Training and validation loss of the winner after each epoch.", draw)


def _curves_of(findings: Findings) -> dict[str, pd.DataFrame]:
    """The history of each ranked run that has one, best run first."""
    metric, histories = findings.results.metric, findings.results.histories
    if metric not in histories:
        return {}
    by_run = dict(list(histories.dropna(subset=[metric]).groupby("run")))
    return {run_id: by_run[run_id] for run_id in findings.ranked["id"] if run_id in by_run}
