"""Statistics of a sweep: ranking, Matthews correlation from counts, intervals and paired tests.

Pure functions of numbers and frames; imports numpy, pandas and scipy, and of ours the rule in `records`. A confusion
matrix is a vector of four counts, ordered `2 * label + predicted`: true negatives, false positives,
false negatives, true positives, where the positive class is "acceptable".

    >>> round(float(mcc(np.array([90, 10, 20, 80]))), 4)
    0.7035
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from cola_sweep.records import Goal, place, why_left_out

Counts = npt.NDArray[np.int64]
Statistic = Callable[[Counts], npt.NDArray[np.float64]]

CLASSES = ("unacceptable", "acceptable")
RESAMPLES = 10_000
# Below this, even if one classifier is right on all of them, McNemar's p is above 0.05; a bootstrap of so few
# sentences is too narrow to overrule it.
FEWEST_DISCORDANT = 6
ROUNDING = 1e-12


@dataclass(frozen=True)
class Interval:
    """An estimate from `n` sentences and the two ends of its confidence interval.

    Where the data cannot give an interval, `low` and `high` are NaN and `reason` says why.
    """

    value: float
    low: float
    high: float
    n: int
    level: float = 0.95
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """Two classifiers on the same sentences: `difference` is MCC of the first less MCC of the second.

    `rule` says in words how the verdict comes about.

    `only_first` and `only_second` count the sentences that just one of them gets right; `p_value` is
    McNemar's, and so speaks of accuracy, not of MCC.
    """

    difference: Interval
    only_first: int
    only_second: int
    p_value: float
    rule: ClassVar[str] = (
        "A tie unless the 95% interval of the MCC difference leaves out 0 "
        f"and at least {FEWEST_DISCORDANT} sentences tell the two apart."
    )

    @property
    def verdict(self) -> Literal["first", "second", "tie"]:
        """Who is better by MCC; a tie when the interval of the difference holds 0, or too few sentences tell."""
        if self.only_first + self.only_second < FEWEST_DISCORDANT:
            return "tie"
        if self.difference.low > 0:
            return "first"
        return "second" if self.difference.high < 0 else "tie"


def rank(runs: pd.DataFrame, goal: Goal) -> pd.DataFrame:
    """The runs, best first, with the columns `rank` (from 1; <NA> if left out) and `left_out` (why, or "").

    Args:
        runs: one row a run, with `id`, `state`, `created`, `best` (NaN if there is none) and `logged`
            (how many values of the metric the run sent).

    A run counts only if it finished and has a finite best value. Equal values go to the older run, so
    the order never depends on that of the input; runs left out come last, oldest first.
    """
    reasons = [why_left_out(*row) for row in zip(runs["state"], runs["best"], runs["logged"], strict=True)]
    counted = zip(runs["best"], runs["created"], runs["id"], reasons, strict=True)
    places = [
        (why != "", *place(0.0 if why else best, created, run_id, goal)) for best, created, run_id, why in counted
    ]
    order = sorted(range(len(runs)), key=places.__getitem__)
    board = runs.assign(left_out=pd.Series(reasons, index=runs.index, dtype=object)).iloc[order].reset_index(drop=True)
    ranks = pd.Series(range(1, len(board) + 1), dtype="Int64")
    return board.assign(rank=ranks.where(board["left_out"] == ""))


def best_epochs(histories: pd.DataFrame, metric: str, goal: Goal) -> pd.DataFrame:
    """The row of each run's best epoch, indexed by run id; runs without a finite value are absent.

    The first of several equal epochs counts, as it does for a checkpoint that is kept on improvement.
    """
    if metric not in histories:
        return histories.iloc[:0].set_index("run")
    finite = histories[np.isfinite(histories[metric].astype(float))]
    rows = finite.groupby("run", sort=False)[metric]
    return finite.loc[rows.idxmax() if goal == "maximize" else rows.idxmin()].set_index("run")


def best_so_far(values: Sequence[float], goal: Goal) -> npt.NDArray[np.float64]:
    """The best value up to each place; values that are not finite change nothing (NaN before the first)."""
    array = np.asarray(values, dtype=float)
    better = np.fmax if goal == "maximize" else np.fmin
    return better.accumulate(np.where(np.isfinite(array), array, np.nan))


def binary(labels: pd.Series) -> npt.NDArray[np.int64]:
    """Class names or 0/1 as 0 (unacceptable) and 1 (acceptable).

    Raises:
        ValueError: a label is neither.
    """
    codes = labels.map({CLASSES[0]: 0, CLASSES[1]: 1, 0: 0, 1: 1, "0": 0, "1": 1})
    if codes.isna().any():
        raise ValueError(f"unknown class {labels[codes.isna()].iloc[0]!r}")
    return codes.to_numpy(dtype=np.int64)


def confusion(labels: npt.NDArray[np.int64], predicted: npt.NDArray[np.int64]) -> Counts:
    """The four counts, shape (4,), in the order of this module."""
    return np.bincount(2 * labels + predicted, minlength=4)


def mcc(counts: Counts) -> npt.NDArray[np.float64]:
    """Matthews correlation of confusion counts, shape (..., 4) to (...); 0 where it is undefined.

        (tp tn - fp fn) / sqrt((tp + fp)(tp + fn)(tn + fp)(tn + fn))

    Source: Matthews (1975), Biochim. Biophys. Acta 405, 442-451. The rule for an empty row or column is
    that of scikit-learn.
    """
    tn, fp, fn, tp = np.moveaxis(np.asarray(counts, dtype=float), -1, 0)
    # Two roots, not one: the product of all four sums would lose digits, four roots would not give exactly 1.
    scale = np.sqrt((tp + fp) * (tp + fn)) * np.sqrt((tn + fp) * (tn + fn))
    return np.divide(tp * tn - fp * fn, scale, out=np.zeros_like(scale), where=scale > 0)


def bca(
    counts: Counts, statistic: Statistic, *, level: float = 0.95, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """Bias-corrected and accelerated bootstrap interval over sentences that fall into cells.

    Drawing n sentences with replacement is drawing the cell counts from a multinomial, and leaving one
    sentence out has as many outcomes as there are cells, so nothing is done sentence by sentence.

    Args:
        counts: sentences in each cell, shape (k,), at least one in all.
        statistic: counts of shape (..., k) to values of shape (...).

    Where every resample gives the same value the interval would be a point, however few the sentences: there is none.

    Source: Efron (1987), JASA 82, 171-185; Efron and Tibshirani (1993), An Introduction to the Bootstrap,
    equations 14.9 to 14.15. Ties with the estimate count half in the bias correction, as in scipy.
    """
    n = int(counts.sum())
    if n == 0:
        raise ValueError("no sentence to resample")
    value = float(statistic(counts))
    draws = statistic(np.random.default_rng(seed).multinomial(n, counts / n, size=resamples))
    if np.ptp(draws) < ROUNDING:
        return Interval(value, math.nan, math.nan, n, level, "every resample of the sentences gives the same value")
    below = (np.count_nonzero(draws < value) + np.count_nonzero(draws <= value)) / (2 * resamples)
    bias = special.ndtri(np.clip(below, 0.5 / resamples, 1 - 0.5 / resamples))
    acceleration = _acceleration(counts, statistic)
    z = bias + special.ndtri([(1 - level) / 2, (1 + level) / 2])
    low, high = np.quantile(draws, special.ndtr(bias + z / (1 - acceleration * z)))
    return Interval(value, float(low), float(high), n, level)


def _acceleration(counts: Counts, statistic: Statistic) -> float:
    """Skewness of the jackknife values over 6 (Efron and Tibshirani 1993, equation 14.15)."""
    held = np.flatnonzero(counts)
    weights = counts[held]
    left = statistic(counts - np.eye(len(counts), dtype=np.int64)[held])
    deviation = np.average(left, weights=weights) - left
    spread = np.sum(weights * deviation**2)
    return float(np.sum(weights * deviation**3) / (6 * spread**1.5)) if spread > 0 else 0.0


def mcc_interval(counts: Counts, *, seed: int = 0) -> Interval:
    """95 % BCa interval of MCC over sentences, from the four counts."""
    interval = bca(counts, mcc, seed=seed)
    return replace(interval, reason=_why_stuck(counts)) if interval.reason else interval


def _why_stuck(counts: Counts) -> str:
    """Why no resample of these counts has another MCC."""
    (tn, fp), (fn, tp) = counts.reshape(2, 2)
    if not tn + fp or not fn + tp:
        return "all the sentences are of one class, where MCC is undefined"
    if not tn + fn or not fp + tp:
        return "one class is predicted for every sentence, where MCC is undefined and counts as 0"
    # The exact upper limit for 0 errors in n, 1 - 0.05^(1/n), nearly 3 / n: Hanley and Lippman-Hand (1983), JAMA 249.
    most = 1 - 0.05 ** (1 / counts.sum())
    return f"all the sentences are {'right' if tn else 'wrong'}; elsewhere up to {most:.1%} may still be the other way"


def mcnemar(only_first: int, only_second: int) -> float:
    """Two-sided exact p of McNemar's test: is a sentence that just one gets right as likely either one's?

    Twice the lower tail of a binomial with p = 1/2, at most 1. Source: McNemar (1947), Psychometrika 12,
    153-157; exact form in Agresti (2013), Categorical Data Analysis, section 11.1.
    """
    discordant = only_first + only_second
    if discordant == 0:
        return 1.0
    return min(1.0, 2 * float(special.bdtr(min(only_first, only_second), discordant, 0.5)))


def compare(
    labels: npt.NDArray[np.int64], first: npt.NDArray[np.int64], second: npt.NDArray[np.int64], *, seed: int = 0
) -> Comparison:
    """Paired comparison of two classifiers' predictions on the same sentences, each of shape (n,).

    Sentences are resampled together for both (paired bootstrap: Efron and Tibshirani 1993, chapter 16), as
    counts over the eight cells of label, first and second prediction.
    """
    cells = np.bincount(4 * labels + 2 * first + second, minlength=8)
    difference = bca(cells, _mcc_difference, seed=seed)
    if difference.reason and np.array_equal(first, second):
        difference = replace(difference, reason="the two give the same answer on every sentence")
    right_first, right_second = first == labels, second == labels
    only_first = int(np.count_nonzero(right_first & ~right_second))
    only_second = int(np.count_nonzero(right_second & ~right_first))
    return Comparison(difference, only_first, only_second, mcnemar(only_first, only_second))


def _mcc_difference(cells: Counts) -> npt.NDArray[np.float64]:
    """MCC of the first less that of the second, cells of shape (..., 8)."""
    cube = cells.reshape(*cells.shape[:-1], 2, 2, 2)
    shape = (*cells.shape[:-1], 4)
    return mcc(cube.sum(axis=-1).reshape(shape)) - mcc(cube.sum(axis=-2).reshape(shape))
