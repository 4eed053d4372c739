"""Runs: one row each. A deleted run keeps its row, so that its late writes can be refused.

Rows of the streams a run logs (history, events, console) are in `streams`.
"""

import json
import sqlite3
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from cola_sweep.server.store.database import Store

Part = sqlite3.Row  # some columns of a run, by name
ENDED = frozenset({"finished", "failed", "crashed", "killed"})


@dataclass(frozen=True)
class Run:
    """One row of `runs`, with the names of its project and sweep. `*_json` fields hold JSON text."""

    id: int
    project_id: int
    name: str
    display_name: str
    state: str
    config_json: str
    summary_json: str
    system_json: str
    keys_json: str
    history_lines: int
    events_lines: int
    console_lines: int
    last_step: int | None
    tags_json: str
    group_name: str | None
    job_type: str | None
    notes: str | None
    description: str | None
    host: str | None
    program: str | None
    repo: str | None
    commit_hash: str | None
    user_name: str | None
    created_at: str
    updated_at: str
    heartbeat_at: str | None
    finished_at: str | None
    exitcode: int | None
    deleted_at: str | None
    sweep_id: int | None
    agent_id: int | None
    args_json: str | None
    issued_at: str | None
    stop_requested: int
    stop_reason: str | None
    entity: str
    project_name: str
    sweep_name: str | None


class Outline(NamedTuple):
    """What a search needs of a run, cheap to read by the hundred: whole rows are mostly configs and keys."""

    id: int
    state: str
    params_json: str  # the arguments issued, or the config of a run that came by itself
    summary_json: str
    heartbeat_at: str | None
    stop_requested: int
    agent_id: int | None


_OUTLINE = "id, state, coalesce(args_json, config_json), summary_json, heartbeat_at, stop_requested, agent_id"
_COLUMNS = [name for name in Run.__annotations__ if name not in ("entity", "project_name", "sweep_name")]
_FIXED = {"id", "project_id", "name", "created_at", "updated_at"}
_SELECT = f"""
    SELECT {", ".join(f"runs.{name}" for name in _COLUMNS)},
           projects.entity, projects.name AS project_name, sweeps.name AS sweep_name
    FROM runs JOIN projects ON projects.id = runs.project_id LEFT JOIN sweeps ON sweeps.id = runs.sweep_id"""


def get(store: Store, project_id: int, name: str, *, deleted: bool = False) -> Run | None:
    """The run of that name, or None; a deleted one only if asked for."""
    run = _run(store.one(f"{_SELECT} WHERE runs.project_id = ? AND runs.name = ?", (project_id, name)))
    return run if run and (deleted or run.deleted_at is None) else None


def find(store: Store, entity: str, project: str, name: str) -> Run | None:
    """`get` by the names in a URL."""
    sql = f"{_SELECT} WHERE projects.entity = ? AND projects.name = ? AND runs.name = ? AND runs.deleted_at IS NULL"
    return _run(store.one(sql, (entity, project, name)))


def by_id(store: Store, run_id: int, *, deleted: bool = False) -> Run | None:
    """The run in that row, or None; a deleted one only if asked for."""
    run = _run(store.one(f"{_SELECT} WHERE runs.id = ?", (run_id,)))
    return run if run and (deleted or run.deleted_at is None) else None


def of_sweep(store: Store, sweep_id: int) -> list[Run]:
    """A sweep's runs in the order they were made."""
    sql = f"{_SELECT} WHERE runs.sweep_id = ? AND runs.deleted_at IS NULL ORDER BY runs.id"
    return [Run(**row) for row in store.all(sql, (sweep_id,))]


def outlines(store: Store, sweep_id: int, *, prior: bool = False) -> list[Outline]:
    """`of_sweep` in outline; with `prior`, the runs of before that the sweep learns from."""
    chosen = "id IN (SELECT run_id FROM prior_runs WHERE sweep_id = ?)" if prior else "sweep_id = ?"
    sql = f"SELECT {_OUTLINE} FROM runs WHERE {chosen} AND deleted_at IS NULL ORDER BY id"
    return [Outline(*row) for row in store.all(sql, (sweep_id,))]


def changed(store: Store, sweep_id: int, since: int) -> tuple[int, list[Outline], list[int]]:
    """What of a sweep's runs has changed since a revision: the newest revision, the runs, those deleted by row.

    Args:
        since: the revision that an earlier call gave; 0 for all runs.
    """
    sql = f"SELECT revision, deleted_at IS NOT NULL, {_OUTLINE} FROM runs WHERE sweep_id = ? AND revision > ?"
    rows = store.all(sql, (sweep_id, since))
    newest = max((row[0] for row in rows), default=since)
    return newest, [Outline(*row[2:]) for row in rows if not row[1]], [row[2] for row in rows if row[1]]


def prior_revision(store: Store, sweep_id: int) -> tuple[int, int]:
    """What changes whenever the runs of before that a sweep learns from do: (how many, sum of their revisions)."""
    sql = """SELECT count(*), total(revision) FROM runs
             WHERE id IN (SELECT run_id FROM prior_runs WHERE sweep_id = ?) AND deleted_at IS NULL"""
    row = store.one(sql, (sweep_id,))
    assert row is not None
    return row[0], int(row[1])


def select(
    store: Store,
    project_id: int,
    only: Mapping[str, Collection[Any]] | None = None,
    *,
    newest_first: bool = False,
    after: tuple[str, int] | None = None,
    limit: int | None = None,
) -> list[Run]:
    """A project's runs by age.

    Args:
        only: wanted values by column: `name`, `state`, `sweep` (its short name) or `agent` (its row).
        newest_first: the order of `created_at`; equal ones follow `id` upwards either way.
        after: begin behind this (created_at, id).
    """
    where, values = _where(project_id, only or {})
    if after is not None:
        # The first half alone is what the index can begin at.
        side = "<" if newest_first else ">"
        where += f" AND runs.created_at {side}= ? AND (runs.created_at {side} ? OR runs.id > ?)"
        values += [after[0], *after]
    order = f"runs.created_at {'DESC' if newest_first else 'ASC'}, runs.id"
    sql = f"{_SELECT} WHERE {where} ORDER BY {order} LIMIT ?"
    return [Run(**row) for row in store.all(sql, [*values, -1 if limit is None else limit])]


def parts(
    store: Store, project_id: int, columns: Collection[str], only: Mapping[str, Collection[Any]] | None = None
) -> list[Part]:
    """`id` and these columns of the runs that `select` would give, by id: what judging many of them takes."""
    wrong = set(columns) - set(Run.__annotations__)
    assert not wrong, f"not columns of a run: {sorted(wrong)}"
    where, values = _where(project_id, only or {})
    named = ["runs.id", *("sweeps.name AS sweep_name" if name == "sweep_name" else f"runs.{name}" for name in columns)]
    sql = f"SELECT {', '.join(named)} FROM runs {_sweeps_for(columns, only)} WHERE {where} ORDER BY runs.id"
    return store.all(sql, values)


def by_ids(store: Store, run_ids: Collection[int]) -> dict[int, Run]:
    """The runs in these rows; a deleted one is not there."""
    sql = f"{_SELECT} WHERE runs.id IN (SELECT value FROM json_each(?)) AND runs.deleted_at IS NULL"
    return {row["id"]: Run(**row) for row in store.all(sql, (json.dumps(list(run_ids)),))}


def count(store: Store, project_id: int, only: Mapping[str, Collection[Any]] | None = None) -> int:
    """How many runs `select` would give without limit."""
    where, values = _where(project_id, only or {})
    row = store.one(f"SELECT count(*) FROM runs {_sweeps_for((), only)} WHERE {where}", values)
    return int(row[0]) if row else 0


def next_number(store: Store, project_id: int, sweep_id: int | None = None) -> int:
    """The number in the next display name: runs ever made in the project, or in the sweep, and one."""
    column, value = ("project_id", project_id) if sweep_id is None else ("sweep_id", sweep_id)
    row = store.one(f"SELECT count(*) FROM runs WHERE {column} = ?", (value,))
    return int(row[0]) + 1 if row else 1


def sweep_number(store: Store, project_id: int, sweep_name: str) -> int | None:
    """The row of the sweep that a run says it belongs to."""
    row = store.one("SELECT id FROM sweeps WHERE project_id = ? AND name = ?", (project_id, sweep_name))
    return row[0] if row else None


def create(store: Store, project_id: int, name: str, *, state: str, display_name: str, **columns: Any) -> Run:
    """Make a run.

    Raises:
        sqlite3.IntegrityError: the project has, or had, a run of that name.
    """
    now = store.now()
    row = {
        **columns,
        "project_id": project_id,
        "name": name,
        "state": state,
        "display_name": display_name,
        "created_at": now,
        "updated_at": now,
    }
    _check(columns)
    with store.write() as db:
        sql = f"INSERT INTO runs ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        run_id = db.execute(sql, list(row.values())).lastrowid
        made = by_id(store, run_id or 0)
    assert made is not None
    return made


def create_pending(
    store: Store,
    project_id: int,
    name: str,
    *,
    sweep_id: int,
    display_name: str,
    agent_id: int | None = None,
    args: Mapping[str, Any] | None = None,
) -> Run:
    """Make a sweep's run that no process has begun yet.

    Args:
        args: the parameters issued, as `{"lr": {"value": 1e-5}}` or plain; kept apart from the
            run's config, which the client posts back with changed number types.
    """
    return create(
        store,
        project_id,
        name,
        state="pending",
        display_name=display_name,
        sweep_id=sweep_id,
        agent_id=agent_id,
        args_json=None if args is None else json.dumps(args),
        issued_at=store.now(),
    )


def update(store: Store, run_id: int, **columns: Any) -> None:
    """Set columns of a run; `updated_at` follows by itself."""
    _check(columns)
    row = {**columns, "updated_at": store.now()}
    with store.write() as db:
        db.execute(f"UPDATE runs SET {', '.join(f'{name} = ?' for name in row)} WHERE id = ?", [*row.values(), run_id])


def request_stop(store: Store, run_id: int, reason: str) -> None:
    """Ask a run to stop: its client and its agent are told at their next call. The first reason is kept."""
    with store.write() as db:
        sql = "UPDATE runs SET stop_requested = 1, stop_reason = ?, updated_at = ? WHERE id = ? AND stop_requested = 0"
        db.execute(sql, (reason, store.now(), run_id))


def delete(store: Store, run_id: int) -> None:
    """Delete a run, what it logged and the records of its files; its name stays taken."""
    with store.write() as db:
        for table in ("history", "events", "console", "files", "alerts", "climbs"):
            db.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
        update(store, run_id, deleted_at=store.now())


def add_alert(store: Store, run_id: int, *, title: str, text: str, severity: str) -> None:
    """Keep what `run.alert()` said."""
    with store.write() as db:
        db.execute(
            "INSERT INTO alerts (run_id, title, text, severity, created_at) VALUES (?, ?, ?, ?, ?)",
            (run_id, title, text, severity, store.now()),
        )


def alerts(store: Store, run_id: int) -> list[dict[str, Any]]:
    """A run's alerts, oldest first: title, text, severity, created_at."""
    sql = "SELECT title, text, severity, created_at FROM alerts WHERE run_id = ? ORDER BY id"
    return [dict(row) for row in store.all(sql, (run_id,))]


def _sweeps_for(columns: Collection[str], only: Mapping[str, Collection[Any]] | None) -> str:
    """The join with sweeps if columns or wanted values need it: it reads every row, a count else the index alone."""
    needed = "sweep_name" in columns or "sweep" in (only or {})
    return "LEFT JOIN sweeps ON sweeps.id = runs.sweep_id" if needed else ""


def _where(project_id: int, only: Mapping[str, Collection[Any]]) -> tuple[str, list[Any]]:
    columns = {"name": "runs.name", "state": "runs.state", "sweep": "sweeps.name", "agent": "runs.agent_id"}
    where = "runs.project_id = ? AND runs.deleted_at IS NULL"
    values: list[Any] = [project_id]
    for name, wanted in only.items():
        # One JSON parameter rather than a placeholder each: a filter may list thousands of names.
        where += f" AND {columns[name]} IN (SELECT value FROM json_each(?))"
        values.append(json.dumps(sorted(wanted)))
    return where, values


def _check(columns: Collection[str]) -> None:
    wrong = set(columns) - set(_COLUMNS) | set(columns) & _FIXED
    assert not wrong, f"not columns of runs to be set: {sorted(wrong)}"


def _run(row: sqlite3.Row | None) -> Run | None:
    return Run(**row) if row is not None else None
