"""Several runs' tables of predictions as one matrix, sentence by sentence.

Imports numpy and pandas.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

KEYS = ("index", "sentence")
OF_A_RUN = ("predicted", "probability", "loss")


@dataclass(frozen=True)
class Aligned:
    """Predictions of k runs on the same n sentences.

    Attributes:
        runs: ids of the runs, in the order asked for.
        sentences: what the tables say of each sentence and not of the run: `sentence`, `label`, `source`, ...
        labels: 0 and 1, shape (n,).
        predicted: 0 and 1, shape (k, n).
        left_out: runs whose table is about other sentences, or about one of them twice.
    """

    runs: tuple[str, ...]
    sentences: pd.DataFrame
    labels: npt.NDArray[np.int64]
    predicted: npt.NDArray[np.int64]
    left_out: tuple[str, ...] = ()


def align(tables: Mapping[str, pd.DataFrame], runs: Iterable[str]) -> Aligned | None:
    """The tables of `runs` in the order of sentences of the first that has one; None if none has.

    Args:
        tables: by run id; each with `label` and `predicted` as 0 and 1, and `index` or `sentence`.
        runs: ids, the run that sets the sentences first; those without a table are passed over.
    """
    held = [run for run in runs if run in tables and not tables[run].empty]
    if not held:
        return None
    first = tables[held[0]].reset_index(drop=True)
    columns = {run: _in_order_of(first, tables[run]) for run in held[1:]}
    columns = {held[0]: first["predicted"].to_numpy(), **columns}
    kept = {run: predicted for run, predicted in columns.items() if predicted is not None}
    return Aligned(
        runs=tuple(kept),
        sentences=first.drop(columns=[name for name in OF_A_RUN if name in first]),
        labels=first["label"].to_numpy(dtype=np.int64),
        predicted=np.stack(list(kept.values())).astype(np.int64),
        left_out=tuple(run for run in held if run not in kept),
    )


def _in_order_of(first: pd.DataFrame, other: pd.DataFrame) -> npt.NDArray[np.int64] | None:
    """The predictions of `other` in the order of `first`, or None where the two are not about the same sentences."""
    key = next((key for key in KEYS if key in first and key in other), None)
    if key is None or len(first) != len(other) or first[key].duplicated().any() or other[key].duplicated().any():
        return None
    moved = other.set_index(key, drop=False).reindex(first[key]).reset_index(drop=True)
    same = [name for name in ("sentence", "label") if name in first and name in other]
    if moved[key].isna().any() or any((moved[name] != first[name]).any() for name in same):
        return None
    return moved["predicted"].to_numpy(dtype=np.int64)
