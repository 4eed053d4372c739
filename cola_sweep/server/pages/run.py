"""A run's page: facts, curves, charts, media, tables, console, files and artifacts; and the data of its curves.

The page itself reads no history: what is long comes by feeds, when it is scrolled to.
"""

import json
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from cola_sweep.server import curve_axes, history_keys, media
from cola_sweep.server.charts import logged
from cola_sweep.server.context import Context
from cola_sweep.server.curve_cache import CurveCache, Stream
from cola_sweep.server.curves import CLOCKS
from cola_sweep.server.pages import console
from cola_sweep.server.pages.frame import Feed, Page
from cola_sweep.server.pages.places import Link, href, in_project, project_of, run_of, trail
from cola_sweep.server.resolvers.files import path as file_path
from cola_sweep.server.store import artifacts, collections, files, memberships, runs
from cola_sweep.server.store.artifacts import Artifact
from cola_sweep.server.store.database import seconds
from cola_sweep.server.store.projects import Project
from cola_sweep.server.store.runs import ENDED, Run
from cola_sweep.server.trials import plain

MOST_FILES = 1000
_TEXT = 2000  # letters of a value that the page itself shows


def page(request: Request) -> Page:
    """All there is of a run."""
    context, project = request.state.context, project_of(request)
    run = run_of(request, project)
    way = trail(project)
    if run.sweep_name:
        way += (Link(f"sweep {run.sweep_name}", in_project(project, "sweeps", run.sweep_name)),)
    config, summary = json.loads(run.config_json), json.loads(run.summary_json)
    kinds = _kinds(run, summary)
    numbers = numeric_keys(run)
    charts = logged.charts(config)
    of_charts = {chart.table for chart in charts}
    values = {
        "run": run,
        "live": run.state not in ENDED,
        "base": in_project(project, "runs", run.name),
        "compare": f"{in_project(project, 'compare')}?{urlencode({'run': run.name})}",
        "facts": _facts(run),
        "groups": groups(numbers),
        "axes": curve_axes.axes(config, numbers)[len(CLOCKS) :],
        "own_axes": curve_axes.own_axes(config, numbers),
        "charts": charts,
        "media": sorted(key for key, found in kinds.items() if found & media.TYPES),
        "tables": sorted(key for key, found in kinds.items() if found & media.TABLES and key not in of_charts),
        "summary": _pairs(
            {key: value for key, value in summary.items() if key[:1] != "_" and not media.type_of(value)}
        ),
        "config": _pairs({key: value for key, value in plain(config).items() if key != "_wandb"}),
        "system": groups(_system_keys(run)),
        "console": console.tail(context.store, run),
        "files": _files(context, run),
        "artifacts": _artifacts(context, project, run),
    }
    return Page("run.html.j2", run.display_name, way, values)


def live(request: Request) -> Feed:
    """Whether the run goes on, and a version that changes with anything that its page shows."""
    run = run_of(request, project_of(request))
    version = f"{run.updated_at} {run.state} {files.count(request.state.store, run.id)}"
    return Feed(version, lambda: {"live": run.state not in ENDED, "version": version})


def curves(request: Request) -> Feed:
    """The points of the keys asked for: `[step, value, one for each of axes]`, by key."""
    run, asked = run_of(request, project_of(request)), request.query_params
    stream: Stream = "events" if asked.get("stream") == "events" else "history"
    keys = list(dict.fromkeys(asked.getlist("key")))
    numbers = numeric_keys(run)
    axes = curve_axes.axes(json.loads(run.config_json), numbers) if stream == "history" else CLOCKS
    cache: CurveCache = request.app.state.curves

    def make() -> dict[str, Any]:
        points = cache.draw(request.state.store, run.id, stream, keys, axes)
        return {"live": run.state not in ENDED, "axes": ["_step", *axes], "points": points}

    return Feed(f"{run.updated_at} {run.state} {stream} {axes} {keys}", make)


def numeric_keys(run: Run) -> list[str]:
    """The keys under which a run logged numbers, without the client's own."""
    keys = json.loads(run.keys_json)
    return [key for key, entry in keys.items() if "number" in entry["types"] and not key.startswith("_")]


def _kinds(run: Run, summary: dict[str, Any]) -> dict[str, set[str]]:
    """The types of value that each key of history has, or of the summary where history has none."""
    kinds = {key: set(entry["types"]) for key, entry in json.loads(run.keys_json).items()}
    for key, value in history_keys.flat(summary):
        if key not in kinds and media.type_of(value):
            kinds[key] = {media.type_of(value)}
    return kinds


def groups(keys: list[str]) -> list[tuple[str, list[str]]]:
    """Keys by what stands before their first slash or dot; those without one go first."""
    found: dict[str, list[str]] = {}
    for key in sorted(keys):
        mark = "/" if "/" in key else "."
        found.setdefault(key.split(mark, 1)[0] if mark in key else "", []).append(key)
    return sorted(found.items())


def _system_keys(run: Run) -> list[str]:
    newest = json.loads(run.system_json)
    return [key for key, value in newest.items() if isinstance(value, int | float) and not key.startswith("_")]


def _facts(run: Run) -> list[tuple[str, str]]:
    """What is known of a run in a word or two, without what is not."""
    lasted = run.finished_at or run.heartbeat_at
    found = {
        "Lasted": _duration(seconds(lasted) - seconds(run.created_at)) if lasted else "",
        "Steps": f"{run.last_step + 1:,}" if run.last_step is not None else "",
        "Group": run.group_name,
        "Job type": run.job_type,
        "Tags": ", ".join(json.loads(run.tags_json)),
        "User": run.user_name,
        "Host": run.host,
        "Program": run.program,
        "Commit": run.commit_hash,
        "Exit code": "" if run.exitcode is None else str(run.exitcode),
        "Id": run.name,
    }
    return [(name, text) for name, text in found.items() if text]


def _duration(count: float) -> str:
    """Seconds as people say them.

    >>> _duration(59.6), _duration(3700)
    ('1 min', '1 h 2 min')
    """
    count = round(max(count, 0))
    hours, minutes, left = count // 3600, count // 60 % 60, count % 60
    if hours:
        return f"{hours} h {minutes} min"
    return (
        " ".join(part for part in (f"{minutes} min" if minutes else "", f"{left} s" if left else "") if part) or "0 s"
    )


def _pairs(values: dict[str, Any]) -> list[tuple[str, list[tuple[str, str]]]]:
    """(key, parts) of each value: a part is (name, text); a plain value has one without a name."""
    found = []
    for key, value in values.items():
        whole = isinstance(value, dict) and value and not any(isinstance(part, dict | list) for part in value.values())
        parts = list(value.items()) if whole else [("", value)]
        found.append((key, [(name, _text(part)) for name, part in parts]))
    return sorted(found)


def _text(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= _TEXT else f"{text[:_TEXT]}… ({len(text):,} letters)"


def _files(context: Context, run: Run) -> list[dict[str, Any]]:
    listed = []
    for file in files.of_run(context.store, run.id, limit=MOST_FILES):
        address = context.urls.signed("GET", file_path(file.entity, file.project, file.run, file.name))
        listed.append({"link": Link(file.name, address), "size": file.size})
    return listed


def _artifacts(context: Context, project: Project, run: Run) -> list[dict[str, Any]]:
    """The artifacts that a run used and logged, each with the runs at its other end."""
    made, used = (artifacts.of_run(context.store, run.id, role) for role in ("output", "input"))
    makers = [artifact.run_id for artifact in used if artifact.run_id is not None]
    users = [artifacts.users(context.store, artifact.id) for artifact in made]
    others = runs.by_ids(context.store, {*makers, *(number for some in users for number in some)})
    rows = [
        _artifact(context, artifact, "used", "made by", [others[n] for n in [artifact.run_id] if n in others])
        for artifact in used
    ]
    for artifact, by in zip(made, users, strict=True):
        rows.append(_artifact(context, artifact, "logged", "used by", [others[n] for n in by if n in others]))
    return rows


def _artifact(context: Context, artifact: Artifact, role: str, relation: str, others: list[Run]) -> dict[str, Any]:
    collection = collections.by_id(context.store, artifact.sequence_id)
    kind = collections.type_by_id(context.store, collection.type_id).name if collection else ""
    members = memberships.of_artifact(context.store, artifact.id)
    aliases = [alias.alias for member in members for alias in memberships.aliases_of_member(context.store, member.id)]
    return {
        "role": role,
        "name": f"{collection.name if collection else ''}:v{artifact.version_index}",
        "kind": kind,
        "aliases": ", ".join(dict.fromkeys(aliases)),
        "size": artifact.size,
        "files": artifact.file_count,
        "relation": relation,
        "runs": [
            Link(other.display_name, href(other.entity, other.project_name, "runs", other.name)) for other in others
        ],
    }
