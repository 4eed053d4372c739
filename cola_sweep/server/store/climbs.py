"""How far the runs of a sweep have come up its rungs, kept so that judging one reads no history of the others.

A row holds for one rule (metric and rungs, as a text) and the first `lines` lines of history; under another
rule it counts for nothing. `streams` drops the row of a run whose lines change.
"""

from dataclasses import dataclass
from typing import Any

from cola_sweep.server.store.database import Store


@dataclass(frozen=True)
class Kept:
    """A run, how many lines of history it has, and what was kept when it had `lines`: None and 0 for nothing."""

    run_id: int
    history_lines: int
    lines: int
    climb_json: str | None


def of_run(store: Store, run_id: int, rule: str) -> Kept | None:
    """What is kept of a run; None if it was deleted."""
    return next(iter(_kept(store, rule, "runs.id = ?", run_id)), None)


def of_sweep(store: Store, sweep_id: int, rule: str) -> list[Kept]:
    """What is kept of each run of a sweep."""
    return _kept(store, rule, "runs.sweep_id = ?", sweep_id)


def keep(store: Store, run_id: int, rule: str, lines: int, climb_json: str) -> None:
    """Keep how far a run had come with so many lines."""
    with store.write() as db:
        db.execute("INSERT OR REPLACE INTO climbs VALUES (?, ?, ?, ?)", (run_id, rule, lines, climb_json))


def _kept(store: Store, rule: str, where: str, value: Any) -> list[Kept]:
    sql = f"""SELECT runs.id, history_lines, coalesce(climbs.lines, 0), climb_json
              FROM runs LEFT JOIN climbs ON climbs.run_id = runs.id AND climbs.rule = ?
              WHERE {where} AND deleted_at IS NULL ORDER BY runs.id"""
    return [Kept(*row) for row in store.all(sql, (rule, value))]
