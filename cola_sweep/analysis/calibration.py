"""Whether the winner's probabilities mean what they say.

Imports numpy, pandas and scipy.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

BINS = 10


@dataclass(frozen=True)
class Calibration:
    """Predicted probabilities of "acceptable" against what came true.

    Attributes:
        table: one row a bin that holds a sentence: `low` and `high`, its edges; `n`; `predicted`, the mean
            probability; `acceptable`, the share that is; `share_low` and `share_high`, its 95% Wilson interval.
        error: expected calibration error, the mean distance of `predicted` and `acceptable`, weighed by `n`.
        brier: mean squared distance of probability and label; 0.25 for a constant 1/2.
        n: sentences.
    """

    table: pd.DataFrame
    error: float
    brier: float
    n: int


def calibration(predictions: pd.DataFrame | None) -> Calibration | str:
    """Calibration of a table with `label` (0 and 1) and `probability` of "acceptable", or why there is none.

    Sources: expected calibration error over equal bins, Guo et al. (2017), On Calibration of Modern Neural Networks,
    ICML, equation 3, here of the probability of one class; Brier (1950), Monthly Weather Review 78, 1-3.
    """
    if predictions is None:
        return "the winner's predictions are not at hand"
    held = predictions if "probability" in predictions else predictions.assign(probability=np.nan)
    probability = pd.to_numeric(held["probability"], errors="coerce")
    held = held.assign(probability=probability)[probability.between(0, 1)]
    if held.empty:
        return "the winner's predictions hold no probabilities"
    bins = np.minimum((held["probability"] * BINS).astype(int), BINS - 1)
    rows = held.groupby(bins).agg(n=("label", "size"), predicted=("probability", "mean"), acceptable=("label", "mean"))
    low, high = wilson(rows["acceptable"] * rows["n"], rows["n"])
    table = pd.DataFrame({"low": rows.index / BINS, "high": (rows.index + 1) / BINS}, index=rows.index)
    table = table.join(rows).assign(share_low=low, share_high=high).reset_index(drop=True)
    error = float(np.average((table["predicted"] - table["acceptable"]).abs(), weights=table["n"]))
    return Calibration(table, error, float(((held["probability"] - held["label"]) ** 2).mean()), len(held))


def wilson(right: npt.ArrayLike, n: npt.ArrayLike) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """95 % interval of a share: Wilson (1927), JASA 22, 209-212, without correction for continuity."""
    right, n = np.asarray(right, dtype=float), np.asarray(n, dtype=float)
    z = float(special.ndtri(0.975))
    middle = (right + z**2 / 2) / (n + z**2)
    half = z / (n + z**2) * np.sqrt(right * (n - right) / n + z**2 / 4)
    share = right / n  # an end of the interval where it is 0 or 1: rounding must not put it outside
    return np.minimum(middle - half, share).clip(0), np.maximum(middle + half, share).clip(max=1)
