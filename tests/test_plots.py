from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from sklearn import metrics as sklearn_metrics
from sklearn.calibration import calibration_curve

from cola_sweep.corpus import CLASS_NAMES
from cola_sweep.plots import calibration_rows, charts, confusion_matrices
from cola_sweep.samples import Predictions

KEYS = {"conf/wandb", "conf/heatmap", "conf/sklearn", "roc", "pr", "calibration"}


def random_predictions(size: int = 300) -> Predictions:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, size)
    logits = rng.normal(size=(size, 2))
    logits[:, 1] += labels
    return Predictions(np.arange(size), labels, logits)


def cells(chart: Any) -> dict[tuple[str, str], int]:
    """Count by (label, prediction), found by the names of the chart's own columns."""
    columns = chart.table.columns
    actual, predicted = columns.index("Actual"), columns.index("Predicted")
    (count,) = {0, 1, 2} - {actual, predicted}
    return {(row[actual], row[predicted]): int(row[count]) for row in chart.table.data}


@pytest.fixture
def heatmap_texts(monkeypatch: pytest.MonkeyPatch) -> list[tuple[float, float, str]]:
    """What is written into cells, with x and y of the cell's middle."""
    texts: list[tuple[float, float, str]] = []
    real = Axes.text

    def text(self: Axes, x: float, y: float, s: str, **kwargs: Any) -> Any:
        texts.append((x, y, s))
        return real(self, x, y, s, **kwargs)

    monkeypatch.setattr(Axes, "text", text)
    return texts


@pytest.mark.parametrize("counts", [[[3, 5], [7, 11]], [[0, 0], [0, 4]], [[4, 0], [0, 0]], [[0, 6], [0, 9]]])
def test_the_three_matrices_agree_cell_by_cell(
    counts: list[list[int]], heatmap_texts: list[tuple[float, float, str]]
) -> None:
    matrices = confusion_matrices(np.array(counts))
    wanted = {(CLASS_NAMES[i], CLASS_NAMES[j]): counts[i][j] for i in (0, 1) for j in (0, 1)}
    assert cells(matrices["conf/wandb"]) == wanted
    assert cells(matrices["conf/sklearn"]) == wanted
    shown = {(CLASS_NAMES[int(y)], CLASS_NAMES[int(x)]): s.split("\n") for x, y, s in heatmap_texts}
    assert {cell: int(count) for cell, (count, _) in shown.items()} == wanted
    of_label = {name: sum(row) or 1 for name, row in zip(CLASS_NAMES, counts, strict=True)}
    shares = {cell: f"{round(100 * count / of_label[cell[0]])}%" for cell, count in wanted.items()}
    assert {cell: share for cell, (_, share) in shown.items()} == shares


def test_the_heatmap_is_whole_and_its_colours_are_of_the_shares() -> None:
    """Its layout is fixed: words that grew would be cut off at the picture's edge."""
    picture = np.asarray(confusion_matrices(np.array([[0, 1000], [1, 1]]))["conf/heatmap"].image)[..., :3]
    assert all((edge == 255).all() for edge in (picture[0], picture[-1], picture[:, 0], picture[:, -1]))
    height, width, _ = picture.shape
    corners = [picture[int(y * height), int(x * width)].tolist() for y in (0.15, 0.8) for x in (0.2, 0.9)]
    none, whole, half, other_half = corners
    assert none > half > whole
    assert half == other_half


def test_pictures_and_charts_have_titles() -> None:
    matrices = confusion_matrices(np.array([[1, 2], [3, 4]]))
    assert matrices["conf/wandb"].spec.string_fields["title"] == "Validation confusion matrix"
    assert matrices["conf/heatmap"]._caption == "Validation confusion matrix"


def test_curves_are_of_the_acceptable_class() -> None:
    predictions = random_predictions()
    found = charts(predictions)
    assert set(found) == KEYS
    columns, rows = found["roc"].table.columns, found["roc"].table.data
    assert {row[columns.index("class")] for row in rows} == {"acceptable"}
    area = sklearn_metrics.auc(*(([row[columns.index(name)] for row in rows]) for name in ("fpr", "tpr")))
    assert area == pytest.approx(sklearn_metrics.roc_auc_score(predictions.labels, predictions.probability), abs=5e-3)
    assert {row[found["pr"].table.columns.index("class")] for row in found["pr"].table.data} == {"acceptable"}


def test_calibration_agrees_with_scikit_learn() -> None:
    predictions = random_predictions()
    rows = calibration_rows(predictions)
    observed, predicted = calibration_curve(predictions.labels, predictions.probability, n_bins=10)
    assert [row[:2] for row in rows] == [pytest.approx(pair) for pair in zip(predicted, observed, strict=True)]
    assert sum(row[2] for row in rows) == 300


@pytest.mark.parametrize("label", [0, 1])
@pytest.mark.parametrize("predicted", [0, 1])
def test_one_class_only_leaves_the_undefined_curves_out(label: int, predicted: int) -> None:
    logits = np.zeros((5, 2))
    logits[:, predicted] = 800.0
    found = charts(Predictions(np.arange(5), np.full(5, label), logits))
    assert set(found) == KEYS - {"roc", "pr"}
    assert found["calibration"].table.data == [[float(predicted), float(label), 5]]
