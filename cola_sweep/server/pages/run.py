"""A run's page: its state, configuration, summary and files."""

import json
from typing import Any

from starlette.requests import Request

from cola_sweep.server.context import Context
from cola_sweep.server.pages.frame import Page
from cola_sweep.server.pages.places import Link, in_project, project_of, run_of, trail
from cola_sweep.server.resolvers.files import path as file_path
from cola_sweep.server.store import files
from cola_sweep.server.store.runs import Run
from cola_sweep.server.trials import plain

MOST_FILES = 1000


def page(request: Request) -> Page:
    """A run's state, configuration, summary and files."""
    context, project = request.state.context, project_of(request)
    run = run_of(request, project)
    way = trail(project)
    if run.sweep_name:
        way += (Link(f"sweep {run.sweep_name}", in_project(project, "sweeps", run.sweep_name)),)
    values = {
        "run": run,
        "summary": _pairs(json.loads(run.summary_json)),
        "config": _pairs(_config(run)),
        "files": _files(context, run),
    }
    return Page("run.html.j2", run.display_name, way, values)


def _files(context: Context, run: Run) -> list[dict[str, Any]]:
    listed = []
    for file in files.of_run(context.store, run.id, limit=MOST_FILES):
        address = context.urls.signed("GET", file_path(file.entity, file.project, file.run, file.name))
        listed.append({"link": Link(file.name, address), "size": file.size})
    return listed


def _config(run: Run) -> dict[str, Any]:
    """The values of a run's config, without what the client keeps there for itself."""
    return {key: value for key, value in plain(json.loads(run.config_json)).items() if key != "_wandb"}


def _pairs(values: dict[str, Any]) -> list[tuple[str, str]]:
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return sorted(texts.items())
