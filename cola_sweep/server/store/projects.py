"""Projects: a name under an entity (a user or a team)."""

import sqlite3
from dataclasses import dataclass

from cola_sweep.server import names
from cola_sweep.server.store.database import Store


@dataclass(frozen=True)
class Project:
    """One row of `projects`."""

    id: int
    entity: str
    name: str
    created_at: str
    description: str | None = None


def get(store: Store, entity: str, name: str) -> Project | None:
    """The project of that name, or None."""
    return _project(store.one(f"{_SELECT} WHERE entity = ? AND name = ?", (entity, name)))


def by_id(store: Store, project_id: int) -> Project | None:
    """The project in that row, or None."""
    return _project(store.one(f"{_SELECT} WHERE id = ?", (project_id,)))


def of_entity(store: Store, entity: str, *, after: int = 0, limit: int | None = None) -> list[Project]:
    """An entity's projects in the order they were made, from the first whose id exceeds `after`."""
    sql = f"{_SELECT} WHERE entity = ? AND id > ? ORDER BY id LIMIT ?"
    return [Project(**row) for row in store.all(sql, (entity, after, -1 if limit is None else limit))]


def ensure(store: Store, entity: str, name: str) -> Project:
    """The project of that name, made if it is not there.

    Raises:
        names.ReservedName: no entity can be called that.
    """
    if project := get(store, entity, name):
        return project
    names.check_entity(entity)
    with store.write() as db:
        db.execute(
            "INSERT INTO projects (entity, name, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (entity, name, store.now()),
        )
        made = get(store, entity, name)
    assert made is not None
    return made


def describe(store: Store, project_id: int, description: str) -> None:
    """Set a project's description."""
    with store.write() as db:
        db.execute("UPDATE projects SET description = ? WHERE id = ?", (description, project_id))


_SELECT = "SELECT id, entity, name, created_at, description FROM projects"


def _project(row: sqlite3.Row | None) -> Project | None:
    return Project(**row) if row is not None else None
