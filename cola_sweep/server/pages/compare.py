"""Several runs beside each other: curves over each other, what they were set to, what came out, where they disagree.

`/{entity}/{project}/compare?run=a&run=b`; `runs=a,b` is understood too. Without two runs it asks which.
"""

import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request

from cola_sweep.server import comparison, curve_axes, media, table_files, tables
from cola_sweep.server.comparison import Row
from cola_sweep.server.context import Context
from cola_sweep.server.curves import CLOCKS
from cola_sweep.server.pages import keys
from cola_sweep.server.pages.frame import Page
from cola_sweep.server.pages.places import Link, in_project, project_of, trail
from cola_sweep.server.pages.run import numeric_keys, own_summary, searched, version
from cola_sweep.server.store import Store, runs
from cola_sweep.server.store.projects import Project
from cola_sweep.server.store.runs import Run
from cola_sweep.server.tables import BadTable
from cola_sweep.server.trials import metric_value, plain

MOST = 8  # runs, as many as there are colours
CHOICE = 200  # runs to choose from, the newest
_FIRST = "predictions"  # where a trial of this project logs its predictions


def page(request: Request) -> Page:
    """The runs that the address names, or a choice of them."""
    context, project = request.state.context, project_of(request)
    names = _names(request)
    found = runs.select(context.store, project.id, {"name": names}) if names else []
    chosen = sorted(found, key=lambda run: names.index(run.name))
    if missing := [name for name in names if name not in {run.name for run in chosen}]:
        raise HTTPException(404, f"{project.entity}/{project.name} has no run {', '.join(missing)}")
    address = in_project(project, "compare")
    values: dict[str, Any] = {
        "address": address,
        "chosen": [_head(context.store, project, address, chosen, i) for i in range(len(chosen))],
    }
    if not 2 <= len(chosen) <= MOST or "choose" in request.query_params:
        wrong = f"At most {MOST} runs can be told apart; you chose {len(chosen)}." if len(chosen) > MOST else ""
        return Page("choose.html.j2", "Compare runs", trail(project), values | _choice(request, project, names, wrong))
    configs = [_config(run) for run in chosen]
    numbers = sorted(set().union(*(numeric_keys(run) for run in chosen)))
    kept = json.loads(chosen[0].config_json)
    metric = searched(context.store, chosen[0])[0].name
    summary = comparison.beside([own_summary(json.loads(run.summary_json)) for run in chosen])
    values |= {
        "groups": keys.groups(numbers, metric),
        "axes": curve_axes.axes(kept, numbers)[len(CLOCKS) :],
        "own_axes": curve_axes.own_axes(kept, numbers),
        "config": _texts(comparison.beside(configs)),
        "summary": _texts(sorted(summary, key=lambda row: keys.place(row.key, metric))),
        "sentences": _sentences(request, chosen),
    }
    return Page("compare.html.j2", f"{len(chosen)} runs", trail(project), values)


def _names(request: Request) -> list[str]:
    asked = request.query_params
    given = [*asked.getlist("run"), *(name for part in asked.getlist("runs") for name in part.split(","))]
    return list(dict.fromkeys(name for name in given if name))


def _head(store: Store, project: Project, address: str, chosen: Sequence[Run], at: int) -> dict[str, Any]:
    run = chosen[at]
    others = [("run", other.name) for other in chosen if other is not run]
    base = in_project(project, "runs", run.name)
    return {
        "link": Link(run.display_name, base),
        "name": run.name,
        "state": run.state,
        "colour": at,
        "data": f"/data{base}",
        "version": version(store, run),
        "without": f"{address}?{urlencode(others)}",
    }


def _choice(request: Request, project: Project, names: list[str], wrong: str) -> dict[str, Any]:
    """The newest runs, of one sweep if the address names it, each with its value of what its sweep is after."""
    store, sweep = request.state.store, request.query_params.get("sweep", "")
    only = {"sweep": [sweep]} if sweep else None
    newest = runs.select(store, project.id, only, newest_first=True, limit=CHOICE)
    of_sweeps = {run.sweep_id: run for run in newest}
    metrics = {sweep_id: searched(store, run)[0] for sweep_id, run in of_sweeps.items()}
    rows = []
    for run in newest:
        value = metric_value(run.summary_json, metrics[run.sweep_id])
        rows.append({
            "name": run.name,
            "link": Link(run.display_name, in_project(project, "runs", run.name)),
            "state": run.state,
            "metric": metrics[run.sweep_id].name,
            "value": "" if value is None else tables.text(value),
            "since": run.created_at,
            "checked": run.name in names,
        })  # fmt: skip
    named = {row["metric"] for row in rows if row["value"]}
    count = runs.count(store, project.id, only)
    return {"runs": rows, "metrics": sorted(named), "count": count, "most": MOST, "wrong": wrong}


def _config(run: Run) -> dict[str, Any]:
    return {key: value for key, value in plain(json.loads(run.config_json)).items() if key != "_wandb"}


def _texts(rows: list[Row]) -> list[dict[str, Any]]:
    return [
        {"key": row.key, "differs": row.differs, "texts": [tables.text(value) for value in row.values]} for row in rows
    ]


def _sentences(request: Request, chosen: Sequence[Run]) -> dict[str, Any] | None:
    """A page of the sentences on which runs disagree; None where they logged no table of predictions in common."""
    key = _predictions_key(chosen)
    if key is None:
        return None
    try:
        logged = [_table(request.state.context, run, key) for run in chosen]
        found, common = comparison.disagreements(logged)
    except BadTable as error:
        return {"key": key, "wrong": str(error)}
    given = request.query_params.get("page", "1")
    pages = max(1, -(-len(found) // tables.PAGE_ROWS))
    number = min(max(int(given), 1), pages) if given.isdecimal() and len(given) < 10 else 1
    begin = (number - 1) * tables.PAGE_ROWS

    def to(other: int) -> str:
        asked = [("run", run.name) for run in chosen] + [("page", str(other))]
        return f"?{urlencode(asked)}#sentences" if 1 <= other <= pages else ""

    shown = found[begin : begin + tables.PAGE_ROWS]
    return {
        "key": key, "wrong": "", "rows": shown, "found": len(found), "common": common, "page": number, "pages": pages,
        "before": to(number - 1), "after": to(number + 1),
    }  # fmt: skip


def _predictions_key(chosen: Sequence[Run]) -> str | None:
    """The key of a table that every run logged, `predictions` above all; of others only one named like it."""
    of_runs: list[set[str]] = []
    for run in chosen:
        summary = json.loads(run.summary_json)
        of_runs.append({key for key, value in summary.items() if media.type_of(value) in media.TABLES})
    common = set.intersection(*of_runs)
    return _FIRST if _FIRST in common else next((key for key in sorted(common) if _FIRST in key), None)


def _table(context: Context, run: Run, key: str) -> tables.Table:
    return table_files.load(context, run, json.loads(run.summary_json)[key])
