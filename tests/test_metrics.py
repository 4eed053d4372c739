import math
import warnings

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import example, given, settings
from sklearn import metrics as sklearn_metrics

from cola_sweep.metric_names import METRIC_NAMES, OBJECTIVE, summary_rule
from cola_sweep.metrics import matthews, validation_metrics

rows = st.lists(
    st.tuples(st.integers(0, 1), st.integers(0, 1), st.sampled_from(["in", "out"])), min_size=1, max_size=60
)


def mcc_by_scikit_learn(labels: list[int], predicted: list[int]) -> float:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "A single label was found")  # its value is the agreed one
        return float(sklearn_metrics.matthews_corrcoef(labels, predicted))


def by_scikit_learn(labels: list[int], predicted: list[int]) -> dict[str, float]:
    plain = {"zero_division": 0.0}
    return {
        "valid/acc": sklearn_metrics.accuracy_score(labels, predicted),
        "valid/precision_macro": sklearn_metrics.precision_score(labels, predicted, average="macro", **plain),
        "valid/recall_macro": sklearn_metrics.recall_score(labels, predicted, average="macro", **plain),
        "valid/precision_micro": sklearn_metrics.precision_score(labels, predicted, average="micro", **plain),
        "valid/recall_micro": sklearn_metrics.recall_score(labels, predicted, average="micro", **plain),
        "valid/f1": sklearn_metrics.f1_score(labels, predicted, **plain),
        "valid/mcc": mcc_by_scikit_learn(labels, predicted),
        "valid/positive_rate": sum(predicted) / len(predicted),
    }


def computed(labels: list[int], predicted: list[int], domains: list[str], batch: int) -> dict[str, float]:
    metrics = validation_metrics(domains)
    # In another order than the split's, as batches by length come.
    for index in torch.arange(len(labels)).flip(0).split(batch):
        metrics.update(preds=torch.tensor(predicted)[index], target=torch.tensor(labels)[index], index=index)
    return {name: float(value) for name, value in metrics.compute().items()}


@given(rows, st.integers(1, 17))
@settings(deadline=None, max_examples=60)
@example([(1, 1, "in")], 1)
@example([(0, 0, "out")], 1)
@example([(1, 1, "in")] * 9 + [(0, 1, "out")] * 4, 4)
@example([(1, 0, "in"), (0, 0, "out"), (1, 0, "in")], 2)
def test_equal_to_scikit_learn_over_the_whole_split(table: list[tuple[int, int, str]], batch: int) -> None:
    labels, predicted, domains = (list(column) for column in zip(*table, strict=True))
    got = computed(labels, predicted, domains, batch)
    wanted = by_scikit_learn(labels, predicted)
    for domain in set(domains):
        chosen = [i for i, name in enumerate(domains) if name == domain]
        halves = [labels[i] for i in chosen], [predicted[i] for i in chosen]
        wanted[f"valid/mcc_{domain}"] = mcc_by_scikit_learn(*halves)
    assert got == pytest.approx(wanted, abs=1e-6)


def test_a_collapsed_model_on_cola_has_mcc_0() -> None:
    assert computed([1] * 721 + [0] * 322, [1] * 1043, [""] * 1043, 128)["valid/mcc"] == 0.0
    assert computed([1] * 721 + [0] * 322, [0] * 1043, [""] * 1043, 128)["valid/mcc"] == 0.0


def test_mcc_stays_exact_where_its_products_leave_float32() -> None:
    tn, fp, fn, tp = 30_001, 17, 23, 70_003
    wanted = sklearn_metrics.matthews_corrcoef(
        [0] * (tn + fp) + [1] * (fn + tp), [0] * tn + [1] * fp + [0] * fn + [1] * tp
    )
    assert matthews(tn, fp, fn, tp) == pytest.approx(wanted, abs=1e-12)
    assert matthews(0, 5, 0, 5) == 0.0


def test_domains_that_do_not_occur_have_no_metric() -> None:
    assert "valid/mcc_in" in validation_metrics(["in", "in"])
    assert "valid/mcc_out" not in validation_metrics(["in", "in"])
    assert not {"valid/mcc_in", "valid/mcc_out"} & set(validation_metrics(["", ""]))


def test_reset_forgets_everything() -> None:
    metrics = validation_metrics(["in", "out"])
    metrics.update(preds=torch.tensor([1, 1]), target=torch.tensor([0, 0]), index=torch.tensor([0, 1]))
    metrics.reset()
    metrics.update(preds=torch.tensor([1, 0]), target=torch.tensor([1, 0]), index=torch.tensor([0, 1]))
    assert float(metrics.compute()["valid/acc"]) == 1.0
    assert math.isclose(float(metrics.compute()["valid/mcc"]), 1.0)


def test_every_metric_has_a_name_that_a_sweep_may_use() -> None:
    assert set(validation_metrics(["in", "out"])) <= set(METRIC_NAMES)
    assert OBJECTIVE in METRIC_NAMES


@pytest.mark.parametrize(
    ("name", "rule"),
    [("valid/mcc", "max,last"), ("valid/loss_epoch", "min,last"), ("train/loss_step", None), ("cost/seconds", None)],
)
def test_best_and_last_of_epoch_metrics_reach_the_summary(name: str, rule: str | None) -> None:
    assert summary_rule(name) == rule
