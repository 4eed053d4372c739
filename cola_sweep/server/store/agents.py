"""Agents, the runs they were given, and what has fallen silent."""

import sqlite3
from dataclasses import dataclass
from typing import NamedTuple

from cola_sweep.server.store.database import Store


@dataclass(frozen=True)
class Agent:
    """One row of `agents`."""

    id: int
    sweep_id: int
    name: str
    host: str | None
    state: str
    created_at: str
    heartbeat_at: str
    exit_reason: str | None  # why it was told to leave a sweep that goes on


@dataclass(frozen=True)
class Assignment:
    """A run that an agent was given; see the table."""

    run_id: int
    agent_id: int
    issued_at: str
    reported_at: str | None
    gone_at: str | None


class Span(NamedTuple):
    """From one time to another, both as the records have them."""

    begin: str
    end: str


EVER = Span("", "~")  # every time lies in it


_SELECT = "SELECT id, sweep_id, name, host, state, created_at, heartbeat_at, exit_reason FROM agents"
# Word for word the conditions of the indexes `runs_open` and `runs_waiting`.
_OPEN = "runs.deleted_at IS NULL AND runs.state IN ('pending', 'running', 'preempting')"
_WAITING = "runs.deleted_at IS NULL AND runs.state IN ('pending', 'preempted')"

_FAILED_EARLY = """SELECT id FROM runs WHERE sweep_id = ? AND deleted_at IS NULL AND last_step IS NULL
                   AND stop_requested = 0 AND state IN ('failed', 'crashed')"""


def by_id(store: Store, agent_id: int) -> Agent | None:
    """The agent in that row, or None."""
    return _agent(store.one(f"{_SELECT} WHERE id = ?", (agent_id,)))


def by_name(store: Store, sweep_id: int, name: str) -> Agent | None:
    """A sweep's agent of that name, or None."""
    return _agent(store.one(f"{_SELECT} WHERE sweep_id = ? AND name = ?", (sweep_id, name)))


def of_sweep(store: Store, sweep_id: int) -> list[Agent]:
    """A sweep's agents, oldest first."""
    return [Agent(**row) for row in store.all(f"{_SELECT} WHERE sweep_id = ? ORDER BY id", (sweep_id,))]


def create(store: Store, sweep_id: int, name: str, host: str | None) -> Agent:
    """Make an agent, which counts as its first heartbeat."""
    now = store.now()
    with store.write() as db:
        sql = "INSERT INTO agents (sweep_id, name, host, state, created_at, heartbeat_at) VALUES (?, ?, ?, ?, ?, ?)"
        made = by_id(store, db.execute(sql, (sweep_id, name, host, "RUNNING", now, now)).lastrowid or 0)
    assert made is not None
    return made


def set_state(store: Store, agent_id: int, state: str, *, heartbeat: bool = False) -> None:
    """Set an agent's state; with `heartbeat`, it spoke just now."""
    with store.write() as db:
        db.execute("UPDATE agents SET state = ? WHERE id = ?", (state, agent_id))
        if heartbeat:
            db.execute("UPDATE agents SET heartbeat_at = ? WHERE id = ?", (store.now(), agent_id))


def dismiss(store: Store, agent_id: int, reason: str) -> None:
    """Keep why an agent is told to leave a sweep that goes on."""
    with store.write() as db:
        db.execute("UPDATE agents SET exit_reason = ? WHERE id = ?", (reason, agent_id))


def assign(store: Store, agent_id: int, run_id: int) -> None:
    """Give a run to an agent, in place of whoever had it."""
    now = store.now()
    with store.write() as db:
        db.execute("INSERT OR REPLACE INTO assignments VALUES (?, ?, ?, NULL, NULL)", (run_id, agent_id, now))
        db.execute("UPDATE runs SET agent_id = ?, issued_at = ? WHERE id = ?", (agent_id, now, run_id))


def report(store: Store, agent_id: int, run_names: set[str]) -> None:
    """Note which of its open runs an agent lists, and which no longer."""
    now = store.now()
    sql = f"SELECT id, name FROM runs WHERE agent_id = ? AND {_OPEN}"
    with store.write() as db:
        for run_id, name in db.execute(sql, (agent_id,)).fetchall():
            if name in run_names:
                db.execute("UPDATE assignments SET reported_at = ?, gone_at = NULL WHERE run_id = ?", (now, run_id))
            else:
                db.execute("UPDATE assignments SET gone_at = coalesce(gone_at, ?) WHERE run_id = ?", (now, run_id))


def has_open_runs(store: Store, agent_id: int) -> bool:
    """Whether a run that the agent was given has not ended."""
    return store.one(f"SELECT 1 FROM runs WHERE agent_id = ? AND {_OPEN}", (agent_id,)) is not None


def silent(store: Store, lately: Span) -> list[Agent]:
    """Running agents whose newest heartbeat was not lately."""
    sql = f"{_SELECT} WHERE state = 'RUNNING' AND heartbeat_at NOT BETWEEN ? AND ?"
    return [Agent(**row) for row in store.all(sql, lately)]


def silent_runs(store: Store, lately: Span, *, stopping: bool = False) -> list[int]:
    """Runs under way whose newest sign of life was not lately; of those that were told to stop alone, if asked."""
    sql = f"""SELECT id FROM runs WHERE {_OPEN} AND state != 'pending' AND stop_requested >= ?
              AND coalesce(heartbeat_at, updated_at) NOT BETWEEN ? AND ?"""
    return [row[0] for row in store.all(sql, (int(stopping), *lately))]


def vanished_runs(store: Store, lately: Span) -> list[int]:
    """Open runs that their agents list no longer, and not just since lately."""
    sql = f"""SELECT runs.id FROM assignments JOIN runs ON runs.id = assignments.run_id
              WHERE {_OPEN} AND assignments.gone_at NOT BETWEEN ? AND ?"""
    return [row[0] for row in store.all(sql, lately)]


def unstarted_runs(store: Store, lately: Span) -> list[int]:
    """Runs that have not begun, and were neither given to an agent nor listed by it lately."""
    sql = f"""SELECT runs.id FROM assignments JOIN runs ON runs.id = assignments.run_id
              WHERE {_OPEN} AND runs.state = 'pending'
                AND coalesce(assignments.reported_at, assignments.issued_at) NOT BETWEEN ? AND ?"""
    return [row[0] for row in store.all(sql, lately)]


def queued_run(store: Store, sweep_id: int) -> int | None:
    """The run that waits longest for an agent: enqueued and never given to one, or preempted.

    One without arguments joined the sweep by itself, and is whoever's began it to go on with.
    """
    sql = f"""SELECT id FROM runs WHERE sweep_id = ? AND {_WAITING} AND stop_requested = 0
              AND args_json IS NOT NULL AND (state = 'preempted' OR agent_id IS NULL)
              ORDER BY state != 'preempted', id LIMIT 1"""
    row = store.one(sql, (sweep_id,))
    return int(row[0]) if row else None


def unassigned_runs(store: Store, sweep_id: int) -> list[int]:
    """A sweep's runs that were never given to an agent and wait for one."""
    sql = f"SELECT id FROM runs WHERE sweep_id = ? AND {_WAITING} AND state = 'pending' AND agent_id IS NULL"
    return [row[0] for row in store.all(sql, (sweep_id,))]


def ended_runs(store: Store, agent_id: int, last: int) -> list[int]:
    """The newest runs that an agent was given and that have ended, the newest first."""
    sql = f"""SELECT runs.id FROM assignments JOIN runs ON runs.id = assignments.run_id
              WHERE assignments.agent_id = ? AND NOT ({_OPEN})
              ORDER BY assignments.issued_at DESC, assignments.run_id DESC LIMIT ?"""
    return [row[0] for row in store.all(sql, (agent_id, last))]


def failed_elsewhere(store: Store, sweep_id: int, agent_id: int, last: int) -> list[int]:
    """A sweep's newest runs that failed before their first step with other agents."""
    sql = f"{_FAILED_EARLY} AND agent_id != ? ORDER BY id DESC LIMIT ?"
    return [row[0] for row in store.all(sql, (sweep_id, agent_id, last))]


def others_at_work(store: Store, sweep_id: int, agent_id: int) -> bool:
    """Whether another agent that has not left had a run of the sweep come to its first step."""
    sql = """SELECT 1 FROM runs WHERE sweep_id = ? AND last_step IS NOT NULL AND deleted_at IS NULL AND agent_id IN
             (SELECT id FROM agents WHERE sweep_id = ? AND id != ? AND state = 'RUNNING' AND exit_reason IS NULL)"""
    return store.one(sql, (sweep_id, sweep_id, agent_id)) is not None


def returned_runs(store: Store, sweep_id: int) -> set[int]:
    """Runs that failed before their first step with agents that were dismissed: as if they had not been issued."""
    if store.one("SELECT 1 FROM agents WHERE sweep_id = ? AND exit_reason IS NOT NULL", (sweep_id,)) is None:
        return set()
    sql = f"{_FAILED_EARLY} AND agent_id IN (SELECT id FROM agents WHERE sweep_id = ? AND exit_reason IS NOT NULL)"
    return {row[0] for row in store.all(sql, (sweep_id, sweep_id))}


def running(store: Store, sweep_id: int, *, idle: bool = False) -> set[int]:
    """A sweep's agents that have not left; with `idle`, those without an open run."""
    sql = "SELECT id FROM agents WHERE sweep_id = ? AND state = 'RUNNING' AND exit_reason IS NULL"
    if idle:
        sql += f" AND id NOT IN (SELECT agent_id FROM runs WHERE agent_id IS NOT NULL AND {_OPEN})"
    return {row[0] for row in store.all(sql, (sweep_id,))}


def total_runs(store: Store, agent_id: int) -> int:
    """How many runs an agent was given."""
    row = store.one("SELECT count(*) FROM runs WHERE agent_id = ? AND deleted_at IS NULL", (agent_id,))
    return int(row[0]) if row else 0


def _agent(row: sqlite3.Row | None) -> Agent | None:
    return Agent(**row) if row is not None else None
