"""Two sweeps compared: their winners on the same sentences, and what else differs.

Pure: findings in, `document` values out. Imports `findings`, `stats`, `analysis.align`, `figures`, and `answer`.
"""

from collections.abc import Iterator, Sequence

from cola_sweep import stats
from cola_sweep.analysis.align import align
from cola_sweep.figures import Figure, Gallery, LeftOut, versus
from cola_sweep.findings import Findings, costs, provenance
from cola_sweep.reporting.answer import MCC_NOTE, interval_text, run_link, settings_text, with_ends
from cola_sweep.reporting.document import Answer, Block, Cell, Column, Figures, Flag, Link, Report, Section, Table
from cola_sweep.wording import NOTHING, count, show_amount, show_duration, show_lead, show_metric, show_p, show_range

Pair = Sequence[Findings]


def draw(pair: Pair) -> Gallery:
    """The figures of a comparison; none where the sweeps have different metrics."""
    if len({(found.results.metric, found.results.goal) for found in pair}) > 1:
        return Gallery(left_out=(LeftOut("all figures", "the sweeps have different metrics or goals"),))
    drawn = [figure(pair, names(pair)) for figure in (versus.best_so_far, versus.all_runs)]
    return Gallery(
        search=tuple(item for item in drawn if isinstance(item, Figure)),
        left_out=tuple(item for item in drawn if isinstance(item, LeftOut)),
    )


def names(pair: Pair) -> list[str]:
    """What to call them: their names, with the ids where these are equal."""
    told = [found.results.name for found in pair]
    return told if len(set(told)) == len(told) else [f"{found.results.name} ({found.results.id})" for found in pair]


def report(pair: Pair, gallery: Gallery, pages: Sequence[str]) -> Report:
    """What two sweeps say together; `pages` are the addresses of their own reports."""
    comparison = compare(pair)
    title = " against ".join(names(pair))
    parts = {
        "Side by side": (_side_by_side(pair, pages), *_figures(gallery)),
        "Evidence": tuple(_evidence(pair, comparison)),
        "Where they come from": tuple(_origin(pair, gallery)),
    }
    return Report(
        kind="Two sweeps compared",
        title=title,
        where=Link(pair[0].results.path, pair[0].results.url),
        summary=f"against {pair[1].results.path}",
        warnings=tuple(_warnings(pair)),
        answers=(_better(pair, comparison), _cost(pair), *(_best(found, name) for found, name in _named(pair))),
        footnote=MCC_NOTE,
        sections=tuple(Section(part, blocks) for part, blocks in parts.items() if blocks),
    )


def compare(pair: Pair) -> stats.Comparison | None:
    """The two winners on the same sentences; None where their predictions cannot be paired."""
    tables = {}
    for place, found in enumerate(pair):
        if found.winner is not None and (table := found.results.predictions.get(found.winner["id"])) is not None:
            tables[str(place)] = table
    both = align(tables, ["0", "1"])
    if both is None or len(both.runs) < 2:
        return None
    return stats.compare(both.labels, *both.predicted)


def _named(pair: Pair) -> Iterator[tuple[Findings, str]]:
    return zip(pair, names(pair), strict=True)


def _warnings(pair: Pair) -> Iterator[str]:
    prints = [found.results.runs.get("provenance.data_fingerprint") for found in pair]
    held = [set(column.dropna()) for column in prints if column is not None]
    if len(held) == 2 and all(held) and held[0] != held[1]:
        yield "The two sweeps used different data: their values are not comparable."
    if len({(found.results.metric, found.results.goal) for found in pair}) > 1:
        yield "The two sweeps optimise different metrics; only their predictions are compared."
    for found, name in _named(pair):
        yield from (f"{name}: {warning}" for warning in found.warnings)


def _better(pair: Pair, comparison: stats.Comparison | None) -> Answer:
    told = names(pair)
    if comparison is None:
        detail = "The predictions of the two winners are not at hand, or are about different sentences."
        return Answer("Which is better?", "Not tested", (detail,))
    headline = {"first": told[0], "second": told[1], "tie": "A tie"}[comparison.verdict]
    gap = comparison.difference
    return Answer(
        "Which is better?",
        headline,
        (
            f"The MCC of {told[0]}'s winner is {show_lead(gap.value)} that of {told[1]}'s, on the same "
            f"{count(gap.n, 'sentence')} ({with_ends(gap, '+')}).",
        ),
    )


def _best(found: Findings, name: str) -> Answer:
    winner = found.winner
    if winner is None:
        return Answer(f"Best of {name}", NOTHING, ("No run can be ranked.",))
    facts: tuple[tuple[str, Cell], ...] = (("run", run_link(winner)), ("settings", settings_text(found)))
    return Answer(f"Best {found.results.metric} of {name}", show_metric(winner["best"]), (interval_text(found),), facts)


def _cost(pair: Pair) -> Answer:
    facts = [
        (name, f"{show_duration(spent.sum())}, {count(len(spent), 'run')}" if len(spent) else "not logged")
        for found, name in _named(pair)
        for spent in [found.board["seconds"].dropna()]
    ]
    return Answer("Cost", "Time of all runs", facts=tuple(facts))


def _side_by_side(pair: Pair, pages: Sequence[str]) -> Table:
    def row(title: str, cells: list[Cell]) -> tuple[Cell, ...]:
        return (title, *cells)

    rows = [
        row("report", [Link(name, page) for (_, name), page in zip(_named(pair), pages, strict=True)]),
        row("search", [str(found.results.config.get("method", "unknown")) for found in pair]),
        row("parameters", [", ".join(p.name for p in found.parameters) or NOTHING for found in pair]),
        row("runs", [f"{len(found.board):,}, {len(found.ranked):,} ranked" for found in pair]),
        row("metric", [f"{found.results.metric} ({found.results.goal})" for found in pair]),
        row("best", [show_metric(found.ranked["best"].iloc[0] if len(found.ranked) else None) for found in pair]),
        row("median", [show_metric(found.ranked["best"].median()) for found in pair]),
        row("winner", [run_link(found.winner) if found.winner is not None else NOTHING for found in pair]),
        row("its settings", [settings_text(found) for found in pair]),
    ]
    spent = [{name: (total, median, unit) for name, total, median, unit in costs(found.board)} for found in pair]
    for name in dict.fromkeys(name for held in spent for name in held):
        cells: list[Cell] = [
            f"median {show_amount(held[name][1], held[name][2])}" if name in held else NOTHING for held in spent
        ]
        rows.append(row(name.lower(), cells))
    return Table("The two sweeps", _columns(pair), rows)


def _columns(pair: Pair) -> tuple[Column, ...]:
    return (Column("", "word"), *(Column(name, "prose") for name in names(pair)))


def _figures(gallery: Gallery) -> Iterator[Block]:
    if gallery.search:
        yield Figures(gallery.search)


def _evidence(pair: Pair, comparison: stats.Comparison | None) -> Iterator[Block]:
    if comparison is None:
        return
    gap, told = comparison.difference, names(pair)
    verdict = {"first": f"{told[0]} better", "second": f"{told[1]} better", "tie": "tie"}[comparison.verdict]
    columns = (
        Column("verdict", "word"), Column("MCC difference"), Column("95% interval"), Column("only the first right"),
        Column("only the second right"), Column("McNemar p"),
    )  # fmt: skip
    cells = (
        verdict, show_metric(gap.value, "+"), show_range(gap.low, gap.high, "+"), f"{comparison.only_first:,}",
        f"{comparison.only_second:,}", show_p(comparison.p_value),
    )  # fmt: skip
    note = (
        f"The two winners on the same {count(gap.n, 'validation sentence')}; interval by paired bootstrap (BCa) over "
        f"sentences, p by McNemar's exact test. {comparison.rule} Each winner is the best of its sweep on these "
        "sentences, so the one chosen from more runs is flattered more."
    )
    yield Table("Winner against winner", columns, [cells], " ".join([gap.reason, note]).strip())


def _origin(pair: Pair, gallery: Gallery) -> Iterator[Block]:
    held = [dict(provenance(found.results.runs)) for found in pair]
    rows: list[tuple[Cell, ...]] = [("sweep", *(Link(found.results.path, found.results.url) for found in pair), "")]
    for name in dict.fromkeys(name for values in held for name in values):
        cells = [values.get(name, NOTHING) for values in held]
        rows.append((name, *cells, Flag("differs") if len(set(cells)) > 1 else ""))
    yield Table("Provenance", (*_columns(pair), Column("", "word")), rows)
    if gallery.left_out:
        absent = [(item.title, item.reason) for item in gallery.left_out]
        yield Table("Not in this report", (Column("what", "word"), Column("why", "prose")), absent)
