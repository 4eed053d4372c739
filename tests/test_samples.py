import numpy as np
import pytest
from sklearn.metrics import confusion_matrix, log_loss

from cola_sweep.corpus import Split
from cola_sweep.samples import EXAMPLE_COLUMNS, PREDICTION_COLUMNS, Predictions, example_rows, prediction_rows

VALID = Split(
    ("A.", "B.", "C.", "D.", "E."), (1, 0, 1, 0, 1), ("s1", "s1", "s2", "s2", "s3"), ("in",) * 3 + ("out",) * 2
)


def predictions(logits: list[list[float]], labels: list[int], index: list[int]) -> Predictions:
    return Predictions(np.array(index), np.array(labels), np.array(logits))


# Row 3 is outside of this validation set, as after `valid_limit`.
SOME = predictions([[0, 2], [0, 5], [3, 0], [0, 0.1]], [1, 0, 1, 1], [0, 1, 2, 4])


def test_predictions_hold_every_sentence_in_the_order_of_the_split() -> None:
    rows = [dict(zip(PREDICTION_COLUMNS, row, strict=True)) for row in prediction_rows(SOME, VALID)]
    assert [row["index"] for row in rows] == [0, 1, 2, 4]
    assert rows[1] | {"probability": None, "loss": None} == {
        "index": 1, "sentence": "B.", "label": "unacceptable", "predicted": "acceptable", "probability": None,
        "loss": None, "source": "s1", "domain": "in",
    }  # fmt: skip
    assert rows[1]["probability"] == pytest.approx(1 / (1 + np.exp(-5)))
    assert rows[1]["loss"] == pytest.approx(-np.log(1 - rows[1]["probability"]))


def test_examples_are_all_the_wrong_ones_worst_first() -> None:
    rows = [dict(zip(EXAMPLE_COLUMNS, row, strict=True)) for row in example_rows(SOME, VALID)]
    assert [row["sentence"] for row in rows] == ["B.", "C."]
    assert rows[0]["loss"] > rows[1]["loss"]
    assert (rows[1]["label"], rows[1]["predicted"], rows[1]["source"]) == ("acceptable", "unacceptable", "s2")


def test_a_model_without_errors_has_no_examples() -> None:
    assert example_rows(predictions([[0, 1], [1, 0]], [1, 0], [0, 1]), VALID) == []


def test_counts_probabilities_and_loss_agree_with_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    found = Predictions(np.arange(200), rng.integers(0, 2, 200), rng.normal(0, 4, (200, 2)))
    assert (found.counts == confusion_matrix(found.labels, found.predicted)).all()
    assert found.loss.mean() == pytest.approx(log_loss(found.labels, found.probability))


def test_extreme_logits_give_finite_losses() -> None:
    found = predictions([[900, -900]], [1], [0])
    assert found.loss.tolist() == [1800.0]
    assert found.probability.tolist() == [0.0]
