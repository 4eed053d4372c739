"""What a BLiMP probe adds to the report of a winner's mistakes."""

import pandas as pd

from cola_sweep.figures import Gallery
from cola_sweep.findings import find
from cola_sweep.reporting import tables
from cola_sweep.reporting.document import Table
from cola_sweep.reporting.failures import failures
from tests.fake_sweep import empty

PROBED = pd.DataFrame(
    {
        "paradigm": ["a", "b", "c"], "field": ["syntax", "syntax", "semantics"], "term": ["islands", "islands", "npi"],
        "n": [100, 100, 100], "right": [60, 80, 50], "accuracy": [0.6, 0.8, 0.5],
        "low": [0.5, 0.7, 0.4], "high": [0.7, 0.9, 0.6],
    }
)  # fmt: skip


def test_a_probe_is_summed_by_term_and_kept_whole_as_csv() -> None:
    (table,) = failures(find(empty()), Gallery(), PROBED)
    assert isinstance(table, Table)
    rows = {row[0]: row[1:4] for row in table.rows}
    assert rows == {"islands": ("syntax", "200", "70%"), "npi": ("semantics", "100", "50%")}
    assert "190 of 300 (63%)" in table.note
    assert dict(tables.of(find(empty()), PROBED))["blimp"].equals(PROBED)


def test_nothing_is_said_without_predictions_and_probe() -> None:
    assert list(failures(find(empty()), Gallery())) == []
