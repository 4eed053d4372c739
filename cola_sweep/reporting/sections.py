"""The sections of a sweep's report, in reading order: evidence, ranking, search, errors, cost, origin.

Pure: findings and figures in, `document` values out. Imports pandas, `findings`, `stats`, `figures` (types).
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from cola_sweep.figures import Gallery
from cola_sweep.findings import Findings, costs, provenance
from cola_sweep.reporting.answer import MCC_NOTE, answers, run_link
from cola_sweep.reporting.document import (
    Block,
    Cell,
    Column,
    Figures,
    Flag,
    Link,
    Report,
    Section,
    Table,
    Text,
    setting_kind,
)
from cola_sweep.reporting.evidence import evidence
from cola_sweep.reporting.failures import failures
from cola_sweep.wording import (
    count,
    show_amount,
    show_count,
    show_duration,
    show_metric,
    show_share,
    show_value,
)  # fmt: skip

LEADERBOARD_ROWS = 50  # the rest are in runs.csv
LEFT_OUT_ROWS = 20
# Of what `findings.absent` names.
ABSENT = {
    "repeats": "configurations over seeds",
    "seed_comparison": "the best two configurations over seeds",
    "optimism": "what the choice of the best flatters",
    "transfer": "in domain against out of domain",
    "importance": "importance of the parameters",
    "fronts": "metric against cost",
    "progress": "progress of the search",
    "calibration": "calibration of the winner",
    "mistakes": "mistakes in common and apart",
    "phenomena": "mistakes by phenomenon",
}


def report(findings: Findings, gallery: Gallery, probed: pd.DataFrame | None = None) -> Report:
    """Everything that is said of one sweep; `probed` is the BLiMP probe of the winner, by paradigm."""
    results, ranked = findings.results, findings.ranked
    method = str(results.config.get("method", "unknown"))
    best = f" {show_metric(ranked['best'].iloc[0])}" if len(ranked) else ""
    parts = {
        "Evidence": evidence(findings),
        "Ranking": _ranking(findings),
        "The search": _search(findings, gallery),
        "Where the winner fails": failures(findings, gallery, probed),
        "Cost": _cost(findings, gallery),
        "Where it comes from": _origin(findings, gallery),
    }
    sections = [(title, tuple(blocks)) for title, blocks in parts.items()]
    return Report(
        kind="Sweep report",
        title=results.name,
        head=f"{results.name}: {results.metric}{best}",
        where=Link(results.path, results.url),
        summary=f"{results.state} · {method} search · {count(len(findings.board), 'run')}, {len(ranked):,} ranked",
        warnings=tuple(findings.warnings),
        answers=answers(findings),
        footnote=MCC_NOTE if findings.predicted or "mcc" in results.metric else "",
        sections=tuple(Section(title, blocks) for title, blocks in sections if blocks),
    )


def _ranking(findings: Findings) -> Iterator[Block]:
    ranked, left_out, results = findings.ranked, findings.left_out, findings.results
    if ranked.empty:
        yield Text("No run can be ranked.")
    else:
        splits = [
            split for split in (("in domain", "mcc_in"), ("out of domain", "mcc_out")) if ranked[split[1]].notna().any()
        ]
        flagged = bool(ranked["one_class"].any())
        columns = (
            Column("#"), Column("run", "word"), Column(results.metric), *_parameter_columns(findings, ranked),
            Column("epoch"), Column("last"), *(Column(title) for title, _ in splits), Column("time"),
            *([Column("", "word")] if flagged else []),
        )  # fmt: skip
        rows = [
            (
                show_count(run["rank"]), run_link(run), show_metric(run["best"]), *_settings(findings, run),
                show_value(run["best_epoch"]), show_metric(run["last"]),
                *(show_metric(run[column]) for _, column in splits), show_duration(run["seconds"]),
                *([Flag("predicts one class") if run["one_class"] else ""] if flagged else []),
            )
            for _, run in ranked.head(LEADERBOARD_ROWS).iterrows()
        ]  # fmt: skip
        notes = [f"The best {results.metric} of each run ({results.goal}), the epoch it is of, and the last."]
        notes += ["In and out of domain: MCC of the two halves of the data at that epoch."] if splits else []
        if len(ranked) > LEADERBOARD_ROWS:
            notes.append(f"{count(len(ranked) - LEADERBOARD_ROWS, 'more run is', 'more runs are')} in runs.csv.")
        yield Table("Leaderboard", columns, rows, " ".join(notes), first=True)
    if len(left_out):
        yield _left_out(findings, left_out)


def _left_out(findings: Findings, left_out: pd.DataFrame) -> Table:
    reasons = [f"{n:,} × {reason}" for reason, n in left_out["left_out"].value_counts(sort=False).items()]
    columns = (
        Column("run", "word"), Column("why", "prose"), *_parameter_columns(findings, left_out), Column("last value"),
    )  # fmt: skip
    rows = [
        (run_link(run), _why(run), *_settings(findings, run), show_metric(run["last"]))
        for _, run in left_out.head(LEFT_OUT_ROWS).iterrows()
    ]
    more = len(left_out) - LEFT_OUT_ROWS
    note = f"{'; '.join(reasons)}." + (f" {count(more, 'more is', 'more are')} in runs.csv." if more > 0 else "")
    return Table("Left out of the ranking", columns, rows, note)


def _why(run: "pd.Series[Any]") -> str:
    return f"{run['left_out']}: {run['failure']}" if run["failure"] else str(run["left_out"])


def _parameter_columns(findings: Findings, runs: pd.DataFrame) -> list[Column]:
    return [Column(parameter.name, setting_kind(runs[parameter.column])) for parameter in findings.parameters]


def _settings(findings: Findings, run: "pd.Series[Any]") -> list[str]:
    return [show_value(run[parameter.column]) for parameter in findings.parameters]


def _search(findings: Findings, gallery: Gallery) -> Iterator[Block]:
    if findings.progress and findings.progress.caveat:
        yield Text(findings.progress.caveat)
    if gallery.search:
        yield Figures(gallery.search)
    if found := findings.importance:
        columns = (Column("parameter", "word"), Column("share"), Column("90% of the trees"), Column("by chance"))
        rows = [
            (
                str(row["name"]), show_share(row["share"]), f"{show_share(row['low'])} to {show_share(row['high'])}",
                show_share(row["chance"]),
            )
            for row in found.table.to_dict("records")
        ]  # fmt: skip
        skipped = "".join(f" Not judged: {name} ({why})." for name, why in found.skipped.items())
        note = (
            f"{found.method}; over {count(found.n, 'run')}. A share below that of chance says nothing. No parameter "
            f"alone explains {show_share(found.unexplained)}: interplay and noise.{skipped}"
        )
        yield Table("Importance of the parameters", columns, rows, note)


def _cost(findings: Findings, gallery: Gallery) -> Iterator[Block]:
    if gallery.cost:
        yield Figures(gallery.cost)
    rows: list[tuple[Cell, ...]] = [
        (name, show_amount(total, unit), show_amount(median, unit))
        for name, total, median, unit in costs(findings.board)
    ]
    if rows:
        yield Table("What the runs cost", (Column("", "word"), Column("all runs"), Column("median run")), rows)


def _origin(findings: Findings, gallery: Gallery) -> Iterator[Block]:
    results = findings.results
    rows: list[tuple[Cell, ...]] = [("sweep", Link(results.path, results.url))]
    rows += provenance(results.runs)
    yield Table("Provenance", (Column("", "word"), Column("value", "prose")), rows)
    # A figure and the table beside it lack the same data, under the same title.
    absent = {item.title: item.reason for item in gallery.left_out}
    absent |= {ABSENT.get(name, name): reason for name, reason in findings.absent.items()}
    if absent:
        columns = (Column("what", "setting"), Column("why", "prose"))
        yield Table("Not in this report", columns, list(absent.items()))
