"""Pages at the addresses that the client prints: what is there, in words and tables. No script.

Whatever was logged reaches a page as escaped text.
"""

import asyncio
import hashlib
import json
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from cola_sweep.server.context import Context
from cola_sweep.server.resolvers.files import path as file_path
from cola_sweep.server.store import files, projects, runs, sweeps, users
from cola_sweep.server.store.projects import Project
from cola_sweep.server.store.runs import Run
from cola_sweep.server.store.sweeps import Sweep

_MOST_ROWS = 1000


@dataclass(frozen=True)
class Link:
    """A text that leads somewhere."""

    text: str
    href: str


@dataclass(frozen=True)
class Table:
    """Rows of texts and links, or what to say where there are none."""

    title: str
    columns: tuple[str, ...]
    rows: list[tuple[Any, ...]]
    empty: str
    more: str = ""


@dataclass(frozen=True)
class Block:
    """Text shown as it is."""

    title: str
    text: str


@dataclass(frozen=True)
class Page:
    """What the template shows."""

    title: str
    trail: tuple[Link, ...] = ()
    state: str = ""
    note: str = ""
    tables: tuple[Table, ...] = ()
    blocks: tuple[Block, ...] = ()
    asks_for_key: bool = False
    next: str = "/"


def render(page: Page, status: int = 200) -> Response:
    """The page as HTML that may load and run nothing but its own style."""
    template, css, policy = _look()
    html = template.render(page=page, css=css)
    return HTMLResponse(html, status, {"content-security-policy": policy, "referrer-policy": "same-origin"})


def home(context: Context) -> Page:
    """The user's projects."""
    return entity(context, context.user.name)


def entity(context: Context, name: str) -> Page:
    """An entity's projects."""
    found = projects.of_entity(context.store, name)
    if not found and users.by_name(context.store, name) is None:
        raise HTTPException(404, f"there is no {name} here")
    rows = [(Link(project.name, _href(project)), _time(project.created_at)) for project in found]
    empty = "No project yet: a run or `wandb sweep` makes one."
    return Page(name, tables=(Table("Projects", ("Project", "Since"), rows, empty),))


def project(context: Context, entity: str, name: str) -> Page:
    """A project's sweeps and runs, newest first."""
    found = _project(context, entity, name)
    of_sweeps = [
        (Link(sweep.display_name or sweep.name, _href(found, "sweeps", sweep.name)), sweep.state, sweep.method)
        for sweep in sweeps.of_project(context.store, found.id)
    ]
    newest = runs.select(context.store, found.id, newest_first=True, limit=_MOST_ROWS)
    return Page(
        found.name,
        trail=(Link(found.entity, f"/{quote(found.entity, safe='')}"),),
        tables=(
            Table("Sweeps", ("Sweep", "State", "Method"), of_sweeps, "No sweep yet: `wandb sweep sweeps/lr.yaml`."),
            _runs(found, newest, runs.count(context.store, found.id)),
        ),
    )


def sweep(context: Context, entity: str, name: str, sweep_name: str) -> Page:
    """A sweep's state, configuration and runs."""
    found = _project(context, entity, name)
    chosen: Sweep | None = sweeps.get(context.store, found.id, sweep_name)
    if chosen is None:
        raise HTTPException(404, f"there is no sweep {entity}/{name}/{sweep_name}")
    members = runs.of_sweep(context.store, chosen.id)
    return Page(
        chosen.display_name or chosen.name,
        trail=_trail(found),
        state=chosen.state,
        tables=(_runs(found, members[::-1], len(members)),),
        blocks=(Block("Configuration", chosen.config),),
    )


def run(context: Context, entity: str, name: str, run_name: str) -> Page:
    """A run's state, configuration, summary and files."""
    found = _project(context, entity, name)
    chosen = runs.get(context.store, found.id, run_name)
    if chosen is None:
        raise HTTPException(404, f"there is no run {entity}/{name}/{run_name}")
    trail = _trail(found)
    if chosen.sweep_name:
        trail += (Link(f"sweep {chosen.sweep_name}", _href(found, "sweeps", chosen.sweep_name)),)
    return Page(
        chosen.display_name,
        trail=trail,
        state=chosen.state,
        note=f"Stopped: {chosen.stop_reason}" if chosen.stop_reason else "",
        tables=(
            Table("Summary", (), _pairs(json.loads(chosen.summary_json)), "Nothing was logged yet."),
            Table("Configuration", (), _pairs(_config(chosen)), "It has none."),
            _files(context, chosen),
        ),
    )


def _project(context: Context, entity: str, name: str) -> Project:
    found = projects.get(context.store, entity, name)
    if found is None:
        raise HTTPException(404, f"there is no project {entity}/{name}")
    return found


def _runs(project: Project, shown: list[Run], count: int) -> Table:
    rows = [
        (Link(run.display_name, _href(project, "runs", run.name)), run.state, _time(run.created_at))
        for run in shown[:_MOST_ROWS]
    ]
    more = f"The newest {len(rows)} of {count}." if len(rows) < count else ""
    return Table("Runs", ("Run", "State", "Since"), rows, "No run yet: `wandb agent` starts them.", more)


def _files(context: Context, run: Run) -> Table:
    rows = [
        (
            Link(file.name, context.urls.signed("GET", file_path(file.entity, file.project, file.run, file.name))),
            f"{file.size:,} bytes",
        )
        for file in files.of_run(context.store, run.id, limit=_MOST_ROWS)
    ]
    return Table("Files", ("File", "Size"), rows, "None has arrived yet.")


def _config(run: Run) -> dict[str, Any]:
    """The values of a run's config, without what the client keeps there for itself."""
    config = json.loads(run.config_json)
    return {
        key: item["value"] if isinstance(item, dict) and "value" in item else item
        for key, item in config.items()
        if key != "_wandb"
    }


def _pairs(values: dict[str, Any]) -> list[tuple[str, str]]:
    texts = {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
    return sorted(texts.items())


def _trail(project: Project) -> tuple[Link, ...]:
    return (Link(project.entity, f"/{quote(project.entity, safe='')}"), Link(project.name, _href(project)))


def _href(project: Project, *parts: str) -> str:
    return "/" + "/".join(quote(part, safe="") for part in (project.entity, project.name, *parts))


def _time(text: str) -> str:
    return f"{text[:10]} {text[11:16]} UTC"


@cache
def _look() -> tuple[Any, str, str]:
    """The template, the style, and the policy that lets a browser apply that style and nothing else."""
    from jinja2 import Environment, StrictUndefined

    folder = resources.files(__package__)
    css = folder.joinpath("page.css").read_text()
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    digest = b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = (
        f"default-src 'none'; style-src 'sha256-{digest}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    return environment.from_string(folder.joinpath("page.html.j2").read_text()), css, policy


def _route(path: str, view: Callable[..., Page]) -> Route:
    async def endpoint(request: Request) -> Response:
        return render(await asyncio.to_thread(view, request.state.context, **request.path_params))

    return Route(path, endpoint)


_IN_PROJECT = "/{entity}/{name}"
routes = [
    _route("/", home),
    _route("/{name}", entity),
    *(_route(_IN_PROJECT + tail, project) for tail in ("", "/workspace", "/runs", "/sweeps")),
    _route(_IN_PROJECT + "/runs/{run_name}", run),
    _route(_IN_PROJECT + "/sweeps/{sweep_name}", sweep),
]
