"""What a run logged beside numbers: its charts with their rows, its media by step, and the bytes of these.

What was logged is data. A file of it that a browser can show is served for that, but in a sandbox: it is no page of
this server, may reach for nothing, and only HTML may run a script, in an origin of its own.
"""

import asyncio
import hashlib
import json
import mimetypes
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from cola_sweep.server import media, table_files
from cola_sweep.server.blobs import BadName
from cola_sweep.server.charts import logged, specs
from cola_sweep.server.charts.specs import BadChart
from cola_sweep.server.context import Context
from cola_sweep.server.file_routes import INERT
from cola_sweep.server.pages.frame import Feed
from cola_sweep.server.pages.places import href, project_of, run_of
from cola_sweep.server.paths import MISSING, lookup
from cola_sweep.server.resolvers.charts import user_spec
from cola_sweep.server.store import Store, artifact_files, artifacts, files, streams
from cola_sweep.server.store.runs import ENDED, Run
from cola_sweep.server.tables import BadTable

MOST_STEPS = 200  # of a key, evenly chosen
_SHOWN = ("image/", "audio/", "video/")
# Scripts of a logged page run in an origin that is nobody's, and reach nothing.
_PAGE = {
    "content-security-policy": "sandbox allow-scripts; default-src 'none'; script-src 'unsafe-inline'; "
    "style-src 'unsafe-inline'; img-src data: blob:; media-src data: blob:; font-src data:; frame-ancestors 'self'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
}


def values_by_step(store: Store, run: Run, key: str) -> list[tuple[int | None, Any]]:
    """(step, value) of a key where it was logged, at most `MOST_STEPS`; what only the summary has is without a step."""
    rows = streams.history_rows(store, run.id, ["_step", key], samples=MOST_STEPS)
    if rows:
        return [(row["_step"], row[key]) for row in rows]
    value = lookup(json.loads(run.summary_json), key)
    return [] if value is MISSING else [(None, value)]


def versions(store: Store, run: Run, keys: Iterable[str]) -> dict[str, str]:
    """For each key a text that changes when more is logged under it, or more files and artifacts of the run arrive."""
    entries, summary = json.loads(run.keys_json), json.loads(run.summary_json)
    arrived = [files.count(store, run.id), len(artifacts.of_run(store, run.id, "output"))]
    said = {key: json.dumps([entries.get(key), lookup(summary, key), arrived], default=str) for key in keys}
    return {key: hashlib.sha256(text.encode()).hexdigest()[:16] for key, text in said.items()}


def media_of(request: Request) -> Feed:
    """A key's media: for each step the files to show; those that are on their way have no source."""
    run, key, store = run_of(request, project_of(request)), request.query_params.get("key", ""), request.state.store

    def make() -> dict[str, Any]:
        steps = []
        for step, value in values_by_step(store, run, key):
            items = [
                {
                    "kind": item.kind,
                    "caption": item.caption,
                    "source": shown_address(run, item.path) if files.get(store, run.id, item.path) else None,
                }
                for item in media.shown(value)
            ]
            steps.append({"step": step, "items": items, "bars": media.bars(value)})
        return {"live": run.state not in ENDED, "steps": steps}

    return Feed(f"{run.state} {versions(store, run, [key])[key]}", make)


def chart(request: Request) -> Feed:
    """A chart's spec with its rows at a step, the newest by default; or why it cannot be drawn."""
    run, asked, store = run_of(request, project_of(request)), request.query_params, request.state.store
    key, step = asked.get("key", ""), asked.get("step", "")
    found = next((c for c in logged.charts(json.loads(run.config_json)) if c.key == key), None)
    if found is None:
        raise HTTPException(404, f"run {run.name} has no chart {key!r}")
    spec = specs.presets().get(found.spec) or user_spec(request.state.context, found.spec)

    def make() -> dict[str, Any]:
        values = values_by_step(store, run, found.table)
        answer: dict[str, Any] = {"live": run.state not in ENDED, "steps": [at for at, _ in values]}
        try:
            return answer | {"spec": _drawn(request.state.context, run, found, spec, values, step)}
        except (BadChart, BadTable) as error:
            return answer | {"error": str(error)}

    return Feed(f"{run.state} {versions(store, run, [found.table])} {found} {spec} {step}", make)


def _drawn(
    context: Context, run: Run, chart: logged.Logged, spec: dict[str, Any] | None, values: list[Any], step: str
) -> dict[str, Any]:
    if spec is None:
        raise BadChart(f"this server has no chart {chart.spec!r}; wandb.Api().create_custom_chart(...) gives it one")
    if not values:
        raise BadTable("its table has not arrived yet")
    value = next((value for at, value in values if str(at) == step), values[-1][1])
    table = table_files.load(context, run, value)
    return specs.fill(spec, table.columns, table.rows, chart.fields, chart.strings)


async def run_file(request: Request) -> Response:
    """A run's file, as a page shows it."""
    return await asyncio.to_thread(_run_file, request)


def _run_file(request: Request) -> Response:
    run, name = run_of(request, project_of(request)), request.path_params["file"]
    try:
        path = request.state.blobs.run_file(run.id, name)
    except BadName as error:
        raise HTTPException(400, str(error)) from None
    return _bytes(path if files.get(request.state.store, run.id, name) else None, name)


async def artifact_file(request: Request) -> Response:
    """A file that an artifact of the project's entity holds, as a page shows it."""
    return await asyncio.to_thread(_artifact_file, request)


def _artifact_file(request: Request) -> Response:
    md5, project = request.path_params["md5"], project_of(request)
    known = artifact_files.in_entity(request.state.store, project.entity, md5)
    return _bytes(request.state.blobs.artifact_file(md5) if known else None, request.path_params["file"])


def shown_address(run: Run, name: str) -> str:
    """Where a run's file is shown."""
    return href("shown", run.entity, run.project_name, run.name, name)


def held_address(run: Run, md5: str, name: str) -> str:
    """Where an artifact's file is shown."""
    return href("held", run.entity, run.project_name, md5, name)


def _bytes(path: Path | None, name: str) -> Response:
    try:
        status = path.stat() if path else None
    except FileNotFoundError:
        status = None
    if path is None or status is None:
        raise HTTPException(404, f"there is no file {name!r} here yet")
    kind = mimetypes.guess_type(name)[0] or ""
    caching = {"cache-control": "private, no-cache"}
    if kind == "text/html":
        return FileResponse(path, media_type=kind, headers=_PAGE | caching, stat_result=status)
    if kind.startswith(_SHOWN):
        return FileResponse(path, media_type=kind, headers=INERT | caching, stat_result=status)
    return FileResponse(
        path, media_type="application/octet-stream", filename=Path(name).name, headers=INERT | caching,
        stat_result=status,
    )  # fmt: skip
