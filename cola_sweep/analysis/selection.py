"""How much too good the best of many runs looks, because the sentences that chose it also measure it.

Imports numpy, pandas, `stats` and `align`.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

from cola_sweep import stats
from cola_sweep.analysis.align import Aligned

RESAMPLES = 1000
TOO_FEW = "the predictions of fewer than two of the best runs are at hand"
DOMAINS = (("in domain", "mcc_in", "mcc_out"), ("out of domain", "mcc_out", "mcc_in"))


@dataclass(frozen=True)
class Choice:
    """One of several candidates, each a run or the repeats of a configuration, chosen again on resamples.

    Attributes:
        naive: mean MCC of the first candidate's runs, on the sentences that chose it.
        outside: that of the chosen candidate's runs on the sentences a resample lacks, shape (RESAMPLES,).
        shares: how often each candidate is chosen, shape (considered,).
        considered, candidates: how many could be chosen, of how many.
    """

    naive: float
    outside: npt.NDArray[np.float64]
    shares: npt.NDArray[np.float64]
    considered: int
    candidates: int

    @property
    def optimism(self) -> float:
        return self.naive - float(self.outside.mean())

    @property
    def complete(self) -> bool:
        """Whether candidates that were not considered would change nothing: the last considered is never chosen."""
        return self.considered == self.candidates or self.shares[-1] == 0


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
    """What to expect of the best run where other sentences measure it, as `choose_again` has it; or why nothing.

    Args:
        aligned: predictions of the best runs, best first.
        ranked: all ranked runs, best first, with `id` and `name`.
    """
    if aligned is None:
        return "the predictions of the best runs are not at hand"
    choice = choose_again(aligned, [[run] for run in ranked["id"]], seed=seed)
    if choice is None:
        return TOO_FEW
    low, high = np.quantile(choice.outside, [0.025, 0.975])
    table = ranked[["id", "name"]].head(choice.considered).assign(share=choice.shares)
    return Optimism(
        naive=choice.naive,
        corrected=stats.Interval(float(choice.outside.mean()), float(low), float(high), len(aligned.labels)),
        shares=table.sort_values("share", ascending=False, kind="stable").reset_index(drop=True),
        considered=choice.considered,
        ranked=choice.candidates,
        complete=choice.complete,
    )


def choose_again(
    aligned: Aligned,
    candidates: Sequence[Sequence[str]],
    *,
    by_best: bool = False,
    seed: int = 0,
) -> Choice | None:
    """Choose a candidate on a resample of the sentences, score it on those it lacks; None of fewer than two.

    Only the first candidates in an unbroken row whose predictions are all at hand can be chosen. The epoch of each run
    was chosen on the same sentences too, and that is not undone here.

    Args:
        candidates: run ids of each, the one that won first.
        by_best: whether a candidate is chosen by its best run; else by the mean of its runs, which is what is scored.

    Source: BBC-CV, Tsamardinos, Greasidou and Borboudakis (2018), Machine Learning 107, 1895-1922; here on the
    predictions for one split in place of those pooled over folds. The interval is of the scores outside. As a
    resample holds 63 % of the sentences, it selects a little worse than all of them: the correction errs to the low
    side.
    """
    place = {run: row for row, run in enumerate(aligned.runs)}
    held = list(itertools.takewhile(lambda runs: all(run in place for run in runs), candidates))
    if len(held) < 2:
        return None
    rows = [[place[run] for run in runs] for runs in held]
    labels, predicted = aligned.labels, aligned.predicted
    n = len(labels)
    inside = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), size=RESAMPLES)
    there, elsewhere = _weighted_mcc(inside, labels, predicted), _weighted_mcc(inside == 0, labels, predicted)
    of_runs = np.max if by_best else np.mean
    chosen = np.stack([of_runs(there[:, runs], axis=1) for runs in rows], axis=1).argmax(axis=1)
    outside = np.stack([elsewhere[:, runs].mean(axis=1) for runs in rows], axis=1)[np.arange(RESAMPLES), chosen]
    first = np.stack([stats.confusion(labels, row) for row in predicted[rows[0]]])
    shares = np.bincount(chosen, minlength=len(rows)) / RESAMPLES
    return Choice(float(stats.mcc(first).mean()), outside, shares, len(rows), len(candidates))


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

    The correlation is Spearman's (1904), American Journal of Psychology 15, 72-101: of the ranks, equal values sharing.

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
