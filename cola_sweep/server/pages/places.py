"""Addresses of pages, and what an address names."""

from dataclasses import dataclass
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request

from cola_sweep.server import trials
from cola_sweep.server.store import projects, runs, sweeps
from cola_sweep.server.store.projects import Project
from cola_sweep.server.store.runs import Run
from cola_sweep.server.store.sweeps import Sweep


@dataclass(frozen=True)
class Link:
    """A text that leads somewhere."""

    text: str
    href: str


def href(*parts: str) -> str:
    """The address of these names on this server: of an entity, of a project, of what lies in one.

    >>> href("me", "demo & co", "runs", "a/b")
    '/me/demo%20%26%20co/runs/a%2Fb'
    """
    return "/" + "/".join(quote(part, safe="") for part in parts)


def in_project(project: Project, *parts: str) -> str:
    """`href` of what lies in a project: `in_project(project, "runs", run.name)`."""
    return href(project.entity, project.name, *parts)


def trail(project: Project) -> tuple[Link, ...]:
    """The way to what lies in a project."""
    return (Link(project.entity, href(project.entity)), Link(project.name, in_project(project)))


def title(sweep: Sweep) -> str:
    """What people call a sweep: the name it was given, or its file gives, or its short one."""
    spec = trials.spec_of(sweep.config)
    return sweep.display_name or (spec and spec.name) or sweep.name


def project_of(request: Request) -> Project:
    """The project that the address names.

    Raises:
        HTTPException: 404, there is none.
    """
    entity, name = request.path_params["entity"], request.path_params["name"]
    found = projects.get(request.state.store, entity, name)
    if found is None:
        raise HTTPException(404, f"there is no project {entity}/{name}")
    return found


def sweep_of(request: Request, project: Project) -> Sweep:
    """The project's sweep that the address names.

    Raises:
        HTTPException: 404, there is none.
    """
    name = request.path_params["sweep_name"]
    found: Sweep | None = sweeps.get(request.state.store, project.id, name)
    if found is None:
        raise HTTPException(404, f"there is no sweep {project.entity}/{project.name}/{name}")
    return found


def run_of(request: Request, project: Project) -> Run:
    """The project's run that the address names.

    Raises:
        HTTPException: 404, there is none.
    """
    name = request.path_params["run_name"]
    found = runs.get(request.state.store, project.id, name)
    if found is None:
        raise HTTPException(404, f"there is no run {project.entity}/{project.name}/{name}")
    return found
