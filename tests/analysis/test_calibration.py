"""Calibration against scikit-learn and scipy."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats as scipy_stats
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from cola_sweep.analysis.calibration import Calibration, calibration, wilson


def predictions() -> pd.DataFrame:
    rng = np.random.default_rng(8)
    probability = rng.beta(2, 1, 500)
    return pd.DataFrame({"label": (rng.random(500) < probability**2).astype(int), "probability": probability})


def test_bins_and_brier_score_are_scikit_learns() -> None:
    rows = predictions()
    found = calibration(rows)
    assert isinstance(found, Calibration)
    true, said = calibration_curve(rows["label"], rows["probability"], n_bins=10)
    np.testing.assert_allclose(found.table["acceptable"], true)
    np.testing.assert_allclose(found.table["predicted"], said)
    assert found.brier == pytest.approx(brier_score_loss(rows["label"], rows["probability"]))
    assert found.error == pytest.approx(np.sum(np.abs(true - said) * found.table["n"]) / 500)
    assert (found.table["n"].sum(), found.n) == (500, 500)


def test_certain_predictions_fall_into_the_last_bin() -> None:
    found = calibration(pd.DataFrame({"label": [1, 0], "probability": [1.0, 0.0]}))
    assert isinstance(found, Calibration)
    assert found.table[["low", "high"]].to_numpy().tolist() == [[0.0, 0.1], [0.9, 1.0]]
    assert (found.error, found.brier) == (0, 0)


def test_the_interval_of_a_share_is_wilsons() -> None:
    for right, n in ((0, 7), (3, 7), (40, 40)):
        theirs = scipy_stats.binomtest(right, n).proportion_ci(0.95, method="wilson")
        assert wilson(right, n) == pytest.approx((theirs.low, theirs.high))


def test_the_interval_of_a_share_holds_it_whatever_is_rounded() -> None:
    n = np.arange(1, 500)
    for right in (0 * n, n):
        low, high = wilson(right, n)
        assert (low >= 0).all()
        assert (low <= right / n).all()
        assert (right / n <= high).all()
        assert (high <= 1).all()


def test_without_probabilities_the_reason_is_given() -> None:
    assert "not at hand" in str(calibration(None))
    assert "no probabilities" in str(calibration(predictions().drop(columns="probability")))
    assert "no probabilities" in str(calibration(predictions().assign(probability="high")))
