"""What the model said of each validation sentence: as arrays, and as the tables made of them.

Pure: values in, rows out; `tracking` makes W&B tables of the rows. Imports numpy and corpus.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cola_sweep.corpus import CLASS_NAMES, Split

EXAMPLE_COLUMNS: list[str | int] = ["sentence", "label", "predicted", "probability", "loss", "source", "domain"]
PREDICTION_COLUMNS: list[str | int] = ["index", *EXAMPLE_COLUMNS]


@dataclass(frozen=True)
class Predictions:
    """One epoch's predictions, in the order of the split; the first axis of every array is the sentences."""

    index: NDArray[np.int64]  # row numbers in the validation split, ascending
    labels: NDArray[np.int64]  # 1 = acceptable
    logits: NDArray[np.float64]  # (sentences, 2)

    @property
    def predicted(self) -> NDArray[np.int64]:
        return self.logits.argmax(axis=1)

    @property
    def log_probabilities(self) -> NDArray[np.float64]:
        """(sentences, 2), natural logarithm."""
        shifted = self.logits - self.logits.max(axis=1, keepdims=True)
        return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))

    @property
    def probability(self) -> NDArray[np.float64]:
        """Of class "acceptable"."""
        return np.exp(self.log_probabilities[:, 1])

    @property
    def loss(self) -> NDArray[np.float64]:
        """Cross-entropy per sentence, never smoothed."""
        return -self.log_probabilities[np.arange(len(self.labels)), self.labels]

    @property
    def counts(self) -> NDArray[np.int64]:
        """Confusion matrix, (2, 2): rows are the labels, columns the predictions."""
        return np.bincount(2 * self.labels + self.predicted, minlength=4).reshape(2, 2)


def prediction_rows(predictions: Predictions, valid: Split) -> list[list[Any]]:
    """Every predicted sentence in the order of the split, by `PREDICTION_COLUMNS`.

    `label` and `predicted` are class names, `probability` is that of "acceptable".
    """
    columns = (
        predictions.index, predictions.labels, predictions.predicted, predictions.probability, predictions.loss,
    )  # fmt: skip
    return [
        [
            index, valid.sentences[index], CLASS_NAMES[label], CLASS_NAMES[predicted], probability, loss,
            valid.sources[index], valid.domains[index],
        ]
        for index, label, predicted, probability, loss in zip(*(column.tolist() for column in columns), strict=True)
    ]  # fmt: skip


def example_rows(predictions: Predictions, valid: Split) -> list[list[Any]]:
    """The wrongly predicted sentences, all of them, worst first, by `EXAMPLE_COLUMNS`."""
    label, predicted, loss = (EXAMPLE_COLUMNS.index(name) for name in ("label", "predicted", "loss"))
    rows = [row[1:] for row in prediction_rows(predictions, valid)]
    return sorted((row for row in rows if row[label] != row[predicted]), key=lambda row: -row[loss])
