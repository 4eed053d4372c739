"""A project's page: its sweeps, and its runs with whatever they say of themselves."""

import json
from functools import lru_cache
from typing import Any

from starlette.requests import Request

from cola_sweep.server import states, trials
from cola_sweep.server.history_keys import flat
from cola_sweep.server.pages.frame import Feed, Page
from cola_sweep.server.pages.places import Link, href, in_project, project_of, title
from cola_sweep.server.pages.trials import elapsed
from cola_sweep.server.store import Store, lists, runs, sweeps
from cola_sweep.server.store.projects import Project
from cola_sweep.server.store.sweeps import Sweep
from cola_sweep.space import Metric

SHOWN = 50  # runs in the page itself; its script brings the others
MOST = 5000  # runs that a browser is given
_TELLING = 3  # sweeps, the newest, whose parameters and metrics go before other columns
_MOST_FIRST = 6
_SHOWN = (str, int, float)
_COLUMNS = (
    "name", "display_name", "state", "config_json", "summary_json", "created_at", "heartbeat_at", "finished_at",
    "sweep_name",
)  # fmt: skip


def page(request: Request) -> Page:
    """A project's sweeps and its newest runs."""
    store, project = request.state.store, project_of(request)
    of_sweeps = [
        (
            Link(title(sweep), in_project(project, "sweeps", sweep.name)),
            sweep.state,
            sweep.method,
            sweep.created_at,
        )
        for sweep in sweeps.of_project(store, project.id)
    ]
    newest = [
        (Link(run.display_name, in_project(project, "runs", run.name)), run.state, run.created_at)
        for run in runs.select(store, project.id, newest_first=True, limit=SHOWN)
    ]
    values = {
        "sweeps": of_sweeps,
        "runs": newest,
        "count": runs.count(store, project.id),
        "address": in_project(project),
    }
    return Page("project.html.j2", project.name, (Link(project.entity, href(project.entity)),), values)


def live(request: Request) -> Feed:
    """All that a project's page lists."""
    store, project = request.state.store, project_of(request)
    return Feed(lists.version_of_project(store, project.id), lambda: data(store, project))


def data(store: Store, project: Project) -> dict[str, Any]:
    """Sweeps and runs, newest first.

    Returns:
        `live`, whether this may still change, as what is empty does; `sweeps`; `keys`, what config and summary hold of
        numbers, texts and truth values, by their names there; `first`, those of them that a reader wants before others:
        what sweeps vary and are after; `runs`, with `values` in the order of `keys`; `count` of all runs: the newest
        `MOST` are here.
    """
    rows = runs.parts(store, project.id, _COLUMNS)
    found = sweeps.of_project(store, project.id)
    newest = rows[: -MOST - 1 : -1]
    values = [_values(row["config_json"], row["summary_json"]) for row in newest]
    keys = sorted({key for each in values for key in each})
    return {
        "live": not rows
        or any(sweep.state in states.OPEN_SWEEP for sweep in found)
        or any(row["state"] in states.OPEN_RUN for row in rows),
        "sweeps": [_sweep(store, sweep) for sweep in found],
        "keys": keys,
        "first": _first(found, set(keys)),
        "runs": [
            {
                "id": row["name"], "name": row["display_name"], "state": row["state"], "sweep": row["sweep_name"],
                "since": row["created_at"], "seconds": elapsed(row), "values": [each.get(key) for key in keys],
            }
            for row, each in zip(newest, values, strict=True)
        ],
        "count": len(rows),
    }  # fmt: skip


# A run that has ended says the same each time.
@lru_cache(maxsize=2000)
def _values(config_json: str, summary_json: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    config, summary = trials.plain(json.loads(config_json)), json.loads(summary_json)
    for room, values in (("config.", config), ("summary.", summary)):
        for key, value in values.items():
            if key[:1] == "_":
                continue  # the client's own
            if isinstance(value, _SHOWN):
                found[room + key] = value
            elif isinstance(value, dict):
                inner = flat({room + key: value})
                found.update((name, each) for name, each in inner if isinstance(each, _SHOWN))
    return found


def _sweep(store: Store, sweep: Sweep) -> dict[str, Any]:
    spec = trials.spec_of(sweep.config)
    metric = spec.metric if spec else None
    members = runs.outlines(store, sweep.id)
    return {
        "id": sweep.name, "name": title(sweep), "state": sweep.state, "method": sweep.method,
        "runs": len(members), "metric": metric.name if metric else None, "best": trials.best_value(members, metric),
        "since": sweep.created_at,
    }  # fmt: skip


def _first(found: list[Sweep], keys: set[str]) -> list[str]:
    specs = [spec for sweep in found[:_TELLING] if (spec := trials.spec_of(sweep.config))]
    varied = [f"config.{p.name}" for spec in specs for p in spec.parameters if p.distribution != "constant"]
    after = [_of_metric(spec.metric, keys) for spec in specs if spec.metric]
    return [key for key in dict.fromkeys([*after, *varied]) if key in keys][:_MOST_FIRST]


def _of_metric(metric: Metric, keys: set[str]) -> str:
    """The key that holds the metric's best value, or its only one."""
    best = "max" if metric.goal == "maximize" else "min"
    name = f"summary.{metric.name}"
    return next((key for key in (f"{name}.{best}", f"{name}.best", f"{name}.last") if key in keys), name)
