"""Artifact types and collections, and the tags of collections and artifacts.

A collection is a sequence, whose versions are logged to it, or a portfolio, whose versions are linked into it.
"""

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from cola_sweep.server.graphql import Refused
from cola_sweep.server.store.database import Store

Kind = Literal["ArtifactSequence", "ArtifactPortfolio"]


@dataclass(frozen=True)
class ArtifactType:
    """One row of `artifact_types`."""

    id: int
    project_id: int
    name: str
    description: str | None
    created_at: str


@dataclass(frozen=True)
class ArtifactCollection:
    """One row of `artifact_collections`; always of one of the two subclasses."""

    id: int
    project_id: int
    type_id: int
    name: str
    description: str | None
    next_version: int
    created_at: str
    updated_at: str

    @property
    def visible(self) -> bool:
        """Whether it has ever held a version; if not, it is but the start of an upload."""
        return self.next_version > 0


class ArtifactSequence(ArtifactCollection):
    """A collection whose versions are logged to it."""


class ArtifactPortfolio(ArtifactCollection):
    """A collection whose versions are links to those of sequences."""


@dataclass(frozen=True)
class Tag:
    """A tag of an artifact or of a collection."""

    id: int
    name: str


def types(store: Store, project_id: int) -> list[ArtifactType]:
    """A project's artifact types that have a visible collection, oldest first."""
    visible = "SELECT type_id FROM artifact_collections WHERE next_version > 0"
    sql = f"{_TYPES} WHERE project_id = ? AND id IN ({visible}) ORDER BY id"
    return [ArtifactType(**row) for row in store.all(sql, (project_id,))]


def type_named(store: Store, project_id: int, name: str) -> ArtifactType | None:
    """The project's artifact type of that name, or None."""
    row = store.one(f"{_TYPES} WHERE project_id = ? AND name = ?", (project_id, name))
    return ArtifactType(**row) if row else None


def type_by_id(store: Store, type_id: int) -> ArtifactType:
    """The artifact type in that row, which must exist."""
    row = store.one(f"{_TYPES} WHERE id = ?", (type_id,))
    assert row is not None, f"no artifact type {type_id}"
    return ArtifactType(**row)


def ensure_type(store: Store, project_id: int, name: str) -> ArtifactType:
    """The project's artifact type of that name, made if it is not there."""
    with store.write() as db:
        db.execute(
            "INSERT INTO artifact_types (project_id, name, created_at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (project_id, name, store.now()),
        )
        made = type_named(store, project_id, name)
    assert made is not None
    return made


def of_project(store: Store, project_id: int, type_id: int | None = None) -> list[ArtifactCollection]:
    """A project's visible collections (of one type, if given), oldest first."""
    sql = f"{_COLLECTIONS} WHERE project_id = ? AND (? IS NULL OR type_id = ?) AND next_version > 0 ORDER BY id"
    return [_collection(row) for row in store.all(sql, (project_id, type_id, type_id))]


def named(store: Store, project_id: int, name: str) -> ArtifactCollection | None:
    """The project's collection of that name, or None."""
    row = store.one(f"{_COLLECTIONS} WHERE project_id = ? AND name = ?", (project_id, name))
    return _collection(row) if row else None


def by_id(store: Store, collection_id: int) -> ArtifactCollection | None:
    """The collection in that row, or None."""
    row = store.one(f"{_COLLECTIONS} WHERE id = ?", (collection_id,))
    return _collection(row) if row else None


def ensure(store: Store, project_id: int, kind: Kind, name: str, type_name: str) -> ArtifactCollection:
    """The project's collection of that name, made if it is not there.

    Raises:
        Refused: the name is taken by a collection of the other kind or of another type, or cannot be one.
    """
    _check_name(name)
    with store.write() as db:
        found = named(store, project_id, name)
        if found is None:
            type_id = ensure_type(store, project_id, type_name).id
            now = store.now()
            db.execute(
                """INSERT INTO artifact_collections (project_id, type_id, kind, name, created_at, updated_at)
                VALUES (?, ?, ?, ?, ?, ?)""",
                (project_id, type_id, kind, name, now, now),
            )
            found = named(store, project_id, name)
            assert found is not None
        its_type = type_by_id(store, found.type_id).name
    if type(found).__name__ != kind:
        raise Refused(f"{name!r} is already the name of another kind of collection, an {type(found).__name__}")
    if its_type != type_name:
        raise Refused(f"artifact {name!r} already exists with type {its_type!r}; cannot make it a {type_name!r}")
    return found


def update(store: Store, collection_id: int, *, name: str | None = None, description: str | None = None) -> None:
    """Rename or describe a collection; None leaves a column as it is.

    Raises:
        Refused: another collection of the project has that name, or none can.
    """
    if name is not None:
        _check_name(name)
    try:
        with store.write() as db:
            db.execute(
                """UPDATE artifact_collections SET name = coalesce(?, name),
                description = coalesce(?, description), updated_at = ? WHERE id = ?""",
                (name, description, store.now(), collection_id),
            )
    except sqlite3.IntegrityError:
        raise Refused(f"the project already has an artifact collection {name!r}") from None


def move(store: Store, collection_id: int, type_name: str) -> None:
    """Give a sequence, and so all its versions, another type of its project.

    Raises:
        Refused: a version is linked to a portfolio, whose type it would no longer have.
    """
    linked = """SELECT c.name FROM artifact_memberships m JOIN artifacts a ON a.id = m.artifact_id
        JOIN artifact_collections c ON c.id = m.collection_id WHERE a.sequence_id = ? AND c.id != a.sequence_id"""
    with store.write() as db:
        found = by_id(store, collection_id)
        assert found is not None
        if portfolio := store.one(linked, (collection_id,)):
            raise Refused(
                f"{found.name!r} has versions linked to {portfolio[0]!r}: unlink them before changing its type"
            )
        db.execute(
            "UPDATE artifact_collections SET type_id = ?, updated_at = ? WHERE id = ?",
            (ensure_type(store, found.project_id, type_name).id, store.now(), collection_id),
        )


def delete(store: Store, collection_id: int) -> None:
    """Delete a collection; with a sequence go its artifacts, and their places in portfolios."""
    with store.write() as db:
        db.execute("DELETE FROM artifact_collections WHERE id = ?", (collection_id,))


def tags(store: Store, *, artifact_id: int | None = None, collection_id: int | None = None) -> list[Tag]:
    """The tags of the artifact or of the collection, oldest first."""
    sql = "SELECT id, name FROM artifact_tags WHERE artifact_id IS ? AND collection_id IS ? ORDER BY id"
    return [Tag(**row) for row in store.all(sql, (artifact_id, collection_id))]


def add_tags(
    store: Store, names: Iterable[str], *, artifact_id: int | None = None, collection_id: int | None = None
) -> None:
    """Tag an artifact or a collection; a tag it has stays.

    Raises:
        Refused: a name that cannot be a tag.
    """
    with store.write() as db:
        for name in names:
            if len(name) > 128 or not _TAG.fullmatch(name):
                raise Refused(f"{name!r} cannot be a tag: 1 to 128 letters, digits, '-', '_' and inner spaces")
            db.execute(
                "INSERT INTO artifact_tags (artifact_id, collection_id, name) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
                (artifact_id, collection_id, name),
            )


def remove_tags(
    store: Store, names: Iterable[str], *, artifact_id: int | None = None, collection_id: int | None = None
) -> None:
    """Take tags from an artifact or a collection; those it has not are no matter."""
    with store.write() as db:
        for name in names:
            db.execute(
                "DELETE FROM artifact_tags WHERE artifact_id IS ? AND collection_id IS ? AND name = ?",
                (artifact_id, collection_id, name),
            )


_TAG = re.compile(r"[-\w]+( +[-\w]+)*")
_TYPES = "SELECT id, project_id, name, description, created_at FROM artifact_types"
_COLLECTIONS = """SELECT kind, id, project_id, type_id, name, description, next_version, created_at, updated_at
    FROM artifact_collections"""


def _check_name(name: object) -> None:
    if not isinstance(name, str) or not 1 <= len(name) <= 128 or set(name) & set("/:"):
        raise Refused(f"{name!r} cannot name an artifact: 1 to 128 characters without '/' and ':'")


def _collection(row: sqlite3.Row) -> ArtifactCollection:
    columns = dict(row)
    classes = {"ArtifactSequence": ArtifactSequence, "ArtifactPortfolio": ArtifactPortfolio}
    return classes[columns.pop("kind")](**columns)
