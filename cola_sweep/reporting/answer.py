"""The first screen of a report: which configuration, how good, how sure, at what cost, and where it fails.

Pure: findings in, `Answer`s out. Imports pandas, `findings`, `stats`, `document` and `wording`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

import pandas as pd

from cola_sweep import stats
from cola_sweep.analysis.seeds import SeedComparison
from cola_sweep.analysis.selection import Optimism
from cola_sweep.findings import Findings, Predicted
from cola_sweep.reporting.document import Answer, Cell, Link
from cola_sweep.wording import (
    NOTHING,
    count,
    missing,
    show_amount,
    show_count,
    show_duration,
    show_lead,
    show_metric,
    show_range,
    show_share,
    show_value,
)  # fmt: skip

FEWEST_IN_GROUP = 30  # sentences, before a group may be called the weakest
MCC_NOTE = (
    "MCC is the Matthews correlation between label and prediction: 1 is perfect, 0 is what a guess or a constant "
    "answer reaches."
)


def answers(findings: Findings) -> tuple[Answer, ...]:
    """None where no run can be ranked."""
    if findings.winner is None:
        return ()
    return tuple(answer(findings) for answer in (which, how_good, how_sure, at_what_cost, where_it_fails))


def which(findings: Findings) -> Answer:
    winner, over_seeds = findings.winner, best_over_seeds(findings)
    assert winner is not None
    answer = setting_text(over_seeds.first) if over_seeds else settings_text(findings)
    seeds = [parameter for parameter in findings.parameters if parameter.is_seed]
    facts: list[tuple[str, Cell]] = [("best run" if over_seeds else "run", run_link(winner))]
    facts += [(parameter.name, show_value(winner[parameter.column])) for parameter in seeds]
    checkpoint = winner.get("provenance.checkpoint")
    is_searched = any(parameter.name.rpartition(".")[2] == "checkpoint" for parameter in findings.parameters)
    if not missing(checkpoint) and not is_searched:
        facts.append(("checkpoint", str(checkpoint)))
    if not missing(winner["best_epoch"]):
        facts.append(("best epoch", show_value(winner["best_epoch"])))
    details = ["The best run predicts one class for every sentence."] if winner["one_class"] else []
    if answer != settings_text(findings):
        details.append(f"By mean over seeds; the best single run has {settings_text(findings)}.")
    headline, _ = seed_verdict(findings) or verdict(findings)
    rank = "Winning" if headline.startswith("Yes") else "Leading"
    return Answer(f"{rank} configuration", answer, tuple(details), tuple(facts))


def best_over_seeds(findings: Findings) -> SeedComparison | None:
    """The comparison of configurations over seeds, where the winning run's configuration was repeated.

    A single run then only says how lucky its seed was.
    """
    repeats, winner = findings.repeats, findings.winner
    if repeats is None or winner is None or findings.seed_comparison is None:
        return None
    once = repeats.table.loc[repeats.table["n"] == 1, "runs"]
    return None if any(winner["id"] in runs for runs in once) else findings.seed_comparison


def settings_text(findings: Findings) -> str:
    """The settings of the best run, without its seed; its name where nothing was searched."""
    winner = findings.winner
    if winner is None:
        return NOTHING
    searched = [parameter for parameter in findings.parameters if not parameter.is_seed]
    return setting_text({p.name: winner[p.column] for p in searched}) or str(winner["name"])


def setting_text(setting: Mapping[str, Any]) -> str:
    """`lr 5e-5 · pooling mean`."""
    return " · ".join(f"{name} {show_value(value)}" for name, value in setting.items())


def how_good(findings: Findings) -> Answer:
    winner, metric, over_seeds = findings.winner, findings.results.metric, best_over_seeds(findings)
    assert winner is not None
    if over_seeds is None or findings.repeats is None:
        details = (interval_text(findings), *_expected(findings, "it"))
        return Answer(f"Best {metric}", show_metric(winner["best"]), details)
    row = findings.repeats.table[findings.repeats.table["n"] > 1].iloc[0]
    ends = show_range(row["low"], row["high"])
    return Answer(
        f"Mean {metric} over {count(int(row['n']), 'seed')}",
        show_metric(row["mean"]),
        (
            f"95% interval {ends} over seeds (standard deviation {show_metric(row['sd'])}).",
            f"Best single run: {show_metric(winner['best'])} ({interval_text(findings)}).",
            *_expected(findings, "that run"),
        ),
    )


def _expected(findings: Findings, run: str) -> Iterator[str]:
    """What is left of the best run's value once the choice of the best is accounted for; `run` is a word for it."""
    if found := findings.optimism:
        among = f"{found.ranked:,} runs" if found.complete else f"{found.considered:,} or more runs"
        yield (
            f"On new sentences expect MCC {show_metric(found.corrected.value)} of {run} "
            f"(95% interval {show_range(found.corrected.low, found.corrected.high)}): as the best of {among} it looks "
            f"{flattery(found)} too good."
        )


def flattery(found: Optimism) -> str:
    """By how much the choice of the best flatters it: `0.012`, `at least 0.012`, `less than 0.001`."""
    if found.optimism < 0.001:
        return "less than 0.001"
    return f"{'' if found.complete else 'at least '}{show_metric(found.optimism)}"


def interval_text(findings: Findings) -> str:
    """The interval of the winner's MCC, or why there is none."""
    if not findings.predicted:
        return "no interval: the run's predictions are not at hand"
    interval = findings.predicted.interval
    what = "" if findings.results.metric == "valid/mcc" else f"MCC {show_metric(interval.value)}, "
    return f"{what}{with_ends(interval)}, n = {count(interval.n, 'sentence')}"


def with_ends(interval: stats.Interval, sign: str = "") -> str:
    """`95% interval 0.281 to 0.342`, with a sign `95% interval of the difference ...`, or why there is none."""
    if interval.reason:
        return f"no interval: {interval.reason}"
    of = "of the difference " if sign else ""
    return f"{interval.level:.0%} interval {of}{show_range(interval.low, interval.high, sign)}"


def how_sure(findings: Findings) -> Answer:
    headline, detail = seed_verdict(findings) or verdict(findings)
    return Answer("Did it really win?", headline, (detail,) if detail else ())


def seed_verdict(findings: Findings) -> tuple[str, str] | None:
    """Best configuration against the next, over seeds: a headline and the numbers behind it."""
    found = best_over_seeds(findings)
    if found is None:
        return None
    headline = {
        "first": "Yes: better than the next configuration",
        "tie": "A tie with the next configuration",
        "second": "No: the next configuration is better",
    }[found.verdict]
    gap, (m, k) = found.difference, found.seeds
    detail = (
        f"Mean MCC {show_lead(gap.value)} with {setting_text(found.second)} "
        f"({with_ends(gap, '+')}); {count(m, 'run')}{'' if m == k else f' against {k}'}"
        f"{' each' if m == k else ''}, {count(gap.n, 'sentence')}."
    )
    return headline, detail


def verdict(findings: Findings) -> tuple[str, str]:
    """Winner against the best run of another configuration: a headline and the numbers behind it."""
    ranked = findings.ranked
    if len(ranked) < 2:
        return ("Nothing to compare with", "Only one run can be ranked.") if len(ranked) else ("No winner yet", "")
    second = next_configuration(findings)
    if second is None:
        return "Nothing to compare with", "All ranked runs have the same settings."
    comparison = next((rival.comparison for rival in findings.rivals if rival.id == second["id"]), None)
    if comparison is None:
        other = f"The predictions of the winner and of {second['name']}"
        return "Not tested", f"{other} cannot be paired sentence by sentence."
    who = "the runner-up" if second["rank"] == 2 else "the next configuration"
    headline = {
        "first": f"Yes: better than {who}",
        "tie": f"A tie with {who}",
        "second": f"No: by MCC {who} is better",
    }[comparison.verdict]
    gap = comparison.difference
    few = comparison.only_first + comparison.only_second < stats.FEWEST_DISCORDANT
    detail = (
        f"MCC {show_lead(gap.value)} that of {second['name']} on the same {count(gap.n, 'sentence')} "
        f"({with_ends(gap, '+')}). Only the winner is right on {comparison.only_first:,}, only the other on "
        f"{comparison.only_second:,}{', too few to tell them apart' if few else ''}. Single runs: another seed may "
        "turn this round."
    )
    return headline, detail


def next_configuration(findings: Findings) -> "pd.Series[Any] | None":
    """The best run with other settings than the winner's; a run that differs in its seed alone is no rival."""
    columns = [parameter.column for parameter in findings.parameters if not parameter.is_seed]
    others = findings.ranked.iloc[1:]
    if columns:
        settings = findings.ranked[columns].astype(str)
        others = others[(settings.iloc[1:] != settings.iloc[0]).any(axis=1)]
    return None if others.empty else others.iloc[0]


def at_what_cost(findings: Findings) -> Answer:
    winner, board = findings.winner, findings.board
    assert winner is not None
    spent = board["seconds"].dropna()
    facts: list[tuple[str, Cell]] = []
    if len(spent):
        facts.append((f"whole sweep, {count(len(spent), 'run')}", show_duration(spent.sum())))
    for column, title, unit in (("cost/peak_memory_mb", "peak memory", "MB"), ("cost/kwh", "energy", "kWh")):
        if not missing(amount := winner.get(f"summary.{column}")):
            facts.append((title, show_amount(amount, unit)))
    if not missing(device := winner.get("provenance.device")):
        facts.append(("device", str(device)))
    if missing(winner["seconds"]):
        return Answer("Cost", "Not known", ("The winner did not log cost/seconds.",), tuple(facts))
    return Answer("Cost of the winner", show_duration(winner["seconds"]), facts=tuple(facts))


def where_it_fails(findings: Findings) -> Answer:
    predicted = findings.predicted
    if predicted is None:
        return Answer("Where it fails", "Not known", ("The winner's predictions are not at hand.",))
    tn, fp, fn, tp = (int(number) for number in predicted.counts)
    n = tn + fp + fn + tp
    details = [
        f"Of {n:,} sentences {predicted.wrong:,} are wrong: {fp:,} of {tn + fp:,} unacceptable ones are called "
        f"acceptable, {fn:,} of {fn + tp:,} acceptable ones unacceptable. The same answer to all would be "
        f"{show_share(min(tn + fp, fn + tp) / n)} wrong.",
        *weakest(predicted),
    ]
    return Answer("Where it fails", f"{show_share(predicted.wrong / n)} wrong", tuple(details))


def weakest(predicted: Predicted) -> Iterator[str]:
    """The group of sentences of which it is surest that the winner is bad at them: whose interval ends lowest."""
    held = [
        (row["high"], title, str(row[title]), row)
        for title, table in predicted.groups.items()
        for row in table[(table["n"] >= FEWEST_IN_GROUP) & table["high"].notna()].to_dict("records")
    ]
    if len(held) > 1:
        _, title, name, row = min(held, key=lambda group: (group[0], group[1], group[2]))
        yield (
            f"Weakest of {len(held)} groups: {group_title(title)} {name}, MCC {show_metric(row['mcc'])} "
            f"(95% interval {show_range(row['low'], row['high'])}, n = {show_count(row['n'])})."
        )


def group_title(column: str) -> str:
    """`words` is the length of a sentence."""
    return {"words": "length in words"}.get(column, column)


def run_link(run: "pd.Series[object]") -> Cell:
    """The run's name, leading to its page if it has one."""
    return Link(str(run["name"]), str(run["url"] or ""))
