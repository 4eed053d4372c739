"""A sweep's page."""

from starlette.requests import Request

from cola_sweep.server.pages.frame import Page
from cola_sweep.server.pages.places import Link, in_project, project_of, sweep_of, trail
from cola_sweep.server.store import runs

MOST_ROWS = 50


def page(request: Request) -> Page:
    """A sweep's state, runs and configuration."""
    project = project_of(request)
    sweep = sweep_of(request, project)
    members = [
        {
            "link": Link(run.display_name, in_project(project, "runs", run.name)),
            "state": run.state,
            "since": run.created_at,
        }
        for run in runs.of_sweep(request.state.store, sweep.id)[::-1][:MOST_ROWS]
    ]
    values = {"sweep": sweep, "runs": members}
    return Page("sweep.html.j2", sweep.display_name or sweep.name, trail(project), values)
