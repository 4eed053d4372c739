"""`cola-sweep report`: which configuration won a sweep, how sure that is, what it cost, where it fails.

    cola-sweep report entity/project/id --out reports

Reads through `results`, decides in `findings`, draws in `figures`, words it in `reporting`; here the files are
written. Those modules are heavy: they are imported when a report is made, not with this one.
"""

import argparse
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from cola_sweep.errors import UserError

if TYPE_CHECKING:
    from cola_sweep.findings import Findings


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

    findings = find(pull(args.sweep or None))
    index = write(findings, Path(args.out))
    print("\n".join([*best_three(findings), str(index)]))
    return 0


def best_three(findings: "Findings") -> list[str]:
    """A line each."""
    from cola_sweep.reporting.wording import show_metric, show_value

    lines = []
    for _, run in findings.ranked.head(3).iterrows():
        settings = [f"{parameter.name}={show_value(run[parameter.column])}" for parameter in findings.parameters]
        best = f"{findings.results.metric} {show_metric(run['best'])}"
        lines.append(f"{run['rank']}. {best}  {' '.join(settings)}  {run['name']}")
    return lines or ["no run can be ranked yet"]


def write(findings: "Findings", folder: Path) -> Path:
    """Write `folder/<sweep id>/` (index.html, report.md, figures, CSV) and return the path of index.html.

    Equal findings give equal bytes.

    Raises:
        UserError: the folder cannot be written.
    """
    from cola_sweep import figures
    from cola_sweep.reporting import render, sections, tables

    gallery = figures.draw(findings)
    report = sections.report(findings, gallery)
    files = {f"{figure.name}.svg": figures.standalone(figure) for figure in gallery.figures}
    files |= {"report.md": render.markdown(report), "index.html": render.html(report)}
    files |= {f"{name}.csv": table.to_csv(index=False, lineterminator="\n") for name, table in tables.of(findings)}
    return replace_folder(folder, re.sub(r"[^A-Za-z0-9_-]+", "-", findings.results.id), files) / "index.html"


def replace_folder(folder: Path, name: str, files: dict[str, str]) -> Path:
    """Write `files` aside, and put them in the place of `folder/name` only when all are there.

    Raises:
        UserError: the folder cannot be written.
    """
    target = folder / name
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".new-") as scratch:
            new, old = Path(scratch, "new"), Path(scratch, "old")
            new.mkdir()
            for file, text in files.items():
                (new / file).write_text(text, encoding="utf-8", newline="")
            if target.exists():
                target.rename(old)
            new.rename(target)
    except OSError as error:
        raise UserError(
            "--out", got=str(folder), rule=f"cannot be written ({error.strerror})", fix="name another folder"
        ) from error
    return target
