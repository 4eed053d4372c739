"""What speaks for the winner and against it: its rivals, its seeds, and how much the choice flatters it.

Pure: findings in, blocks of a `document` out. Imports `findings`, `analysis` and `wording`.
"""

from collections.abc import Iterator

from cola_sweep.analysis.selection import Optimism, Transfer
from cola_sweep.findings import Findings
from cola_sweep.reporting.answer import flattery, setting_text, with_ends
from cola_sweep.reporting.document import Block, Cell, Column, Table, Text, setting_kind
from cola_sweep.wording import count, show_count, show_lead, show_metric, show_p, show_range, show_share, show_value

VERDICTS = {"first": "winner better", "tie": "tie", "second": "rival better"}
CONFIGURATIONS = 20
SHARES = 5


def evidence(findings: Findings) -> Iterator[Block]:
    """From the widest look, over seeds, to the narrowest, of one run against another."""
    yield from _over_seeds(findings)
    yield from _rivals(findings)
    if findings.optimism:
        yield from _optimism(findings.optimism)
    if findings.transfer:
        yield _transfer(findings.transfer)


def _over_seeds(findings: Findings) -> Iterator[Block]:
    repeats, comparison, metric = findings.repeats, findings.seed_comparison, findings.results.metric
    if repeats is None:
        return
    names = [key.removeprefix("config.") for key in repeats.keys]
    settings = zip(names, repeats.keys, strict=True)
    columns = (
        *(Column(name, setting_kind(repeats.table[key])) for name, key in settings), Column(f"mean {metric}"),
        Column("95% interval"), Column("standard deviation"), Column("best"), Column("runs"),
    )  # fmt: skip
    rows = [
        (
            *(show_value(row[key]) for key in repeats.keys), show_metric(row["mean"]),
            show_range(row["low"], row["high"]), show_metric(row["sd"]), show_metric(row["best"]),
            show_count(row["n"]),
        )
        for row in repeats.table.head(CONFIGURATIONS).to_dict("records")
    ]  # fmt: skip
    note = (
        f"Intervals of the mean over runs by Student's t. Over all repeated configurations the seed's standard "
        f"deviation is {show_metric(repeats.pooled_sd)} ({repeats.pooled_df} degrees of freedom): two single runs of "
        f"one configuration differ by less than {show_metric(repeats.limit)} in 95% of cases, so a smaller lead of a "
        "single run says nothing."
    )
    more = len(repeats.table) - CONFIGURATIONS
    if more > 0:
        note += f" {count(more, 'more configuration is', 'more configurations are')} in configurations.csv."
    yield Table("Configurations over seeds", columns, rows, note, first=True)
    if comparison is None:
        return
    gap, (m, k) = comparison.difference, comparison.seeds
    headline = {
        "first": "The best configuration is better than the next.",
        "tie": "The best two configurations are a tie.",
        "second": "The next configuration is better.",
    }[comparison.verdict]
    yield Text(
        f"The mean MCC of {setting_text(comparison.first)} ({count(m, 'run')}) is {show_lead(gap.value)} that of "
        f"{setting_text(comparison.second)} ({count(k, 'run')}), {with_ends(gap, '+')}, over seeds and "
        f"{count(gap.n, 'sentence')}. {comparison.rule}",
        headline=headline,
    )


def _rivals(findings: Findings) -> Iterator[Block]:
    rivals = findings.rivals
    if not rivals:
        return
    columns = (
        Column("#"), Column("run", "word"), Column("verdict", "setting"), Column("MCC difference"),
        Column("95% interval"), Column("only winner right"), Column("only rival right"), Column("McNemar p"),
    )  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for rival in rivals:
        held, gap = rival.comparison, rival.comparison.difference
        rows.append(
            (
                str(rival.rank), rival.name, f"{VERDICTS[held.verdict]}{': ' + gap.reason if gap.reason else ''}",
                show_metric(gap.value, "+"), show_range(gap.low, gap.high, "+"),
                f"{held.only_first:,}", f"{held.only_second:,}", show_p(held.p_value),
            )
        )  # fmt: skip
    note = (
        f"On the same {count(rivals[0].comparison.difference.n, 'validation sentence')}; intervals by paired "
        "bootstrap (BCa) over sentences, p by McNemar's exact test, of accuracy. "
        f"{rivals[0].comparison.rule} Seeds are not in these intervals: each run is taken as it is."
    )
    yield Table("The winning run against the next best", columns, rows, note)


def _optimism(found: Optimism) -> Iterator[Block]:
    considered = (
        f"{found.ranked:,} ranked runs" if found.considered == found.ranked
        else f"{found.ranked:,} ranked runs, of which the best {found.considered:,} could be chosen,"
    )  # fmt: skip
    yield Text(
        f"The sentences that chose the winner also measure it. Chosen again on resamples of them, and measured on the "
        f"sentences each resample lacks, the chosen run reaches MCC {show_metric(found.corrected.value)} "
        f"({with_ends(found.corrected)}, n = {count(found.corrected.n, 'sentence')}), not "
        f"{show_metric(found.naive)}: as the best of {considered} the winner looks {flattery(found)} too good. "
        "The choice of each run's best epoch, on the same sentences, is not in this.",
        headline="The best of many looks too good.",
    )
    shares = found.shares[found.shares["share"] > 0].head(SHARES)
    rows = [(str(row["name"]), show_share(row["share"])) for row in shares.to_dict("records")]
    yield Table(
        "How often each run is the best of a resample", (Column("run", "word"), Column("of resamples")), rows,
        "A winner that is rarely the best of a resample was mostly lucky in its sentences.",
    )  # fmt: skip


def _transfer(found: Transfer) -> Table:
    columns = (
        Column("chosen on", "word"), Column("run", "word"), Column("MCC in domain"), Column("MCC out of domain"),
        Column("rank on the other half"), Column("best there"), Column("falls short by"),
    )  # fmt: skip
    rows = [
        (
            str(row["chosen_on"]), str(row["name"]), show_metric(row["mcc_in"]), show_metric(row["mcc_out"]),
            f"{row['rank_other']:,} of {found.n:,}", show_metric(row["best_other"]), show_metric(row["lost"]),
        )
        for row in found.rows.to_dict("records")
    ]  # fmt: skip
    note = (
        f"Over {count(found.n, 'run')}, Spearman correlation of MCC in and out of domain: "
        f"{show_metric(found.correlation)}."
    )
    return Table("Chosen on one half of the sentences, seen on the other", columns, rows, note)
