"""A run's page: facts, curves, charts, media, tables, console, files and artifacts; and the data of its curves.

The page itself reads no history: what is long comes by feeds, when it is scrolled to.
"""

import json
from typing import Any
from urllib.parse import quote, urlencode

from starlette.requests import Request

from cola_sweep.server import curve_axes, history_keys, media
from cola_sweep.server.charts import logged
from cola_sweep.server.context import Context
from cola_sweep.server.curve_cache import CurveCache, Stream
from cola_sweep.server.curves import CLOCKS
from cola_sweep.server.pages import console, keys
from cola_sweep.server.pages.frame import Feed, Page
from cola_sweep.server.pages.logged import versions
from cola_sweep.server.pages.places import Link, href, in_project, project_of, run_of, trail
from cola_sweep.server.pages.trials import found, varied
from cola_sweep.server.paths import lookup
from cola_sweep.server.resolvers.files import path as file_path
from cola_sweep.server.store import Store, artifacts, collections, files, memberships, runs, sweeps
from cola_sweep.server.store.artifacts import Artifact
from cola_sweep.server.store.database import seconds
from cola_sweep.server.store.projects import Project
from cola_sweep.server.store.runs import ENDED, Run
from cola_sweep.server.tables import text
from cola_sweep.server.trials import metric_value, plain, spec_of
from cola_sweep.space import Metric

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
    metric, settings = searched(context.store, run)
    charts = logged.charts(config)
    of_charts = {chart.table for chart in charts}
    shown = sorted(key for key, found in kinds.items() if found & media.TYPES)
    in_tables = sorted(key for key, found in kinds.items() if found & media.TABLES and key not in of_charts)
    values = {
        "run": run,
        "version": version(context.store, run),
        "live": run.state not in ENDED,
        "base": in_project(project, "runs", run.name),
        "compare": f"{in_project(project, 'compare')}?{urlencode({'run': run.name})}",
        "headline": [*_best(run, summary, metric), *settings],
        "facts": _facts(run),
        "groups": keys.groups(numbers, metric.name),
        "axes": curve_axes.axes(config, numbers)[len(CLOCKS) :],
        "own_axes": curve_axes.own_axes(config, numbers),
        "charts": charts,
        "media": shown,
        "tables": in_tables,
        "versions": versions(context.store, run, [*of_charts, *shown, *in_tables]),
        "summary": sorted(_pairs(own_summary(summary)), key=lambda pair: keys.place(pair[0], metric.name)),
        "config": sorted(_pairs({key: value for key, value in plain(config).items() if key != "_wandb"}, exact=True)),
        "system": keys.groups(_system_keys(run)),
        "console": console.tail(context.store, run),
        "files": _files(context, run),
        "file_count": files.count(context.store, run.id),
        "artifacts": _artifacts(context, project, run),
    }
    return Page("run.html.j2", run.display_name, way, values)


def live(request: Request) -> Feed:
    """Whether the run goes on, and a version that changes with anything that its page shows."""
    run = run_of(request, project_of(request))
    now = version(request.state.store, run)
    return Feed(now, lambda: {"live": run.state not in ENDED, "version": now})


def version(store: Store, run: Run) -> str:
    """A text that changes with anything that a run's page shows."""
    return f"{run.updated_at} {run.state} {files.count(store, run.id)}"


def curves(request: Request) -> Feed:
    """The curves of the keys asked for, or what is new of them: see `curves.Part`.

    A key may have a number `since`, of the values that a page has as `version`. With `soon`, those of a long run may be
    `rough` at first, out of a part of its lines.
    """
    run, asked = run_of(request, project_of(request)), request.query_params
    stream: Stream = "events" if asked.get("stream") == "events" else "history"
    counts = dict.fromkeys(asked.getlist("key"), 0)
    for key, since in zip(asked.getlist("key"), asked.getlist("since"), strict=False):
        counts[key] = int(since) if since.isdecimal() and len(since) < 16 else 0
    numbers = numeric_keys(run)
    axes = curve_axes.axes(json.loads(run.config_json), numbers) if stream == "history" else CLOCKS
    cache: CurveCache = request.app.state.curves

    def make() -> dict[str, Any]:
        store, lines = request.state.store, run.events_lines if stream == "events" else run.history_lines
        some = cache.some(store, run.id, stream, counts, axes, lines) if "soon" in asked else None
        drawn = some or cache.draw(store, run.id, stream, counts, axes, asked.get("version", ""))
        return {
            "live": run.state not in ENDED, "rough": some is not None, "axes": ["_step", *axes],
            "version": drawn.version, "curves": {key: vars(part) for key, part in drawn.parts.items()},
        }  # fmt: skip

    return Feed(f"{run.updated_at} {run.state} {stream} {axes} {counts} {asked.get('version')}", make)


def numeric_keys(run: Run) -> list[str]:
    """The keys under which a run logged numbers, without the client's own."""
    entries = json.loads(run.keys_json)
    return [key for key, entry in entries.items() if "number" in entry["types"] and not key.startswith("_")]


def _kinds(run: Run, summary: dict[str, Any]) -> dict[str, set[str]]:
    """The types of value that each key of history has, or of the summary where history has none."""
    kinds = {key: set(entry["types"]) for key, entry in json.loads(run.keys_json).items()}
    for key, value in history_keys.flat(summary):
        if key not in kinds and media.type_of(value):
            kinds[key] = {media.type_of(value)}
    return kinds


def searched(store: Store, run: Run) -> tuple[Metric, list[tuple[str, str, str]]]:
    """What the run's sweep is after, and (name, text, more) of the settings that it varies, as the run has them."""
    sweep = sweeps.by_id(store, run.sweep_id) if run.sweep_id is not None else None
    spec = spec_of(sweep.config) if sweep else None
    if sweep is None or spec is None:
        return Metric(keys.OWN, "maximize"), []
    _, values = found(run.args_json or run.config_json, run.summary_json, sweep.config)
    settings = [(p.name, text(value), "") for p, value in zip(varied(spec), values, strict=True) if value is not None]
    return spec.metric or Metric(keys.OWN, "maximize"), settings


def own_summary(summary: dict[str, Any]) -> dict[str, Any]:
    """What of a summary is neither the client's own nor media."""
    return {key: value for key, value in summary.items() if key[:1] != "_" and not media.type_of(value)}


def _best(run: Run, summary: dict[str, Any], metric: Metric) -> list[tuple[str, str, str]]:
    """(name, text, more) of the metric at its best, and what it was last where that is something else."""
    best = metric_value(run.summary_json, metric)
    if best is None:
        return []
    whole = lookup(summary, metric.name)
    last = whole.get("last", best) if isinstance(whole, dict) else best
    return [(f"Best {metric.name}", text(best), f"last {text(last)}" if last != best else "")]


def _system_keys(run: Run) -> list[str]:
    newest = json.loads(run.system_json)
    return [key for key, value in newest.items() if isinstance(value, int | float) and not key.startswith("_")]


def _facts(run: Run) -> list[tuple[str, str]]:
    """What is known of a run in a word or two, without what is not."""
    lasted = run.finished_at or run.heartbeat_at
    facts = {
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
    return [(name, said) for name, said in facts.items() if said]


def _duration(count: float) -> str:
    """Seconds as people say them; `duration` of dom.js says the same.

    >>> _duration(59.6), _duration(3700)
    ('1 min 0 s', '1 h 2 min')
    """
    whole = round(max(count, 0))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    minutes = (whole + 30) // 60
    return f"{minutes // 60} h {minutes % 60} min"


def _pairs(values: dict[str, Any], *, exact: bool = False) -> list[tuple[str, list[tuple[str, str, str]]]]:
    """(key, parts) of each value: a part is (name, text, all its digits); a plain value has one without a name.

    Args:
        exact: show all digits of a number, not as many as say something.
    """
    pairs = []
    for key, value in values.items():
        # The client sends an object's members in no order.
        inner = list(history_keys.flat(value)) if isinstance(value, dict) else []
        inner.sort(key=lambda part: (part[0] == "last", part[0]))
        pairs.append((key, [_part(name, part, exact) for name, part in inner or [("", value)]]))
    return pairs


def _part(name: str, value: Any, exact: bool) -> tuple[str, str, str]:
    whole = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    shown = whole if exact else text(value)
    return name, _cut(shown), _cut(whole) if whole != shown else ""


def _cut(words: str) -> str:
    return words if len(words) <= _TEXT else f"{words[:_TEXT]}… ({len(words):,} letters)"


def _files(context: Context, run: Run) -> list[dict[str, Any]]:
    # Not signed, as those that clients are given: the cookie opens them, and the same files make the same page.
    return [
        {"link": Link(file.name, quote(file_path(file.entity, file.project, file.run, file.name))), "size": file.size}
        for file in files.of_run(context.store, run.id, limit=MOST_FILES)
    ]


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
