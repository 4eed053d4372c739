"""A project's page: its sweeps and runs."""

from starlette.requests import Request

from cola_sweep.server.pages.frame import Page
from cola_sweep.server.pages.places import Link, href, in_project, project_of
from cola_sweep.server.store import runs, sweeps

MOST_ROWS = 50  # that are in the page itself


def page(request: Request) -> Page:
    """A project's sweeps and its newest runs."""
    store, project = request.state.store, project_of(request)
    of_sweeps = [
        {
            "link": Link(sweep.display_name or sweep.name, in_project(project, "sweeps", sweep.name)),
            "state": sweep.state,
            "method": sweep.method,
            "since": sweep.created_at,
        }
        for sweep in sweeps.of_project(store, project.id)
    ]
    newest = [
        {
            "link": Link(run.display_name, in_project(project, "runs", run.name)),
            "state": run.state,
            "since": run.created_at,
        }
        for run in runs.select(store, project.id, newest_first=True, limit=MOST_ROWS)
    ]
    values = {"sweeps": of_sweeps, "runs": newest, "count": runs.count(store, project.id)}
    return Page("project.html.j2", project.name, (Link(project.entity, href(project.entity)),), values)
