"""The sections of a sweep's report, in reading order: evidence, ranking, search, errors, cost, origin.

Pure: findings and figures in, `document` values out. Imports pandas, `findings`, `stats`, `figures` (types).
"""

from collections.abc import Iterator
from typing import Any

import pandas as pd

from cola_sweep.figures import Gallery
from cola_sweep.findings import Findings, costs, provenance
from cola_sweep.reporting.answer import MCC_NOTE, answers, group_title, run_link
from cola_sweep.reporting.document import Block, Cell, Column, Figures, Flag, Link, Report, Section, Table, Text
from cola_sweep.reporting.wording import (
    count,
    show_amount,
    show_count,
    show_duration,
    show_metric,
    show_p,
    show_range,
    show_share,
    show_value,
)  # fmt: skip
from cola_sweep.stats import CLASSES

LEADERBOARD_ROWS = 50  # the rest are in runs.csv
LEFT_OUT_ROWS = 20


def report(findings: Findings, gallery: Gallery) -> Report:
    """Everything that is said of one sweep."""
    results, ranked = findings.results, findings.ranked
    method = str(results.config.get("method", "unknown"))
    best = f" {show_metric(ranked['best'].iloc[0])}" if len(ranked) else ""
    parts = {
        "Evidence": _evidence(findings),
        "Ranking": _ranking(findings),
        "The search": _search(findings, gallery),
        "Where the winner fails": _errors(findings, gallery),
        "Cost": _cost(findings),
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


def _evidence(findings: Findings) -> Iterator[Block]:
    ranked, rivals = findings.ranked, findings.rivals
    if rivals:
        columns = (
            Column("#"), Column("against", "word"), Column("MCC difference"), Column("95% interval"),
            Column("only winner right"), Column("only rival right"), Column("McNemar p"), Column("verdict", "word"),
        )  # fmt: skip
        names = {"first": "winner better", "tie": "tie", "second": "rival better"}
        rows: list[tuple[Cell, ...]] = []
        for rival in rivals:
            gap = rival.comparison.difference
            rows.append(
                (
                    str(rival.rank), rival.name, show_metric(gap.value, "+"),
                    show_range(gap.low, gap.high, "+"), f"{rival.comparison.only_first:,}",
                    f"{rival.comparison.only_second:,}", show_p(rival.comparison.p_value),
                    f"{names[rival.comparison.verdict]}{': ' + gap.reason if gap.reason else ''}",
                )
            )  # fmt: skip
        n = rivals[0].comparison.difference.n
        note = (
            f"On the same {count(n, 'validation sentence')}; intervals by paired bootstrap (BCa) over sentences, p by "
            f"McNemar's exact test. {rivals[0].comparison.rule} The sentences that chose the winner also measure it, "
            f"so as the best of {len(ranked):,} it looks somewhat too good."
        )
        yield Table("The winner against the next best", columns, rows, note)


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
            Column("#"), Column("run", "word"), *_parameter_columns(findings, ranked), Column(results.metric),
            Column("epoch"), Column("last"), *(Column(title) for title, _ in splits), Column("time"),
            *([Column("", "word")] if flagged else []),
        )  # fmt: skip
        rows = [
            (
                show_count(run["rank"]), run_link(run), *_settings(findings, run), show_metric(run["best"]),
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
        Column("run", "word"), Column("why", "word"), *_parameter_columns(findings, left_out), Column("last value"),
    )  # fmt: skip
    rows = [
        (run_link(run), run["left_out"], *_settings(findings, run), show_metric(run["last"]))
        for _, run in left_out.head(LEFT_OUT_ROWS).iterrows()
    ]
    more = len(left_out) - LEFT_OUT_ROWS
    note = f"{'; '.join(reasons)}." + (f" {count(more, 'more is', 'more are')} in runs.csv." if more > 0 else "")
    return Table("Left out of the ranking", columns, rows, note)


def _parameter_columns(findings: Findings, runs: pd.DataFrame) -> list[Column]:
    return [
        Column(p.name, "setting" if runs[p.column].map(lambda value: isinstance(value, str)).any() else "number")
        for p in findings.parameters
    ]


def _settings(findings: Findings, run: "pd.Series[Any]") -> list[str]:
    return [show_value(run[parameter.column]) for parameter in findings.parameters]


def _search(findings: Findings, gallery: Gallery) -> Iterator[Block]:
    yield from _repeats(findings)
    if gallery.search:
        yield Figures(gallery.search)


def _repeats(findings: Findings) -> Iterator[Block]:
    settings = findings.settings
    names = [name.removeprefix("config.") for name in settings.columns[:-3]]
    if not names or not (settings["n"] > 1).any():
        return
    columns = (
        *(Column(name) for name in names), Column(f"mean {findings.results.metric}"), Column("standard deviation"),
        Column("runs"),
    )  # fmt: skip
    rows = [
        (*(show_value(value) for value in row[:-3]), show_metric(row[-3]), show_metric(row[-2]), show_count(row[-1]))
        for row in settings.head(LEADERBOARD_ROWS).itertuples(index=False)
    ]
    more = len(settings) - LEADERBOARD_ROWS
    note = f"{count(more, 'more is', 'more are')} not shown." if more > 0 else ""
    yield Table("Configurations over seeds", columns, rows, note)


def _errors(findings: Findings, gallery: Gallery) -> Iterator[Block]:
    predicted = findings.predicted
    if predicted is None:
        return
    if gallery.sentences:
        yield Figures(gallery.sentences)
    for title, table in predicted.groups.items():
        yield group_table(f"By {group_title(title)}", group_title(title), table)
    if len(predicted.worst):
        columns = (
            Column("sentence", "prose"), Column("label", "word"), Column("predicted", "word"), Column("p(acceptable)"),
            Column("loss (nats)"),
        )  # fmt: skip
        worst = predicted.worst.reindex(columns=["sentence", "label", "predicted", "probability", "loss"])
        rows = [
            (
                str(row["sentence"]), CLASSES[row["label"]], CLASSES[row["predicted"]],
                show_metric(row["probability"]), show_metric(row["loss"]),
            )
            for row in worst.to_dict("records")
        ]  # fmt: skip
        note = f"The {len(worst):,} wrong sentences with the largest loss, of {predicted.wrong:,} wrong ones."
        yield Table("Worst sentences", columns, rows, note)


def group_table(title: str, name: str, table: pd.DataFrame) -> Table:
    """Accuracy and MCC by group; the group's name is the first column of `table`."""
    columns = (
        Column(name, "word"), Column("sentences"), Column("acceptable"), Column("accuracy"), Column("MCC"),
        Column("95% interval"), *([Column("", "word")] if (table["note"] != "").any() else []),
    )  # fmt: skip
    rows = [
        (
            str(row[table.columns[0]]), show_count(row["n"]), show_share(row["acceptable"]),
            show_share(row["accuracy"]), show_metric(row["mcc"]), show_range(row["low"], row["high"]),
            *([row["note"]] if len(columns) > 6 else []),
        )
        for row in table.to_dict("records")
    ]  # fmt: skip
    return Table(title, columns, rows)


def _cost(findings: Findings) -> Iterator[Block]:
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
    if gallery.left_out:
        absent = [(item.title, item.reason) for item in gallery.left_out]
        yield Table("Not in this report", (Column("what", "word"), Column("why", "prose")), absent)
