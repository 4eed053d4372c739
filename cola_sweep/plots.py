"""The charts of one epoch's predictions, by their W&B keys: confusion matrix three ways, ROC, PR, calibration.

Imports corpus (the class names) and samples; matplotlib, seaborn and wandb.
"""

from typing import Any

import numpy as np
import seaborn  # type: ignore[import-untyped]
import wandb
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cola_sweep.corpus import CLASS_NAMES
from cola_sweep.samples import Predictions

BINS = 10
# Of the heatmap in its picture: left, bottom, width, height. Working out a layout would be half of the drawing.
PLACE = (0.13, 0.13, 0.84, 0.79)


def charts(predictions: Predictions) -> dict[str, Any]:
    """All charts by key. ROC and PR are undefined, and left out, where all labels are of one class."""
    found = confusion_matrices(predictions.counts) | {"calibration": calibration(predictions)}
    if len(set(predictions.labels.tolist())) == 2:
        found |= curves(predictions)
    return found


def confusion_matrices(counts: NDArray[np.int64]) -> dict[str, Any]:
    """The same counts (rows labels, columns predictions) as W&B's chart, seaborn's picture and scikit-learn's."""
    title = "Validation confusion matrix"
    return {
        "conf/wandb": wandb_matrix(counts, title),
        "conf/heatmap": heatmap(counts, title),
        "conf/sklearn": sklearn_matrix(counts),
    }


def wandb_matrix(counts: NDArray[np.int64], title: str) -> Any:
    labels, predicted = np.indices((2, 2)).reshape(2, 4).repeat(counts.ravel(), axis=1).tolist()
    return wandb.plot.confusion_matrix(y_true=labels, preds=predicted, class_names=CLASS_NAMES, title=title)


def sklearn_matrix(counts: NDArray[np.int64]) -> Any:
    """What `wandb.sklearn.plot_confusion_matrix` draws, made from its own table.

    That function logs under a fixed key, and reads its matrix the wrong way round: it writes rows, which are the
    labels, to the column "Predicted". Its matrix also shrinks when a class does not occur. So its table is given
    the transposed counts.
    """
    from wandb.integration.sklearn.calculate.confusion_matrix import make_table

    names = np.array(CLASS_NAMES, dtype=object)
    table = make_table(counts.T, names, names, None)
    return wandb.visualize("wandb/confusion_matrix/v1", table)  # type: ignore[attr-defined]


def heatmap(counts: NDArray[np.int64], title: str) -> wandb.Image:
    """Counts, and the share of the label by which cells are coloured, so that the larger class drowns nothing."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    cells = [f"{count}\n{share:.0%}" for count, share in zip(counts.flat, shares.flat, strict=True)]
    # A figure of its own, not pyplot's, belongs to nobody else and needs no closing and no display.
    figure = Figure(figsize=(4.4, 4.0))
    axes = figure.add_axes(PLACE)
    seaborn.heatmap(
        shares, annot=np.reshape(cells, counts.shape), fmt="", vmin=0, vmax=1, cmap="Blues", cbar=False, ax=axes,
        xticklabels=CLASS_NAMES, yticklabels=CLASS_NAMES,
    )  # fmt: skip
    axes.set(title=title, xlabel="predicted", ylabel="label (a row is 100%)")
    canvas = FigureCanvasAgg(figure)  # only now: seaborn draws what has one, to see whether its labels overlap
    canvas.draw()
    return wandb.Image(np.asarray(canvas.buffer_rgba())[..., :3], caption=title)


def curves(predictions: Predictions) -> dict[str, Any]:
    """ROC and precision-recall of the acceptable class."""
    labels = predictions.labels.tolist()
    probabilities = np.exp(predictions.log_probabilities).tolist()
    about: dict[str, Any] = {"labels": list(CLASS_NAMES), "classes_to_plot": [1]}
    return {
        "roc": wandb.plot.roc_curve(labels, probabilities, title="ROC", **about),
        "pr": wandb.plot.pr_curve(labels, probabilities, title="Precision and recall", **about),
    }


def calibration_rows(predictions: Predictions) -> list[list[float]]:
    """Mean probability, share of acceptable sentences and their number, for each tenth of [0, 1] that has any."""
    bins = np.minimum((predictions.probability * BINS).astype(int), BINS - 1)
    sizes = np.bincount(bins, minlength=BINS)
    probability = np.bincount(bins, predictions.probability, BINS)
    acceptable = np.bincount(bins, predictions.labels, BINS)
    return [[probability[i] / n, acceptable[i] / n, int(n)] for i, n in enumerate(sizes) if n]


def calibration(predictions: Predictions) -> Any:
    table = wandb.Table(columns=["probability", "acceptable", "sentences"], data=calibration_rows(predictions))
    return wandb.plot.line(table, x="probability", y="acceptable", title="Calibration")
