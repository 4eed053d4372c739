"""`cola-sweep report`: which configuration won a sweep, how sure that is, what it cost, where it fails.

    cola-sweep report entity/project/id --out reports

Pulls through `snapshot`, makes frames in `results`, decides in `findings`, draws in `figures`, words it in
`reporting`; here the files are written. Those modules are heavy: they are imported when a report is made, not
with this one, and not when nothing has changed since it was made. Imports `records`.
"""

import argparse
import functools
import re
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cola_sweep import records
from cola_sweep.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from cola_sweep.findings import Findings
    from cola_sweep.snapshot import Snapshot


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The flags of `cola-sweep report`."""
    parser.add_argument(
        "sweeps", metavar="SWEEP", nargs="*",
        help="entity/project/id, project/id or id (default: newest); two are also compared",
    )  # fmt: skip
    parser.add_argument("--out", metavar="FOLDER", default="reports", help="folder of reports (default: %(default)s)")
    parser.add_argument(
        "--annotations", metavar="PATH",
        help="major_features.tsv of CoLA, or its folder (default: looked for beside the data)",
    )  # fmt: skip
    parser.add_argument(
        "--blimp", metavar="FOLDER", help="also probe the winner's model with the minimal pairs of BLiMP in FOLDER"
    )
    parser.add_argument("--pairs", type=int, default=100, help="of each BLiMP paradigm (default: %(default)s)")
    parser.add_argument(
        "--gate", action="store_true", help="end with 1 unless the (first) sweep's winner beats the project's champion"
    )
    parser.add_argument(
        "--fresh",
        action="store_true",
        help="read every run anew: what was edited by hand after a run ended is seen too",
    )
    parser.add_argument("--publish", action="store_true", help="also write it as a W&B Report (extra: publish)")


def main(args: argparse.Namespace) -> int:
    """Pull the sweep, write its report, print the best three runs and where it is; the same for two, and compare them.

    Returns 0, or with `--gate` what `champion.gate` says.

    Of a report that is there, and of which nothing has changed, all is as it was but the time it takes.

    Raises:
        UserError: the server, a sweep or the folder cannot be used.
    """
    from cola_sweep import kept, snapshot
    from cola_sweep.connection import connect

    if len(args.sweeps) > 2:
        raise UserError("SWEEP", got=" ".join(args.sweeps), rule="one or two can be reported", fix="name fewer")
    if args.pairs < 1:
        raise UserError("--pairs", got=args.pairs, rule="must be at least 1", fix="write --pairs 100")
    api, cache, folder = connect(), kept.default_folder(), Path(args.out)
    taken = [snapshot.take(api, path, kept_in=cache, fresh=args.fresh) for path in args.sweeps or [None]]
    made_of = [inputs(each, args.annotations) + blimp_inputs(args.blimp, args.pairs) for each in taken]
    found = functools.cache(lambda place: findings_of(taken[place], args.annotations))
    for places in [*((place,) for place in range(len(taken))), *[(0, 1)] * (len(taken) == 2)]:
        target = folder / "-against-".join(folder_name(taken[place].id) for place in places)
        key = " ".join(made_of[place] for place in places)
        said = kept.recall(cache, target, key)
        if said is None:
            alone = args.blimp and len(places) == 1
            probed = probe(api, taken[places[0]], args.blimp, args.pairs) if alone else None
            said = _make([found(place) for place in places], folder, probed)
            kept.remember(cache, target, key, said)
        print("\n".join([*said, str(target / "index.html")]))
    if args.publish:
        from cola_sweep.publish import publish

        print("\n".join(publish(api, each, folder / folder_name(each.id)) for each in taken))
    if not args.gate:
        return 0
    from cola_sweep.champion import gate

    code, line = gate(api, taken[0], found(0), cache)
    print(line)
    return code


def findings_of(taken: "Snapshot", annotations: str | None = None) -> "Findings":
    """What a snapshot says, with the annotated sentences that `annotations` names or that lie beside the data."""
    from cola_sweep.findings import find
    from cola_sweep.results import of

    return find(of(taken), annotations=_annotations(taken, annotations))


def inputs(taken: "Snapshot", annotations: str | None = None) -> str:
    """What the report of a snapshot is made of, as a key: the snapshot and the annotated sentences."""
    file = _annotations(taken, annotations)
    return f"{taken.fingerprint} {_digest('--annotations', file) if file else 'none'}"


def blimp_inputs(blimp: str | None, pairs: int) -> str:
    """The same of a probe: the pairs, and how many."""
    if not blimp:
        return ""
    files = sorted(Path(blimp).expanduser().glob("*.tsv*"))
    return " ".join([f" {pairs} pairs of", *(_digest("--blimp", file) for file in files)])


def _annotations(taken: "Snapshot", option: str | None) -> Path | None:
    from cola_sweep.analysis.phenomena import find_annotations

    winner = next(iter(records.best_first(taken.records, taken.metric, taken.goal)), None)
    return find_annotations(option, str(winner.config.get("data")) if winner else None)


def _digest(flag: str, file: Path) -> str:
    from cola_sweep import kept

    try:
        return kept.digest(file.read_bytes())
    except OSError as error:
        rule = f"cannot be read ({error.strerror})"
        raise UserError(flag, got=str(file), rule=rule, fix="make it readable, or name another") from error


def probe(api: Any, taken: "Snapshot", blimp: str, pairs: int) -> "pd.DataFrame":
    """The BLiMP probe of the winner's model artifact, by paradigm.

    Raises:
        UserError: no run can be ranked, the best one has no model, or the pairs cannot be read.
    """
    from cola_sweep import champion
    from cola_sweep.analysis import blimp as probing

    winner = next(iter(records.best_first(taken.records, taken.metric, taken.goal)), None)
    model = champion.model_of(taken, [winner.id]) if winner else None
    if model is None:
        rule = "its winner has no model artifact to probe" if winner else "no run can be ranked, so there is no model"
        raise UserError("--blimp", got=taken.path, rule=rule, fix="leave --blimp out")
    with tempfile.TemporaryDirectory() as folder:
        path = f"{taken.path.rpartition('/')[0]}/{model}"
        return probing.probe(champion.download_model(api, path, Path(folder)), Path(blimp).expanduser(), pairs=pairs)


def _make(found: "Sequence[Findings]", folder: Path, probed: "pd.DataFrame | None") -> list[str]:
    """Write the report of one sweep, or of two compared; returns what there is to say of it."""
    if len(found) == 2:
        write_comparison(found, folder)
        return []
    write(found[0], folder, probed)
    return best_three(found[0])


def best_three(findings: "Findings") -> list[str]:
    """A line each."""
    from cola_sweep.wording import show_metric, show_value

    lines = []
    for _, run in findings.ranked.head(3).iterrows():
        settings = [f"{parameter.name}={show_value(run[parameter.column])}" for parameter in findings.parameters]
        best = f"{findings.results.metric} {show_metric(run['best'])}"
        lines.append(f"{run['rank']}. {best}  {' '.join(settings)}  {run['name']}")
    return lines or ["no run can be ranked yet"]


def write(findings: "Findings", folder: Path, probed: "pd.DataFrame | None" = None) -> Path:
    """Write `folder/<sweep id>/` (index.html, report.md, figures, CSV) and return the path of index.html.

    Equal findings give equal bytes.

    Raises:
        UserError: the folder cannot be written.
    """
    from cola_sweep import figures
    from cola_sweep.reporting import render, sections, tables

    gallery = figures.draw(findings)
    files = render.files(sections.report(findings, gallery, probed), gallery)
    files |= {
        f"{name}.csv": table.to_csv(index=False, lineterminator="\n") for name, table in tables.of(findings, probed)
    }
    return replace_folder(folder, folder_name(findings.results.id), files) / "index.html"


def write_comparison(pair: "Sequence[Findings]", folder: Path) -> Path:
    """Write `folder/<sweep id>-against-<sweep id>/`, beside the sweeps' own reports, and return its index.html.

    Raises:
        UserError: the two are one sweep, or the folder cannot be written.
    """
    from cola_sweep.reporting import render, versus

    first, second = (folder_name(findings.results.id) for findings in pair)
    if first == second:
        raise UserError("SWEEP", got=f"{first} twice", rule="two sweeps are compared", fix="name another, or only one")
    gallery = versus.draw(pair)
    report = versus.report(pair, gallery, [f"../{first}/index.html", f"../{second}/index.html"])
    return replace_folder(folder, f"{first}-against-{second}", render.files(report, gallery)) / "index.html"


def folder_name(sweep_id: str) -> str:
    """A sweep's id as the name of a folder, whatever it holds."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", sweep_id)


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
