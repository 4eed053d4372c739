"""Lists of runs by filter and order, page by page.

Where an index can answer (filters on sweep, state and name; order by age) SQL does; else the runs
that SQL leaves are read and judged here. A cursor holds the last run's place in the order itself,
so that runs which appear, change or vanish between pages shift nothing.
"""

import binascii
import json
from base64 import b64decode, b64encode
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from cola_sweep.server import query, texts
from cola_sweep.server.connections import page
from cola_sweep.server.graphql import Refused
from cola_sweep.server.store import Store, runs
from cola_sweep.server.store.database import seconds
from cola_sweep.server.store.runs import Part


class RunView(Mapping[str, Any]):
    """A run as filters and orders see it, over its `_columns`; JSON is parsed once, and only if asked for."""

    def __init__(self, row: Part) -> None:
        self.row = row
        self._values: dict[str, Any] = {}

    def __getitem__(self, root: str) -> Any:
        if root not in self._values:
            self._values[root] = _value(root, self.row)
        return self._values[root]

    def __iter__(self) -> Iterator[str]:
        return iter(query.ROOTS)

    def __len__(self) -> int:
        return len(query.ROOTS)


# The columns behind the roots of filters and orders; a root that is not here is a column itself.
_COLUMNS = {
    "group": ("group_name",),
    "sweep": ("sweep_name",),
    "username": ("user_name",),
    "commit": ("commit_hash",),
    "duration": ("created_at", "heartbeat_at", "finished_at"),
    "tags": ("tags_json",),
    "config": ("config_json",),
    "summary_metrics": ("summary_json",),
    "system_metrics": ("system_json",),
    "keys_info": ("keys_json",),
}


def _columns(roots: Collection[str]) -> set[str]:
    return {column for root in roots for column in _COLUMNS.get(root, (root,))}


def _value(root: str, row: Part) -> Any:
    first = row[_COLUMNS.get(root, (root,))[0]]
    if root == "duration":  # seconds from when the run was made to its last sign of life
        return max(seconds(row["finished_at"] or row["heartbeat_at"] or first) - seconds(first), 0.0)
    if root == "keys_info":
        return {"keys": json.loads(first)}
    return json.loads(first) if root in _COLUMNS and _COLUMNS[root][0].endswith("_json") else first


def count(store: Store, project_id: int, filters: str | None = None) -> int:
    """How many of a project's runs match.

    Raises:
        Refused: the filters cannot be understood.
    """
    condition, only, whole = _understood(filters)
    if whole:
        return runs.count(store, project_id, only)
    rows = runs.parts(store, project_id, _columns(query.roots(condition)), only)
    return sum(_matches(condition, RunView(row)) for row in rows)


def connection(
    store: Store,
    project_id: int,
    *,
    filters: str | None = None,
    order: str | None = None,
    first: int | None = None,
    after: str | None = None,
    only: Mapping[str, Collection[Any]] | None = None,
) -> dict[str, Any]:
    """A page of a project's runs.

    Args:
        filters, order, first, after: as the client sends them.
        only: as for `runs.select`, besides what the filters say: `{"sweep": {"abc123"}}`.

    Raises:
        Refused: filters, order or cursor cannot be understood.
    """
    condition, wanted, whole = _understood(filters)
    wanted = {**wanted, **{key: set(values) & set(wanted.get(key, values)) for key, values in (only or {}).items()}}
    by = query.parse_order(order)
    place = _place(after) if after else None
    if whole and query.split_key(by.key) == ("created_at", ""):
        begin = (str(place[0]), place[1]) if place else None
        limit = None if first is None else first + 1
        found = runs.select(store, project_id, wanted, newest_first=by.descending, after=begin, limit=limit)
        return page(found, first, lambda run: _cursor(run.created_at, run.id))
    rows = runs.parts(store, project_id, _columns(query.roots(condition) | query.roots({by.key: None})), wanted)
    views = [view for row in rows if _matches(condition, view := RunView(row))]
    kept = _ordered([(by.value(view), view.row["id"]) for view in views], by)
    if place is not None:
        behind = (by.rank(place[0]), place[1])
        kept = [item for item in kept if (by.rank(item[0]), item[1]) > behind]
    listed = page(kept, first, lambda item: _cursor(*item))
    chosen = runs.by_ids(store, [edge["node"][1] for edge in listed["edges"]])
    # One that was deleted since is left out.
    edges = [{**edge, "node": chosen[edge["node"][1]]} for edge in listed["edges"] if edge["node"][1] in chosen]
    return {**listed, "edges": edges}


def _ordered(items: list[tuple[Any, int]], by: query.Order) -> list[tuple[Any, int]]:
    """(value, id) pairs, which come by id, by `by.rank` and id; sorted by plain keys, which is much faster."""
    valued = [item for item in items if item[0] is not None]
    valued.sort(key=lambda item: (isinstance(item[0], str), item[0]), reverse=by.descending)
    return valued + [item for item in items if item[0] is None]


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


def _cursor(value: Any, run_id: int) -> str:
    return b64encode(json.dumps([value, run_id]).encode()).decode()


def _place(cursor: str) -> tuple[Any, int]:
    try:
        value, run_id = texts.parsed(b64decode(cursor, validate=True))
        if isinstance(run_id, int) and (value is None or isinstance(value, str | int | float)):
            return value, run_id
    except (binascii.Error, ValueError, TypeError):
        pass
    raise Refused(f"{cursor!r} is not a cursor of a list of runs")
