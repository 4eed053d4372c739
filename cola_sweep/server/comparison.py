"""Runs beside each other: values that differ, and rows of their tables of predictions that differ. Pure.

>>> beside([{"lr": 1, "seed": 0}, {"lr": 2, "seed": 0}])
[Row(key='lr', values=(1, 2), differs=True), Row(key='seed', values=(0, 0), differs=False)]
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cola_sweep.server.history_keys import flat
from cola_sweep.server.tables import BadTable, Table

SENTENCE, LABEL, PREDICTED, PROBABILITY, INDEX = "sentence", "label", "predicted", "probability", "index"


@dataclass(frozen=True)
class Row:
    """One key's values, in the order of the runs; None where a run has none."""

    key: str
    values: tuple[Any, ...]
    differs: bool


@dataclass(frozen=True)
class Said:
    """What one run says of a sentence; `right` is None where the label is not known."""

    predicted: Any
    probability: Any
    right: bool | None


@dataclass(frozen=True)
class Sentence:
    """A sentence that runs say different things of."""

    text: str
    label: Any
    said: tuple[Said, ...]


def beside(runs: Sequence[Mapping[str, Any]]) -> list[Row]:
    """The values of every key of any run, keys within objects by `a.b`."""
    values = [dict(flat(run)) for run in runs]
    found = []
    for key in sorted(set().union(*values)):
        row = tuple(each.get(key) for each in values)
        # NaN is what it is, though it is not equal to itself; and 1 is not True.
        found.append(Row(key, row, len({repr(value) for value in row}) > 1))
    return found


def predicts(table: Table) -> bool:
    """Whether a table holds predictions of sentences."""
    return {SENTENCE, PREDICTED} <= set(table.columns)


def disagreements(tables: Sequence[Table]) -> tuple[list[Sentence], int]:
    """The sentences that all tables have and that not all predict alike, and how many they all have.

    Raises:
        BadTable: a table is none of predictions, or they have no sentence in common.
    """
    if not all(predicts(table) for table in tables):
        raise BadTable(f"a table of predictions has the columns {SENTENCE!r} and {PREDICTED!r}")
    by_sentence = [_by_sentence(table) for table in tables]
    common = [name for name in by_sentence[0] if all(name in each for each in by_sentence)]
    if not common:
        raise BadTable("these runs predicted no sentence in common: they were validated on other data")
    found = []
    for name in common:
        rows = [each[name] for each in by_sentence]
        if len({str(row.get(PREDICTED)) for row in rows}) > 1:
            found.append(Sentence(str(rows[0][SENTENCE]), rows[0].get(LABEL), tuple(_said(row) for row in rows)))
    return found, len(common)


def _by_sentence(table: Table) -> dict[tuple[Any, str], dict[str, Any]]:
    """Rows by their place in the data, where it is told, and their sentence: one sentence may be there twice."""
    rows = (dict(zip(table.columns, row, strict=True)) for row in table.rows)
    return {(str(row.get(INDEX)), str(row[SENTENCE])): row for row in rows}


def _said(row: Mapping[str, Any]) -> Said:
    right = None if row.get(LABEL) is None else row[PREDICTED] == row[LABEL]
    return Said(row[PREDICTED], row.get(PROBABILITY), right)
