"""Where one run fails: accuracy and MCC of its predictions by domain, source, sentence length, or any mark.

Imports numpy, pandas and `stats`.
"""

from collections.abc import Iterable

import numpy as np
import pandas as pd

from cola_sweep import stats

MEASURES = ["n", "acceptable", "accuracy", "mcc", "low", "high", "note"]
FEWEST = 10  # sentences; a bootstrap of fewer is too narrow to be shown
LENGTH_BINS = 5


def by_group(predictions: pd.DataFrame, column: str) -> pd.DataFrame:
    """One row for each value of `column`: its name, then `MEASURES`, largest group first; bins in their order.

    Args:
        predictions: with `label` and `predicted` as 0 and 1. Rows without a value in `column` are skipped.
    """
    held = predictions.dropna(subset=[column])
    groups = held.groupby(column, sort=True, observed=True)
    table = measured(((name, held.loc[rows]) for name, rows in groups.groups.items()), column)
    if isinstance(predictions[column].dtype, pd.CategoricalDtype):
        return table
    return table.sort_values(["n", column], ascending=[False, True], kind="stable").reset_index(drop=True)


def measured(groups: Iterable[tuple[object, pd.DataFrame]], title: str) -> pd.DataFrame:
    """`MEASURES` of each named set of predictions, which may overlap, under the name's column `title`.

    `acceptable` is the share of acceptable labels; `low` and `high` are a 95 % BCa interval of MCC. Where there
    is none `note` says why; `mcc` is NaN for sentences of a single class.
    """
    return pd.DataFrame([(str(name), *_measures(part)) for name, part in groups], columns=[title, *MEASURES])


def _measures(part: pd.DataFrame) -> tuple[float | str, ...]:
    labels, predicted = part["label"].to_numpy(), part["predicted"].to_numpy()
    counts = stats.confusion(labels, predicted)
    shares = (len(part), labels.mean(), (labels == predicted).mean())
    if labels.min() == labels.max():
        return *shares, np.nan, np.nan, np.nan, f"only {stats.CLASSES[labels[0]]} sentences"
    if len(part) < FEWEST:
        return *shares, float(stats.mcc(counts)), np.nan, np.nan, f"fewer than {FEWEST} sentences"
    interval = stats.mcc_interval(counts)
    return *shares, interval.value, interval.low, interval.high, interval.reason


def words(sentences: pd.Series) -> pd.Series:
    """The bin of each sentence's length in words, as ordered text ("5 to 6"); the bins hold about equally many."""
    lengths = sentences.str.split().str.len()
    edges = np.unique(np.quantile(lengths, np.arange(1, LENGTH_BINS) / LENGTH_BINS, method="inverted_cdf"))
    places = np.searchsorted(edges, lengths)
    ends = lengths.groupby(places).agg(["min", "max"])
    names = {bin: f"{low}" if low == high else f"{low} to {high}" for bin, low, high in ends.itertuples()}
    return pd.Series(pd.Categorical.from_codes(places, list(names.values()), ordered=True), index=sentences.index)
