"""`cola-sweep report`: which configuration won a sweep, how sure that is, what it cost, where it fails.

    cola-sweep report entity/project/id --out reports

Reads through `results`, decides in `findings`, draws in `figures`; here all is put into the templates
and written. Those modules are heavy: they are imported when a report is made, not with this one.
"""

import argparse
import math
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cola_sweep.errors import UserError

if TYPE_CHECKING:
    from cola_sweep.figures import Figure
    from cola_sweep.findings import Findings
    from cola_sweep.results import SweepResults

LEADERBOARD_ROWS = 50  # the rest are in runs.csv
LEFT_OUT_ROWS = 20
NOTHING = "–"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `cola-sweep report`."""
    parser.add_argument(
        "sweep", metavar="SWEEP", nargs="?", help="entity/project/id, project/id or id (default: newest)"
    )
    parser.add_argument("--out", metavar="FOLDER", default="reports", help="folder of reports (default: %(default)s)")


def main(args: argparse.Namespace) -> int:
    """Pull the sweep, write its report, print where it is and the best three runs.

    Raises:
        UserError: the server, the sweep or the folder cannot be used.
    """
    from cola_sweep.findings import find
    from cola_sweep.results import pull

    results = pull(args.sweep or None)
    index = write(results, Path(args.out))
    findings = find(results)
    for _, run in findings.ranked.head(3).iterrows():
        settings = [f"{parameter.name}={show_value(run[parameter.column])}" for parameter in findings.parameters]
        print(
            f"{run['rank']}. {findings.results.metric} {show_metric(run['best'])}  {' '.join(settings)}  {run['name']}"
        )
    if findings.ranked.empty:
        print("no run can be ranked yet")
    print(index)
    return 0


def write(results: "SweepResults", folder: Path) -> Path:
    """Write `folder/<sweep id>/` (index.html, report.md, figures, CSV) and return the path of index.html.

    The files are made aside and take the place of an older report only when all are there. Equal results
    give equal bytes.

    Raises:
        UserError: the folder cannot be written.
    """
    from cola_sweep import figures
    from cola_sweep.findings import find

    findings = find(results)
    files = _files(findings, figures.draw(findings))
    target = folder / re.sub(r"[^A-Za-z0-9_-]+", "-", results.id)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as scratch:
            new, old = Path(scratch, "new"), Path(scratch, "old")
            new.mkdir()
            for name, text in files.items():
                (new / name).write_text(text, encoding="utf-8", newline="")
            if target.exists():
                target.rename(old)
            new.rename(target)
    except OSError as error:
        raise UserError(
            "--out", got=str(folder), rule=f"cannot be written ({error.strerror})", fix="name another folder"
        ) from error
    return target / "index.html"


def _files(findings: "Findings", figures: "list[Figure]") -> dict[str, str]:
    from cola_sweep.figures import standalone

    context = _context(findings, figures)
    templates = _templates()
    files = {f"{figure.name}.svg": standalone(figure) for figure in figures}
    files["report.md"] = templates.get_template("report.md.j2").render(context)
    files["runs.csv"] = findings.board.to_csv(index=False, lineterminator="\n")
    winner = findings.winner
    if winner is not None and (table := findings.results.predictions.get(winner["id"])) is not None:
        files["predictions.csv"] = table.to_csv(index=False, lineterminator="\n")
    files["index.html"] = templates.get_template("index.html.j2").render(context)
    return files


def _context(findings: "Findings", figures: "list[Figure]") -> dict[str, Any]:
    """What the templates name."""
    from cola_sweep.findings import costs, provenance
    from cola_sweep.stats import CLASSES

    results, predicted = findings.results, findings.predicted
    ranked, left_out = findings.ranked.to_dict("records"), findings.left_out.to_dict("records")
    winner = ranked[0] if ranked else None
    splits = [("in domain", "mcc_in"), ("out of domain", "mcc_out")]
    settings = findings.settings
    names = list(settings.columns[:-3])
    rows = [{"key": row[:-3], "mean": row[-3], "sd": row[-2], "n": row[-1]} for row in settings.itertuples(index=False)]
    worst = (
        predicted.worst.reindex(columns=["sentence", "label", "predicted", "probability", "loss"])
        if predicted
        else None
    )
    return {
        "results": results,
        "metric": results.metric,
        "method": str(results.config.get("method", "unknown")),
        "board": findings.board,
        "ranked": ranked,
        "left_out": left_out,
        "reasons": list(findings.left_out["left_out"].value_counts(sort=False).items()),
        "winner": winner,
        "parameters": findings.parameters,
        "settings_of_winner": [(p.name, show_value(winner[p.column])) for p in findings.parameters] if winner else [],
        "interval": _interval(findings),
        "verdict": verdict(findings),
        "splits": [split for split in splits if findings.ranked[split[1]].notna().any()],
        "repeats": {"names": [name.removeprefix("config.") for name in names], "rows": rows}
        if names and (settings["n"] > 1).any()
        else None,
        "predicted": predicted,
        "worst": worst.to_dict("records") if worst is not None else [],
        "classes": CLASSES,
        "costs": costs(findings.board),
        "provenance": [("sweep", results.path), *provenance(results.runs)],
        "warnings": findings.warnings,
        "search_figures": [figure for figure in figures if figure.name != "confusion-matrix"],
        "winner_figures": [figure for figure in figures if figure.name == "confusion-matrix"],
        "rows": LEADERBOARD_ROWS,
        "left_out_rows": LEFT_OUT_ROWS,
    }


def _interval(findings: "Findings") -> str:
    if not findings.predicted:
        return "no interval: the run's predictions are not at hand"
    interval = findings.predicted.interval
    what = "" if findings.results.metric == "valid/mcc" else f"MCC {interval.value:.3f}, "
    return f"{what}95% interval {interval.low:.3f} to {interval.high:.3f}, over {interval.n:,} sentences"


def verdict(findings: "Findings") -> dict[str, str]:
    """Did the winner really win: a headline and the numbers behind it."""
    from cola_sweep.stats import FEWEST_DISCORDANT

    ranked, comparison = findings.ranked, findings.comparison
    if len(ranked) < 2:
        return {"headline": "Nothing to compare with." if len(ranked) else "No winner yet.", "detail": ""}
    second = ranked.iloc[1]["name"]
    if comparison is None:
        detail = f"The predictions of the winner and of {second} cannot be paired, so their difference was not tested."
        return {"headline": "Not tested.", "detail": detail}
    headlines = {
        "first": f"Better than the runner-up, {second}.",
        "tie": f"A tie with the runner-up, {second}.",
        "second": f"By MCC the runner-up, {second}, is better.",
    }
    gap = comparison.difference
    few = comparison.only_first + comparison.only_second < FEWEST_DISCORDANT
    too_few = ", too few to tell the two apart" if few else ""
    detail = (
        f"On the same {gap.n:,} sentences the MCC differs by {gap.value:+.3f} (95% interval {gap.low:+.3f} to "
        f"{gap.high:+.3f}). Only the winner is right on {comparison.only_first}, only the runner-up on "
        f"{comparison.only_second}{too_few} (McNemar p = {comparison.p_value:.2g}). The sentences that chose the "
        f"winner also measure it, so as the best of {len(ranked)} it looks somewhat too good."
    )
    return {"headline": headlines[comparison.verdict], "detail": detail}


def _templates() -> Any:
    import jinja2
    from markupsafe import Markup

    from cola_sweep.figures import inline

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("cola_sweep"),
        autoescape=lambda name: name is not None and name.endswith(".html.j2"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "metric": show_metric,
        "value": show_value,
        "count": "{:,}".format,
        "share": "{:.0%}".format,
        "duration": show_duration,
        "amount": show_amount,
        "md": escape_markdown,
        "inline": lambda figure: Markup(inline(figure)),
    }
    environment.tests["web"] = lambda url: str(url).startswith(("https://", "http://"))
    return environment


def _missing(value: Any) -> bool:
    return value is None or value != value or str(value) == "<NA>"


def show_metric(value: float | None) -> str:
    """Three decimals: `0.312`."""
    return NOTHING if _missing(value) else f"{value:.3f}"


def show_value(value: Any) -> str:
    """A setting: three significant digits (`5.35e-5` below 0.001), whole numbers whole, text as it is."""
    if _missing(value):
        return NOTHING
    if isinstance(value, bool | str) or not hasattr(value, "__float__"):
        return str(value)
    number = float(value)
    if 0 < abs(number) < 1e-3:
        digits, _, exponent = f"{number:.2e}".partition("e")
        return f"{digits.rstrip('0').rstrip('.')}e{int(exponent)}"
    return str(int(number)) if number.is_integer() and abs(number) < 1e15 else f"{number:.3g}"


def show_duration(seconds: float | None) -> str:
    """`8.4 s`, `83 s`, `12 min`, `3.2 h`."""
    if _missing(seconds) or seconds is None or not math.isfinite(seconds):
        return NOTHING
    if seconds < 600:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.1f} h"


def show_amount(value: float, unit: str) -> str:
    """A cost with its unit."""
    if _missing(value):
        return NOTHING
    return show_duration(value) if unit == "s" else f"{value:,.0f} {unit}" if value >= 10 else f"{value:.3g} {unit}"


def escape_markdown(text: Any) -> str:
    """Any text as one line of plain Markdown, safe in a table cell."""
    plain = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"([\\`*_{}\[\]|#~$!])", r"\\\1", plain)
