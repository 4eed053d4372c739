"""Lists of runs by filter and order, page by page.

Where an index can answer (filters on sweep, state and name; order by age) SQL does; else the runs
that SQL leaves are read and judged here. A cursor holds the last run's place in the order itself,
so that runs which appear, change or vanish between pages shift nothing.
"""

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from cola_sweep.server import query
from cola_sweep.server.connections import page
from cola_sweep.server.graphql import Refused
from cola_sweep.server.store import Store, runs
from cola_sweep.server.store.database import seconds
from cola_sweep.server.store.runs import Run


class RunView(Mapping[str, Any]):
    """A run as filters and orders see it; JSON columns are parsed once and only if asked for."""

    def __init__(self, run: Run) -> None:
        self.run = run
        self._values: dict[str, Any] = {}

    def __getitem__(self, root: str) -> Any:
        if root not in self._values:
            self._values[root] = _READ[root](self.run)
        return self._values[root]

    def __iter__(self) -> Iterator[str]:
        return iter(_READ)

    def __len__(self) -> int:
        return len(_READ)


def _duration(run: Run) -> float:
    """Seconds from when the run was made to its last sign of life."""
    return max(seconds(run.finished_at or run.heartbeat_at or run.created_at) - seconds(run.created_at), 0.0)


_READ: Mapping[str, Callable[[Run], Any]] = {
    "name": lambda run: run.name,
    "display_name": lambda run: run.display_name,
    "state": lambda run: run.state,
    "group": lambda run: run.group_name,
    "job_type": lambda run: run.job_type,
    "sweep": lambda run: run.sweep_name,
    "host": lambda run: run.host,
    "username": lambda run: run.user_name,
    "notes": lambda run: run.notes,
    "commit": lambda run: run.commit_hash,
    "created_at": lambda run: run.created_at,
    "updated_at": lambda run: run.updated_at,
    "heartbeat_at": lambda run: run.heartbeat_at,
    "duration": _duration,
    "tags": lambda run: json.loads(run.tags_json),
    "config": lambda run: json.loads(run.config_json),
    "summary_metrics": lambda run: json.loads(run.summary_json),
    "system_metrics": lambda run: json.loads(run.system_json),
    "keys_info": lambda run: {"keys": json.loads(run.keys_json)},
}


def count(store: Store, project_id: int, filters: str | None = None) -> int:
    """How many of a project's runs match.

    Raises:
        Refused: the filters cannot be understood.
    """
    condition, only, whole = _understood(filters)
    if whole:
        return runs.count(store, project_id, only)
    return len(_matching(runs.select(store, project_id, only), condition))


def connection(
    store: Store,
    project_id: int,
    *,
    filters: str | None = None,
    order: str | None = None,
    first: int | None = None,
    after: str | None = None,
    also: Callable[[Run], bool] | None = None,
    only: Mapping[str, Collection[str]] | None = None,
) -> dict[str, Any]:
    """A page of a project's runs.

    Args:
        filters, order, first, after: as the client sends them.
        also: what every run must fulfil besides.
        only: as for `runs.select`, besides what the filters say: `{"sweep": {"abc123"}}`.

    Raises:
        Refused: filters, order or cursor cannot be understood.
    """
    condition, wanted, whole = _understood(filters)
    wanted = {**wanted, **{key: set(values) & set(wanted.get(key, values)) for key, values in (only or {}).items()}}
    by = query.parse_order(order)
    place = _place(after) if after else None
    if whole and also is None and query.split_key(by.key) == ("created_at", ""):
        begin = (str(place[0]), place[1]) if place else None
        limit = None if first is None else first + 1
        found = runs.select(store, project_id, wanted, newest_first=by.descending, after=begin, limit=limit)
        return page(found, first, lambda run: _cursor(run.created_at, run))
    found = runs.select(store, project_id, wanted)
    if also is not None:
        found = [run for run in found if also(run)]
    views = [RunView(run) for run in found]
    kept = [(by.value(view), view.run) for view in views if _matches(condition, view)]
    kept.sort(key=lambda item: (by.rank(item[0]), item[1].id))
    if place is not None:
        behind = (by.rank(place[0]), place[1])
        kept = [item for item in kept if (by.rank(item[0]), item[1].id) > behind]
    values = {run.id: value for value, run in kept}
    return page([run for _, run in kept], first, lambda run: _cursor(values[run.id], run))


def _understood(filters: str | None) -> tuple[query.Filter, dict[str, Collection[str]], bool]:
    try:
        condition = query.parse_filter(filters)
        # Judged once here, so that a filter which no run reaches is refused too.
        query.matches(condition, {})
    except query.BadQuery as error:
        raise Refused(str(error)) from None
    return condition, *query.pushed_down(condition)


def _matches(condition: query.Filter, view: RunView) -> bool:
    try:
        return query.matches(condition, view)
    except query.BadQuery as error:
        raise Refused(str(error)) from None


def _matching(found: list[Run], condition: query.Filter) -> list[Run]:
    return [run for run in found if _matches(condition, RunView(run))]


def _cursor(value: Any, run: Run) -> str:
    return b64encode(json.dumps([value, run.id]).encode()).decode()


def _place(cursor: str) -> tuple[Any, int]:
    try:
        value, run_id = json.loads(b64decode(cursor, validate=True))
        if isinstance(run_id, int) and (value is None or isinstance(value, str | int | float)):
            return value, run_id
    except (binascii.Error, ValueError, TypeError):
        pass
    raise Refused(f"{cursor!r} is not a cursor of a list of runs")
