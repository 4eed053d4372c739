"""The metrics of a validation set: counted batch by batch, computed once over the whole split.

A mean of batch values is not the metric (for MCC it depends on the batch size), so everything here is
a torchmetrics state that is updated per batch and computed at the end of the epoch. Agrees with
scikit-learn at `zero_division=0`, on a collapsed model and a missing class too.

Imports torch and torchmetrics; nothing of ours.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric, MetricCollection
from torchmetrics.classification import (
    BinaryAccuracy,
    BinaryConfusionMatrix,
    BinaryF1Score,
    MulticlassPrecision,
    MulticlassRecall,
)


def matthews(tn: int, fp: int, fn: int, tp: int) -> float:
    """Matthews correlation of a 2 x 2 table, in [-1, 1]; 0 where a row or column is empty, as scikit-learn has it.

    torchmetrics 1.9 reports 0.0256 for a model that calls every sentence of CoLA's validation set acceptable.
    """
    margins = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    return (tp * tn - fp * fn) / math.sqrt(margins) if margins else 0.0


class Matthews(BinaryConfusionMatrix):
    """`matthews` over everything seen."""

    def __init__(self) -> None:
        super().__init__(validate_args=False)

    def compute(self) -> Tensor:
        (tn, fp), (fn, tp) = self.confmat.tolist()
        return torch.tensor(matthews(tn, fp, fn, tp), device=self.confmat.device)


class RowsMatthews(Matthews):
    """`matthews` over some rows of the split; the `index` of an update says which rows a batch holds."""

    rows: Tensor

    def __init__(self, rows: Sequence[bool]) -> None:
        super().__init__()
        self.register_buffer("rows", torch.tensor(rows), persistent=False)

    def update(self, preds: Tensor, target: Tensor, index: Tensor) -> None:  # type: ignore[override]
        chosen = self.rows[index]
        super().update(preds[chosen], target[chosen])


class PositiveRate(Metric):
    """Share of rows that were predicted acceptable."""

    full_state_update = False
    positive: Tensor
    total: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.add_state("positive", torch.tensor(0), dist_reduce_fx="sum")
        self.add_state("total", torch.tensor(0), dist_reduce_fx="sum")

    def update(self, preds: Tensor) -> None:
        self.positive += preds.sum()
        self.total += preds.numel()

    def compute(self) -> Tensor:
        return self.positive / self.total


def validation_metrics(domains: Sequence[str] = ()) -> MetricCollection:
    """The metrics of one validation set, without those that need the loss.

    Call `update(preds, target, index=index)` with int tensors of shape (batch,), classes 0 and 1 (1 = acceptable)
    and the rows' numbers in the split; `compute()` gives floats by their logged names. `valid/f1` is the F1 of the
    acceptable class, GLUE's `f1`; micro precision and recall over both classes equal accuracy by definition.

    Args:
        domains: "in", "out" or "" per row of the split; a domain that no row has gets no metric.
    """
    unchecked: dict[str, Any] = {"validate_args": False}  # the checks read every batch back from the device
    metrics: dict[str, Any] = {
        "valid/acc": BinaryAccuracy(**unchecked),
        "valid/precision_macro": MulticlassPrecision(num_classes=2, average="macro", **unchecked),
        "valid/recall_macro": MulticlassRecall(num_classes=2, average="macro", **unchecked),
        "valid/precision_micro": MulticlassPrecision(num_classes=2, average="micro", **unchecked),
        "valid/recall_micro": MulticlassRecall(num_classes=2, average="micro", **unchecked),
        "valid/f1": BinaryF1Score(**unchecked),
        "valid/mcc": Matthews(),
        "valid/positive_rate": PositiveRate(),
    }
    for domain in ("in", "out"):
        if domain in domains:
            metrics[f"valid/mcc_{domain}"] = RowsMatthews([row == domain for row in domains])
    # Compute groups would share one state between metrics that look alike, and the domains look alike.
    return MetricCollection(metrics, compute_groups=False)
