"""The report's numbers as CSV: every run, and what the sections show only in part or in words.

Pure; imports pandas and the types of `findings`.
"""

from collections.abc import Iterator

import pandas as pd

from cola_sweep.findings import Findings


def of(findings: Findings, probed: pd.DataFrame | None = None) -> Iterator[tuple[str, pd.DataFrame]]:
    """Name of the file, and its table."""
    yield "runs", findings.board
    winner = findings.winner
    if winner is not None and (table := findings.results.predictions.get(winner["id"])) is not None:
        yield "predictions", table
    if findings.repeats:
        yield "configurations", findings.repeats.table.assign(runs=findings.repeats.table["runs"].str.join(" "))
    if findings.progress:
        yield "progress", findings.progress.table
    if findings.importance:
        yield "importance", findings.importance.table
    for front in findings.fronts or []:
        yield f"pareto-{front.cost}", front.table
    if findings.predicted:
        for name, group in findings.predicted.groups.items():
            yield f"by-{name}", group
    if findings.phenomena is not None:
        yield "by-phenomenon", findings.phenomena
    if findings.mistakes:
        yield "always-wrong", findings.mistakes.always_wrong
        yield "differing", findings.mistakes.differing
    if probed is not None:
        yield "blimp", probed
