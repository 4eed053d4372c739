"""A sweep's page: how it goes, which settings did best, and the buttons that steer it."""

import difflib
from collections.abc import Mapping

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from cola_sweep.server import dispatch, states
from cola_sweep.server.pages import frame
from cola_sweep.server.pages.frame import Feed, Page
from cola_sweep.server.pages.importance import importance
from cola_sweep.server.pages.places import Link, in_project, project_of, sweep_of, title, trail
from cola_sweep.server.pages.trials import MOVES, data, moves
from cola_sweep.server.store import lists, runs, sweeps
from cola_sweep.server.store.database import Store
from cola_sweep.server.store.sweeps import Sweep

SHOWN = 50  # trials in the page itself; its script brings the others


def page(request: Request) -> Page:
    """A sweep's frame, newest trials and configuration."""
    store, project = request.state.store, project_of(request)
    sweep = sweep_of(request, project)
    newest = [
        (Link(run.display_name, in_project(project, "runs", run.name)), run.state, run.created_at)
        for run in runs.select(store, project.id, {"sweep": {sweep.name}}, newest_first=True, limit=SHOWN)
    ]
    values = {
        "sweep": sweep,
        "runs": newest,
        "count": runs.count(store, project.id, {"sweep": {sweep.name}}),
        "path": f"{project.entity}/{project.name}/{sweep.name}",
        "address": in_project(project, "sweeps", sweep.name),
        "runs_at": in_project(project, "runs", ""),
        "changes": changes(store, sweep),
        "moves": [(wanted, *MOVES[wanted], wanted in moves(sweep.state)) for wanted in MOVES],
    }
    return Page("sweep.html.j2", title(sweep), trail(project), values)


def changes(store: Store, sweep: Sweep) -> list[tuple[str, str]]:
    """When the sweep's file was changed, newest first, and the lines that went (`-`) and came (`+`)."""
    former = sweeps.former_configs(store, sweep.id)
    then = [*(config for _, config in former[1:]), sweep.config]
    return [(at, _difference(before, after)) for (at, before), after in zip(former, then, strict=False)][::-1]


def _difference(before: str, after: str) -> str:
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    return "\n".join(line for line in lines if line[:2] in ("- ", "+ "))


def live(request: Request) -> Feed:
    """`trials.data` of the sweep."""
    sweep = sweep_of(request, project_of(request))
    return Feed(lists.version_of_sweep(request.state.store, sweep.id), lambda: data(request.state.store, sweep))


def shares(request: Request) -> Feed:
    """`importance` of the sweep's parameters."""
    sweep = sweep_of(request, project_of(request))
    version = lists.version_of_sweep(request.state.store, sweep.id)
    return Feed(version, lambda: importance(data(request.state.store, sweep)))


def steer(request: Request, fields: Mapping[str, str]) -> str | Response:
    """Do what one of the page's buttons says, as `wandb sweep --pause` and its like do."""
    project = project_of(request)
    sweep = sweep_of(request, project)
    wanted = fields.get("state", "")
    if wanted not in MOVES:
        raise HTTPException(400, f"{wanted!r} is nothing that a sweep can be asked for")
    address = in_project(project, "sweeps", sweep.name)
    try:
        dispatch.set_sweep_state(request.state.store, sweep, wanted)
    except states.IllegalMove as error:
        hint, way = "Its page shows what can be done.", (*trail(project), Link(title(sweep), address))
        return frame.message(request, 409, "Not now", f"{str(error).capitalize()}.", hint, way)
    return address
