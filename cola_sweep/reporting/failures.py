"""Where the winner fails: by domain, source and length, and sentence by sentence.

Pure: findings and figures in, blocks of a `document` out. Imports pandas, `findings`, `stats` and `wording`.
"""

from collections.abc import Iterator
from dataclasses import replace

import pandas as pd

from cola_sweep.analysis.blimp import by_term
from cola_sweep.analysis.mistakes import Mistakes
from cola_sweep.figures import Gallery
from cola_sweep.findings import Findings, Predicted
from cola_sweep.reporting.answer import group_title
from cola_sweep.reporting.document import Block, Column, Figures, Table, Text
from cola_sweep.stats import CLASSES
from cola_sweep.wording import count, show_count, show_metric, show_range, show_share

SENTENCES = 20
GROUPS = 30


def failures(findings: Findings, gallery: Gallery, probed: pd.DataFrame | None = None) -> Iterator[Block]:
    """What the winner's predictions say where they are at hand, and `probed`, the BLiMP probe of its model."""
    if findings.predicted:
        yield from _of_predictions(findings, findings.predicted, gallery)
    if probed is not None:
        yield _blimp(probed)


def _of_predictions(findings: Findings, predicted: Predicted, gallery: Gallery) -> Iterator[Block]:
    if gallery.sentences:
        yield Figures(gallery.sentences)
    if found := findings.calibration:
        yield Text(
            f"Expected calibration error {show_metric(found.error)}, Brier score {show_metric(found.brier)} (0.250 is "
            f"that of a constant 1/2), n = {count(found.n, 'sentence')}.",
            headline="Probabilities.",
        )
    for title, table in predicted.groups.items():
        yield _cut(group_table(f"By {group_title(title)}", group_title(title), table), f"by-{title}.csv", GROUPS)
    if findings.phenomena is not None:
        note = (
            "A sentence may show several phenomena, and then counts in each. Annotations: Warstadt and Bowman (2019)."
        )
        yield replace(group_table("By phenomenon", "phenomenon", findings.phenomena), note=note)
    if findings.mistakes:
        yield from _mistakes(findings.mistakes)
    if len(predicted.worst):
        yield _worst(predicted)


def _mistakes(found: Mistakes) -> Iterator[Block]:
    origin = [name for name in ("source", "domain") if name in found.always_wrong]
    columns = (Column("sentence", "prose"), Column("label", "word"), *(Column(name, "word") for name in origin))
    rows = [
        (str(row["sentence"]), CLASSES[row["label"]], *(str(row[name]) for name in origin))
        for row in found.always_wrong.head(SENTENCES).to_dict("records")
    ]
    if rows:
        note = f"{len(found.always_wrong):,} of {found.n:,} sentences."
        table = Table(f"What all of the best {found.k} runs get wrong", columns, rows, note)
        yield _more(table, len(found.always_wrong), "always-wrong.csv")
    rows = [
        (str(row["sentence"]), CLASSES[row["label"]], str(row["right"]))
        for row in found.differing.head(SENTENCES).to_dict("records")
    ]
    if rows:
        columns = (Column("sentence", "prose"), Column("label", "word"), Column("who is right", "word"))
        note = f"{len(found.differing):,} of {found.n:,} sentences."
        table = Table("Where winner and runner-up differ", columns, rows, note)
        yield _more(table, len(found.differing), "differing.csv")


def _blimp(probed: pd.DataFrame) -> Table:
    columns = (
        Column("term", "word"), Column("field", "word"), Column("pairs"), Column("right"), Column("95% interval"),
    )  # fmt: skip
    rows = [
        (
            str(row["term"]), str(row["field"]), show_count(row["n"]), show_share(row["accuracy"]),
            f"{show_share(row['low'])} to {show_share(row['high'])}",
        )
        for row in by_term(probed).to_dict("records")
    ]  # fmt: skip
    n, right = int(probed["n"].sum()), int(probed["right"].sum())
    note = (
        f"Minimal pairs of BLiMP (Warstadt et al. 2020) of which the winner's model finds the good sentence the more "
        f"acceptable: {right:,} of {n:,} ({show_share(right / n)}); a guess finds 50%. By paradigm in blimp.csv."
    )
    return Table("BLiMP's minimal pairs by linguistic term", columns, rows, note)


def _worst(predicted: Predicted) -> Table:
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
    return Table("Worst sentences", columns, rows, note)


def _cut(table: Table, file: str, most: int) -> Table:
    """At most so many rows, and where the others are."""
    return _more(replace(table, rows=table.rows[:most]), len(table.rows), file)


def _more(table: Table, n: int, file: str) -> Table:
    """Says where the rows are that the table does not show of `n`."""
    hidden = n - len(table.rows)
    more = f"{count(hidden, 'more is', 'more are')} in {file}." if hidden > 0 else ""
    return replace(table, note=f"{table.note} {more}".strip())


def group_table(title: str, name: str, table: pd.DataFrame) -> Table:
    """Accuracy and MCC by group; the group's name is the first column of `table`."""
    columns = (
        Column(name, "word"), Column("MCC"), Column("95% interval"), Column("sentences"), Column("accuracy"),
        Column("acceptable"), *([Column("", "word")] if (table["note"] != "").any() else []),
    )  # fmt: skip
    rows = [
        (
            str(row[table.columns[0]]), show_metric(row["mcc"]), show_range(row["low"], row["high"]),
            show_count(row["n"]), show_share(row["accuracy"]), show_share(row["acceptable"]),
            *([row["note"]] if len(columns) > 6 else []),
        )
        for row in table.to_dict("records")
    ]  # fmt: skip
    return Table(title, columns, rows)
