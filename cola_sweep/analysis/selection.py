"""How much too good the best of many runs looks, because the sentences that chose it also measure it.

Imports numpy, pandas, `stats` and `align`.
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from cola_sweep import stats
from cola_sweep.analysis.align import Aligned

RESAMPLES = 1000
DOMAINS = (("in domain", "mcc_in", "mcc_out"), ("out of domain", "mcc_out", "mcc_in"))


@dataclass(frozen=True)
class Optimism:
    """What to expect of the selected run on sentences that did not select it.

    Attributes:
        naive: the winner's MCC, on the sentences that selected it.
        corrected: mean and 95% interval of the MCC of a run selected on a resample, on the sentences outside it.
        shares: `id`, `name`, `share`: how often each run is the best of a resample; most often first.
        considered, ranked: how many runs could be selected, of how many.
        complete: whether runs that were not considered would change nothing: there are none, or the last one that was
            considered is never selected. Else the optimism is a lower bound.
    """

    naive: float
    corrected: stats.Interval
    shares: pd.DataFrame
    considered: int
    ranked: int
    complete: bool

    @property
    def optimism(self) -> float:
        return self.naive - self.corrected.value


@dataclass(frozen=True)
class Transfer:
    """Selecting on one half of the validation sentences, by domain, and looking at the other.

    Attributes:
        rows: one a half: `chosen_on`, `id`, `name`, `mcc_in`, `mcc_out`, `rank_other` (of the chosen run among all, on
            the other half), `best_other` (the best there) and `lost`, by how much the chosen one falls short of it.
        correlation: Spearman's, between the two halves, over the `n` runs.
    """

    rows: pd.DataFrame
    correlation: float
    n: int


def optimism(aligned: Aligned | None, ranked: pd.DataFrame, *, seed: int = 0) -> Optimism | str:
    """Select on a resample of the sentences, score on the sentences it lacks; or why that cannot be done.

    Only the best runs in an unbroken row whose predictions are at hand can be selected. The epoch of each run was
    chosen on the same sentences too, and that is not undone here.

    Args:
        aligned: predictions of the best runs, best first.
        ranked: all ranked runs, best first, with `id` and `name`.

    Source: BBC-CV, Tsamardinos, Greasidou and Borboudakis (2018), Machine Learning 107, 1895-1922; here on the
    predictions for one split in place of those pooled over folds. The interval is of the scores outside. As a
    resample holds 63 % of the sentences, it selects a little worse than all of them: the correction errs to the low
    side.
    """
    if aligned is None:
        return "the predictions of the best runs are not at hand"
    best = ranked["id"].head(len(aligned.runs)).tolist()
    k = next((place for place, (run, id) in enumerate(zip(aligned.runs, best, strict=True)) if run != id), len(best))
    if k < 2:
        return "the predictions of fewer than two of the best runs are at hand"
    labels, predicted = aligned.labels, aligned.predicted[:k]
    n = len(labels)
    inside = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    chosen = _weighted_mcc(inside, labels, predicted).argmax(axis=1)
    outside = _weighted_mcc(inside == 0, labels, predicted)[np.arange(RESAMPLES), chosen]
    low, high = np.quantile(outside, [0.025, 0.975])
    shares = np.bincount(chosen, minlength=k) / RESAMPLES
    table = ranked[["id", "name"]].head(k).assign(share=shares)
    return Optimism(
        naive=float(stats.mcc(stats.confusion(labels, predicted[0]))),
        corrected=stats.Interval(float(outside.mean()), float(low), float(high), n),
        shares=table.sort_values("share", ascending=False, kind="stable").reset_index(drop=True),
        considered=k,
        ranked=len(ranked),
        complete=k == len(ranked) or shares[-1] == 0,
    )


def _weighted_mcc(weights: stats.Counts, labels: stats.Counts, predicted: stats.Counts) -> np.ndarray:
    """MCC of each run on each weighting of the sentences: weights (b, n), predicted (k, n), result (b, k)."""
    weights = weights.astype(np.float32)  # sums of counts below 2^24 are exact
    true = (weights @ (predicted * labels).T.astype(np.float32)).astype(np.float64)
    said = (weights @ predicted.T.astype(np.float32)).astype(np.float64)
    positive = (weights @ labels.astype(np.float32)).astype(np.float64)[:, None]
    total = weights.sum(axis=1, dtype=np.float64)[:, None]
    return stats.mcc(np.stack([total - positive - said + true, said - true, positive - true, true], axis=-1))


def transfer(ranked: pd.DataFrame) -> Transfer | str:
    """The best run of each domain, seen from the other domain; or why that cannot be told.

    Args:
        ranked: with `id`, `name`, `mcc_in` and `mcc_out`.
    """
    held = ranked[ranked[["mcc_in", "mcc_out"]].notna().all(axis=1)]
    if len(held) < 2:
        return "fewer than two runs logged MCC in and out of domain"
    rows = [_seen_from(held, *halves) for halves in DOMAINS]
    varies = held["mcc_in"].nunique() > 1 and held["mcc_out"].nunique() > 1
    ranks = held[["mcc_in", "mcc_out"]].rank()
    correlation = ranks["mcc_in"].corr(ranks["mcc_out"]) if varies else np.nan  # Spearman's: Pearson's of the ranks
    return Transfer(pd.DataFrame(rows), float(correlation), len(held))


def _seen_from(held: pd.DataFrame, chosen_on: str, own: str, other: str) -> dict[str, object]:
    chosen = held.loc[held[own].idxmax()]
    best = float(held[other].max())
    return {
        "chosen_on": chosen_on,
        **chosen[["id", "name", "mcc_in", "mcc_out"]].to_dict(),
        "rank_other": 1 + int((held[other] > chosen[other]).sum()),
        "best_other": best,
        "lost": best - chosen[other],
    }
