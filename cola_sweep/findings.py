"""What a sweep found: from pulled results to the numbers and sentences a report shows.

Imports pandas, `results` (its type), `stats` and `analysis`. Pure, but for reading annotated sentences. Knows nothing
of HTML or Markdown.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from cola_sweep import stats
from cola_sweep.analysis import calibration, groups, importance, mistakes, pareto, phenomena, progress, seeds, selection
from cola_sweep.analysis.align import Aligned, align
from cola_sweep.analysis.swept import Parameter, setting_columns, swept_parameters
from cola_sweep.metric_names import OBJECTIVE
from cola_sweep.results import SweepResults

WORST = 20
GROUPS = ("domain", "source", "words")
NOT_BY_MCC = "the sweep does not select by MCC"
MCC_TOLERANCE = 1e-3  # between the logged MCC and the one counted from the predictions table


@dataclass(frozen=True)
class Predicted:
    """What the predictions table of one run says."""

    counts: stats.Counts  # shape (4,): see `stats`
    interval: stats.Interval
    worst: pd.DataFrame  # wrong sentences, worst first
    wrong: int
    groups: dict[str, pd.DataFrame]  # by column: see `analysis.groups`; "words" is the length of the sentence


@dataclass(frozen=True)
class Rival:
    """Another of the best runs, and how the winner compares with it on the same sentences."""

    id: str
    name: str
    rank: int
    comparison: stats.Comparison


@dataclass(frozen=True)
class Findings:
    """Everything the report says, as values.

    `board` is the ranking of `stats.rank` with, beside it, `mcc_in`, `mcc_out`, `best_epoch`, `seconds`
    and `one_class`; `rivals` the winner against each other of the best runs whose predictions are at hand, best first.

    From `repeats` on, each field is the answer of the module of its type; where there is none it is None, and
    `absent` says why, by the field's name.
    """

    results: SweepResults
    board: pd.DataFrame
    parameters: list[Parameter]
    predicted: Predicted | None
    rivals: list[Rival]
    warnings: list[str]
    repeats: seeds.Repeats | None
    seed_comparison: seeds.SeedComparison | None
    optimism: selection.Optimism | None
    transfer: selection.Transfer | None
    importance: importance.Importance | None
    fronts: list[pareto.Front] | None
    progress: progress.Progress | None
    mistakes: mistakes.Mistakes | None
    calibration: calibration.Calibration | None
    phenomena: pd.DataFrame | None
    absent: dict[str, str]

    @property
    def ranked(self) -> pd.DataFrame:
        return self.board[self.board["rank"].notna()]

    @property
    def left_out(self) -> pd.DataFrame:
        return self.board[self.board["rank"].isna()]

    @property
    def comparison(self) -> stats.Comparison | None:
        """The winner against the runner-up, where the predictions of both are at hand."""
        return self.rivals[0].comparison if self.rivals and self.rivals[0].rank == 2 else None

    @property
    def winner(self) -> pd.Series | None:
        return None if self.ranked.empty else self.ranked.iloc[0]


def find(results: SweepResults, *, annotations: Path | None = None) -> Findings:
    """Rank the runs and ask every module of `analysis` about them.

    Args:
        annotations: the annotated development set, where it is at hand; see `phenomena.find_annotations`.

    Raises:
        UserError: `annotations` cannot be read.
    """
    board = _board(results)
    ranked = board[board["rank"].notna()]
    table = results.predictions.get(ranked["id"].iloc[0]) if len(ranked) else None
    predicted = _predicted(table) if table is not None else None
    aligned = align(results.predictions, ranked["id"])
    parameters = swept_parameters(results.config, results.runs)
    repeated = seeds.repeats(ranked, setting_columns(parameters), results.goal)
    # Each is what it is or, where it cannot be had, the reason in words.
    by_mcc = results.metric == OBJECTIVE
    sections: dict[str, Any] = {
        "repeats": repeated,
        "seed_comparison": seeds.compare_best(repeated, results.predictions),
        "optimism": selection.optimism(aligned, ranked) if by_mcc else NOT_BY_MCC,
        "transfer": selection.transfer(ranked) if by_mcc else NOT_BY_MCC,
        "importance": importance.importance(ranked, parameters),
        "fronts": pareto.fronts(ranked, results.goal),
        "progress": progress.progress(ranked, results.goal, str(results.config.get("method", "custom"))),
        "mistakes": mistakes.mistakes(aligned, ranked),
        "calibration": calibration.calibration(table),
        "phenomena": phenomena.phenomena(table, annotations),
    }
    absent = {name: found for name, found in sections.items() if isinstance(found, str)}
    return Findings(
        results=results,
        board=board,
        parameters=parameters,
        predicted=predicted,
        rivals=_rivals(aligned, ranked),
        warnings=[*_warnings(results, board, predicted), *results.notes],
        absent=absent,
        **(sections | dict.fromkeys(absent)),
    )


def _board(results: SweepResults) -> pd.DataFrame:
    board = stats.rank(results.runs, results.goal)
    epochs = stats.best_epochs(results.histories, results.metric, results.goal)

    def at_best(key: str, *fallbacks: str) -> pd.Series:
        """The value at the best epoch; where no history has it, that of the summary."""
        values = board["id"].map(epochs.get(key, {})).astype(float)
        for column in fallbacks:
            if column in board:
                values = values.fillna(pd.to_numeric(board[column], errors="coerce"))
        return values

    share = at_best("valid/positive_rate", "summary.valid/positive_rate", "summary.valid/positive_rate.last")
    collapsed = board["summary.collapsed"].eq(True) if "summary.collapsed" in board else False
    return board.assign(
        best_epoch=at_best("epoch"),
        mcc_in=at_best("valid/mcc_in", "summary.valid/mcc_in.max", "summary.valid/mcc_in"),
        mcc_out=at_best("valid/mcc_out", "summary.valid/mcc_out.max", "summary.valid/mcc_out"),
        seconds=at_best("", "summary.cost/seconds", "summary.cost/seconds.last", "summary.cost/seconds.max"),
        one_class=collapsed | share.isin([0.0, 1.0]),
    )


def _predicted(table: pd.DataFrame) -> Predicted | None:
    if table.empty:
        return None
    counts = stats.confusion(table["label"].to_numpy(), table["predicted"].to_numpy())
    wrong = table[table["label"] != table["predicted"]]
    worst = wrong.sort_values("loss", ascending=False, kind="stable") if "loss" in wrong else wrong
    named = table.assign(**{column: table[column].replace("", None) for column in GROUPS if column in table})
    named = named.assign(words=groups.words(table["sentence"])) if "sentence" in table else named
    by = {name: groups.by_group(named, name) for name in GROUPS if name in named and named[name].nunique() > 1}
    return Predicted(counts, stats.mcc_interval(counts), worst.head(WORST), len(wrong), by)


def _rivals(aligned: Aligned | None, ranked: pd.DataFrame) -> list[Rival]:
    """Nothing where the winner's own table is not at hand."""
    if aligned is None or aligned.runs[0] != ranked["id"].iloc[0]:
        return []
    by_id = ranked.set_index("id")
    winner, *others = aligned.predicted
    return [
        Rival(run, str(by_id["name"][run]), int(by_id["rank"][run]), stats.compare(aligned.labels, winner, other))
        for run, other in zip(aligned.runs[1:], others, strict=True)
    ]


def _warnings(results: SweepResults, board: pd.DataFrame, predicted: Predicted | None) -> Iterator[str]:
    runs = results.runs
    if runs.empty:
        yield "No run has started yet."
    elif board["rank"].isna().all():
        yield "No run finished with a value of the metric, so there is no winner yet."
    kinds = _distinct(runs, "provenance.data_kind")
    if "synthetic" in kinds:
        yield "Trained and validated on generated sentences, not on CoLA: the numbers are not comparable with CoLA."
    if len(_distinct(runs, "provenance.data_fingerprint") or kinds) > 1:
        yield "The runs used different data, so their ranking compares unlike things."
    if (results.state in ("running", "pending") or runs["state"].isin(["running", "pending"]).any()) and len(runs):
        yield "The sweep is not over: the ranking may still change."
    if predicted and results.metric == OBJECTIVE:
        logged = float(board["best"].iloc[0])
        if abs(logged - predicted.interval.value) > MCC_TOLERANCE:
            yield f"The winner logged an MCC of {logged:.3f}, but its predictions give {predicted.interval.value:.3f}."
    if len(board) and bool(board["one_class"].iloc[0]) and not board["rank"].isna().iloc[0]:
        yield "The winner predicts one class for every sentence."


def _distinct(runs: pd.DataFrame, column: str) -> list[str]:
    return sorted(map(str, runs[column].dropna().unique())) if column in runs else []


def provenance(runs: pd.DataFrame) -> list[tuple[str, str]]:
    """What each provenance column holds, over all runs: (name, values)."""
    wanted = {
        "data": "data", "data_fingerprint": "data fingerprint", "checkpoint": "checkpoint",
        "weights_sha256": "weights, SHA-256", "git_commit": "commit", "device": "device", "precision": "precision",
    }  # fmt: skip
    rows = [(title, _distinct(runs, f"provenance.{key}")) for key, title in wanted.items()]
    versions = [column for column in runs if column.startswith("provenance.versions.")]
    rows += [(column.removeprefix("provenance.versions."), _distinct(runs, column)) for column in sorted(versions)]
    return [(title, ", ".join(values)) for title, values in rows if values]


def costs(board: pd.DataFrame) -> list[tuple[str, float, float, str]]:
    """Cost columns over the runs that report them: (name, sum or NaN, median, unit)."""
    kinds = (
        ("seconds", "Training time", True, "s"),
        ("summary.cost/samples_per_second", "Speed", False, "sentences/s"),
        ("summary.cost/peak_memory_mb", "Peak memory", False, "MB"),
        ("summary.cost/kwh", "Energy", True, "kWh"),
    )
    rows = []
    for column, title, additive, unit in kinds:
        values = pd.to_numeric(board[column], errors="coerce").dropna() if column in board else pd.Series(dtype=float)
        if len(values):
            rows.append((title, float(values.sum()) if additive else np.nan, float(values.median()), unit))
    return rows
