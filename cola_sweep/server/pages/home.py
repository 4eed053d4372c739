"""The home page and an entity's page: its projects."""

from starlette.exceptions import HTTPException
from starlette.requests import Request

from cola_sweep.server.pages.frame import Page
from cola_sweep.server.pages.places import Link, in_project
from cola_sweep.server.store import Store, projects, runs, sweeps, users


def own(request: Request) -> Page:
    """The user's projects."""
    return _page(request.state.store, request.state.context.user.name)


def projects_of(request: Request) -> Page:
    """An entity's projects."""
    name = request.path_params["entity"]
    if not projects.of_entity(request.state.store, name) and users.by_name(request.state.store, name) is None:
        raise HTTPException(404, f"there is no {name} here")
    return _page(request.state.store, name)


def _page(store: Store, name: str) -> Page:
    rows = [
        {
            "link": Link(project.name, in_project(project)),
            "sweeps": len(sweeps.of_project(store, project.id)),
            "runs": runs.count(store, project.id),
            "since": project.created_at,
        }
        for project in projects.of_entity(store, name)
    ]
    return Page("home.html.j2", name, values={"projects": rows})
