"""Sweeps: one row each, and the runs of before that they learn from."""

import json
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any

from cola_sweep.server.store import runs
from cola_sweep.server.store.database import Store
from cola_sweep.server.store.runs import Run


@dataclass(frozen=True)
class Sweep:
    """One row of `sweeps`. `config` is the YAML text as sent; `controller` and `scheduler` hold JSON text."""

    id: int
    project_id: int
    name: str
    display_name: str | None
    description: str | None
    config: str
    method: str
    state: str
    seed: int
    controller: str | None
    scheduler: str | None
    controller_run: str | None
    created_at: str
    updated_at: str
    heartbeat_at: str | None


_COLUMNS = list(Sweep.__annotations__)
_SELECT = f"SELECT {', '.join(_COLUMNS)} FROM sweeps"


def get(store: Store, project_id: int, name: str) -> Sweep | None:
    """The sweep of that short name, or None."""
    return _sweep(store.one(f"{_SELECT} WHERE project_id = ? AND name = ?", (project_id, name)))


def by_id(store: Store, sweep_id: int) -> Sweep | None:
    """The sweep in that row, or None."""
    return _sweep(store.one(f"{_SELECT} WHERE id = ?", (sweep_id,)))


def of_project(store: Store, project_id: int) -> list[Sweep]:
    """A project's sweeps, the newest first."""
    rows = store.all(f"{_SELECT} WHERE project_id = ? ORDER BY id DESC", (project_id,))
    return [Sweep(**row) for row in rows]


def methods(store: Store, states: Collection[str]) -> set[str]:
    """The methods of the sweeps that are in one of these states."""
    sql = "SELECT DISTINCT method FROM sweeps WHERE state IN (SELECT value FROM json_each(?))"
    return {row[0] for row in store.all(sql, (json.dumps(sorted(states)),))}


def create(
    store: Store, project_id: int, name: str, *, config: str, method: str, state: str, seed: int, **columns: Any
) -> Sweep:
    """Make a sweep.

    Raises:
        sqlite3.IntegrityError: the project has a sweep of that name.
    """
    now = store.now()
    row = {"project_id": project_id, "name": name, "config": config, "method": method, "state": state, "seed": seed}
    row |= {**columns, "created_at": now, "updated_at": now}
    with store.write() as db:
        sql = f"INSERT INTO sweeps ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        made = by_id(store, db.execute(sql, list(row.values())).lastrowid or 0)
    assert made is not None
    return made


def update(store: Store, sweep_id: int, **columns: Any) -> None:
    """Set columns of a sweep; `updated_at` follows by itself."""
    wrong = set(columns) - set(_COLUMNS)
    assert not wrong, f"not columns of sweeps: {sorted(wrong)}"
    row = {**columns, "updated_at": store.now()}
    with store.write() as db:
        db.execute(
            f"UPDATE sweeps SET {', '.join(f'{name} = ?' for name in row)} WHERE id = ?", [*row.values(), sweep_id]
        )


def change_config(store: Store, sweep: Sweep, **columns: Any) -> None:
    """Set columns of a sweep, its config among them; what it was stays in the sweep's log."""
    with store.write() as db:
        sql = "INSERT INTO sweep_changes (sweep_id, config, changed_at) VALUES (?, ?, ?)"
        db.execute(sql, (sweep.id, sweep.config, store.now()))
        update(store, sweep.id, **columns)


def former_configs(store: Store, sweep_id: int) -> list[tuple[str, str]]:
    """Each time at which a sweep's config was changed and what it was until then, oldest first."""
    sql = "SELECT changed_at, config FROM sweep_changes WHERE sweep_id = ? ORDER BY id"
    return [(row["changed_at"], row["config"]) for row in store.all(sql, (sweep_id,))]


def set_state(store: Store, sweep_id: int, state: str, *, only_from: Collection[str]) -> None:
    """Move a sweep to `state` if it is in one of `only_from`."""
    with store.write() as db:
        sql = """UPDATE sweeps SET state = ?, updated_at = ?
                 WHERE id = ? AND state IN (SELECT value FROM json_each(?))"""
        db.execute(sql, (state, store.now(), sweep_id, json.dumps(sorted(only_from))))


def add_prior_runs(store: Store, sweep_id: int, run_ids: Iterable[int]) -> None:
    """Let a sweep learn from runs that are not its own."""
    with store.write() as db:
        db.executemany("INSERT OR IGNORE INTO prior_runs VALUES (?, ?)", [(sweep_id, run_id) for run_id in run_ids])


def prior_runs(store: Store, sweep_id: int) -> list[Run]:
    """The runs `add_prior_runs` was given, oldest first."""
    rows = store.all("SELECT run_id FROM prior_runs WHERE sweep_id = ? ORDER BY run_id", (sweep_id,))
    return [run for row in rows if (run := runs.by_id(store, row[0]))]


def run_count(store: Store, sweep_id: int) -> int:
    """How many runs a sweep has."""
    row = store.one("SELECT count(*) FROM runs WHERE sweep_id = ? AND deleted_at IS NULL", (sweep_id,))
    return int(row[0]) if row else 0


def _sweep(row: sqlite3.Row | None) -> Sweep | None:
    return Sweep(**row) if row is not None else None
