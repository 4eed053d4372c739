"""Records of the files of runs whose bytes have arrived."""

from collections.abc import Sequence
from dataclasses import dataclass

from cola_sweep.server.store.database import Store


@dataclass(frozen=True)
class File:
    """One row of `files` with the names of its run; `md5` is base64."""

    id: int
    run_id: int
    name: str
    size: int
    md5: str
    updated_at: str
    entity: str
    project: str
    run: str


def record(store: Store, run_id: int, name: str, size: int, md5: str) -> None:
    """A file's bytes are in place; those of an earlier upload of that name are gone."""
    with store.write() as db:
        db.execute(
            "INSERT INTO files (run_id, name, size, md5, updated_at) VALUES (?, ?, ?, ?, ?)"
            " ON CONFLICT (run_id, name) DO UPDATE"
            " SET size = excluded.size, md5 = excluded.md5, updated_at = excluded.updated_at",
            (run_id, name, size, md5, store.now()),
        )


def get(store: Store, run_id: int, name: str) -> File | None:
    """A run's file of that name, or None."""
    row = store.one(f"{_SELECT} WHERE files.run_id = ? AND files.name = ?", (run_id, name))
    return File(**row) if row else None


def by_id(store: Store, file_id: int) -> File | None:
    """The file in that row, or None."""
    row = store.one(f"{_SELECT} WHERE files.id = ?", (file_id,))
    return File(**row) if row else None


def of_run(
    store: Store,
    run_id: int,
    *,
    names: Sequence[str] = (),
    pattern: str | None = None,
    after: str = "",
    limit: int = -1,
) -> list[File]:
    """A run's files in the order of their names, from the first beyond `after`.

    Args:
        names: only these, if any are given.
        pattern: only names that match this SQL LIKE pattern.
        limit: at most so many; -1 for all.
    """
    wanted = f" AND files.name IN ({', '.join('?' * len(names))})" if names else ""
    rows = store.all(
        f"{_SELECT} WHERE files.run_id = ? AND files.name > ?{wanted}"
        " AND (? IS NULL OR files.name LIKE ?) ORDER BY files.name LIMIT ?",
        (run_id, after, *names, pattern, pattern, limit),
    )
    return [File(**row) for row in rows]


def count(store: Store, run_id: int) -> int:
    """How many files a run has."""
    row = store.one("SELECT count(*) AS n FROM files WHERE run_id = ?", (run_id,))
    return row["n"] if row else 0


def remove(store: Store, file_id: int) -> None:
    """Forget a file."""
    with store.write() as db:
        db.execute("DELETE FROM files WHERE id = ?", (file_id,))


_SELECT = """
    SELECT files.id, files.run_id, files.name, files.size, files.md5, files.updated_at,
           projects.entity, projects.name AS project, runs.name AS run
    FROM files JOIN runs ON runs.id = files.run_id JOIN projects ON projects.id = runs.project_id"""
