"""Configurations over their seeds: mean and spread, and which of two is better over seeds and sentences.

Imports numpy, pandas, scipy, `stats`, `align` and `swept`.

Two things move the measured MCC of a configuration: which sentences are asked and what the seed did. Their
variances are estimated apart and added. Resampling seeds and sentences crosswise (Owen 2007, The pigeonhole
bootstrap, Ann. Appl. Stat. 1, 386-411; Sellam et al. 2022, The MultiBERTs, ICLR) estimates the same sum, but no
resample is wider than the seeds that were run: simulated with three seeds that matter, its 95 % interval holds the
truth 84 % of the time. A t quantile with the degrees of freedom of what was seen does so 93 to 97 % of the time (89 %
at worst: two seeds that vary three times as much as the five of the other side).
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import special

from cola_sweep import stats
from cola_sweep.analysis.align import align
from cola_sweep.analysis.swept import configurations

Labels = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Repeats:
    """The metric by configuration.

    Attributes:
        keys: the columns that make a configuration.
        table: best mean first: `keys`, then `mean`, `sd` (n - 1), `low`, `high` (95 % t interval of the mean over
            seeds), `n`, `best`, and `runs`, the ids, best first. NaN where a configuration was run once.
        pooled_sd, pooled_df: the seed's standard deviation over all configurations, and its degrees of freedom.
        limit: two single runs of one configuration differ by less than this 95 % of the time.
    """

    keys: list[str]
    table: pd.DataFrame
    pooled_sd: float
    pooled_df: int
    limit: float


@dataclass(frozen=True)
class SeedComparison:
    """Two configurations: `difference` is mean MCC over seeds of the first less that of the second.

    Attributes:
        first, second: their settings, by parameter; empty where the caller has no names for them.
        means: mean MCC of each.
        seeds: how many runs of each.
        rule: how the verdict comes about, in words.
    """

    difference: stats.Interval
    means: tuple[float, float]
    seeds: tuple[int, int]
    rule: str
    first: Mapping[str, Any]
    second: Mapping[str, Any]

    @property
    def verdict(self) -> Literal["first", "second", "tie"]:
        if self.difference.low > 0:
            return "first"
        return "second" if self.difference.high < 0 else "tie"


def repeats(ranked: pd.DataFrame, columns: Sequence[str], goal: stats.Goal) -> Repeats | str:
    """Mean and spread of `best` by configuration, or why there is none.

    Args:
        ranked: the ranked runs, best first, with `id`, `best` and `columns`.

    The interval is Student's (1908), Biometrika 6, 1-25; the pooled variance weighs each configuration by its n - 1;
    `limit` is 1.96 sqrt(2) times its root, the repeatability limit of ISO 5725-6:1994, 4.1.4.
    """
    groups = ranked.groupby(configurations(ranked, columns), sort=False)
    if not len(ranked) or groups.size().max() < 2:
        return "no configuration was run with more than one seed"
    table = groups["best"].agg(mean="mean", sd="std", n="size", best="first")
    half = table["sd"] / np.sqrt(table["n"]) * special.stdtrit(np.maximum(table["n"] - 1, 1), 0.975)
    table = table.assign(low=table["mean"] - half, high=table["mean"] + half, runs=groups["id"].agg(list))
    table = groups[list(columns)].first(skipna=False).join(table) if columns else table
    freedom = int((table["n"] - 1).sum())
    pooled = math.sqrt(float(((table["n"] - 1) * table["sd"].fillna(0) ** 2).sum()) / freedom)
    table = table.sort_values("mean", ascending=goal == "minimize", kind="stable").reset_index(drop=True)
    table = table[[*columns, "mean", "sd", "low", "high", "n", "best", "runs"]]
    return Repeats(list(columns), table, pooled, freedom, 1.96 * math.sqrt(2) * pooled)


def compare_best(repeated: Repeats | str, tables: Mapping[str, pd.DataFrame]) -> SeedComparison | str:
    """The two best of the configurations that were run more than once, or why they cannot be compared."""
    if isinstance(repeated, str):
        return repeated
    twice = repeated.table[repeated.table["n"] > 1].head(2)
    if len(twice) < 2:
        return "only one configuration was run with more than one seed"
    first, second = twice["runs"]
    aligned = align(tables, [*first, *second])
    if aligned is None or set(aligned.runs) != {*first, *second}:
        return "the predictions of some runs of the two best configurations are not at hand"
    names = [
        {key.removeprefix("config."): value for key, value in row.items()}
        for row in twice[repeated.keys].to_dict("records")
    ]
    return compare_configurations(
        aligned.labels, aligned.predicted[: len(first)], aligned.predicted[len(first) :], names[0], names[1]
    )


def compare_configurations(
    labels: Labels,
    first: Labels,
    second: Labels,
    first_setting: Mapping[str, Any] | None = None,
    second_setting: Mapping[str, Any] | None = None,
) -> SeedComparison:
    """Which of two configurations has the higher MCC, over seeds and over sentences.

    Args:
        labels: 0 and 1, shape (n,).
        first, second: predictions on these sentences, one row a seed: shapes (m, n) and (k, n). The two need not
            have the same seeds. Of a configuration with one run the other's seed variance is taken.
    """
    seeds = len(first), len(second)
    rows, weights = np.concatenate([first, second]), np.repeat([1 / seeds[0], -1 / seeds[1]], seeds)
    values = _values(labels, rows)
    difference = _interval(labels, rows, weights, _seed_variances(values[: seeds[0]], values[seeds[0] :]))
    rule = "A tie unless the 95% interval of the difference over seeds and sentences leaves out 0."
    if max(seeds) == 1:
        rule += " One run each: what another seed would change is not in it."
    elif min(seeds) == 1:
        rule += " One of the two was run once: its seeds are taken to vary as the other's do."
    means = float(values[: seeds[0]].mean()), float(values[seeds[0] :].mean())
    return SeedComparison(difference, means, seeds, rule, first_setting or {}, second_setting or {})


def _values(labels: Labels, rows: Labels) -> npt.NDArray[np.float64]:
    return stats.mcc(np.stack([stats.confusion(labels, row) for row in rows]))


def _seed_variances(*arms: npt.NDArray[np.float64]) -> list[tuple[float, int]]:
    """Variance of each arm's mean that the seeds bring, with its degrees of freedom; one term if one is borrowed.

    As in Welch (1947), Biometrika 34, 28-35: s^2 / m, each with its own s.
    """
    if all(len(arm) > 1 for arm in arms):
        return [(float(arm.var(ddof=1)) / len(arm), len(arm) - 1) for arm in arms]
    seen = [arm for arm in arms if len(arm) > 1]
    return [(float(arm.var(ddof=1)) * sum(1 / len(other) for other in arms), len(arm) - 1) for arm in seen]


def _interval(
    labels: Labels, rows: Labels, weights: npt.NDArray[np.float64], seeds: list[tuple[float, int]]
) -> stats.Interval:
    """The weighted sum of the rows' MCC and its t interval.

    Degrees of freedom after Satterthwaite (1946), Biometrics Bulletin 2, 110-114: (sum V)^2 / sum(V^2 / df).
    """
    n = len(labels)
    value = float(weights @ _values(labels, rows))
    parts = [*seeds, (_jackknife_variance(labels, rows, weights), n - 1)]
    total = sum(variance for variance, _ in parts)
    if total < stats.ROUNDING**2:
        return stats.Interval(value, math.nan, math.nan, n, reason="neither seeds nor sentences move it")
    freedom = total**2 / sum(variance**2 / max(df, 1) for variance, df in parts)
    half = float(special.stdtrit(freedom, 0.975)) * math.sqrt(total)
    return stats.Interval(value, value - half, value + half, n)


def _jackknife_variance(labels: Labels, rows: Labels, weights: npt.NDArray[np.float64]) -> float:
    """Variance over sentences of the weighted sum of the rows' MCC: (n - 1) / n sum (left out - mean)^2.

    All rows lose the same sentence together, so what they have in common counts once. Source: Efron and Tibshirani
    (1993), An Introduction to the Bootstrap, equation 11.5.
    """
    n = len(labels)
    counts = np.stack([stats.confusion(labels, row) for row in rows])
    # Leaving out a sentence has four outcomes a row; a cell without a sentence is never asked for.
    left = stats.mcc(np.maximum(counts[:, None, :] - np.eye(4, dtype=np.int64), 0))
    sums = weights @ np.take_along_axis(left, 2 * labels + rows, axis=1)
    return float((n - 1) / n * np.sum((sums - sums.mean()) ** 2))
