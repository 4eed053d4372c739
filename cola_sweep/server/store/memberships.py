"""Versions: which artifact is which number of which collection, and the aliases of that."""

import re
import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from cola_sweep.server.graphql import Refused
from cola_sweep.server.store.database import Store


@dataclass(frozen=True)
class ArtifactCollectionMembership:
    """An artifact as version `version_index` of a collection."""

    id: int
    collection_id: int
    artifact_id: int
    version_index: int
    created_at: str


@dataclass(frozen=True)
class ArtifactAlias:
    """A name for one version of a collection."""

    id: int
    collection_id: int
    membership_id: int
    alias: str


def of_collection(store: Store, collection_id: int) -> list[ArtifactCollectionMembership]:
    """A collection's versions, oldest first."""
    sql = f"{_MEMBERS} WHERE collection_id = ? ORDER BY version"
    return [ArtifactCollectionMembership(**row) for row in store.all(sql, (collection_id,))]


def of_artifact(store: Store, artifact_id: int) -> list[ArtifactCollectionMembership]:
    """The collections that an artifact is a version of: its sequence, then portfolios in the order of linking."""
    sql = f"{_MEMBERS} WHERE artifact_id = ? ORDER BY id"
    return [ArtifactCollectionMembership(**row) for row in store.all(sql, (artifact_id,))]


def newest(store: Store, collection_id: int) -> ArtifactCollectionMembership | None:
    """A collection's newest version, or None."""
    return _member(store.one(f"{_MEMBERS} WHERE collection_id = ? ORDER BY version DESC", (collection_id,)))


def find(store: Store, collection_id: int, reference: str | None) -> ArtifactCollectionMembership | None:
    """The version an alias, `vN` or digest means; `latest` and None mean the newest where no alias says otherwise."""
    reference = reference or "latest"
    sql = f"{_MEMBERS} WHERE id = (SELECT membership_id FROM artifact_aliases WHERE collection_id = ? AND alias = ?)"
    if found := _member(store.one(sql, (collection_id, reference))):
        return found
    if reference == "latest":
        return newest(store, collection_id)
    if number := _VERSION.fullmatch(reference):
        return _member(
            store.one(f"{_MEMBERS} WHERE collection_id = ? AND version = ?", (collection_id, int(number[1])))
        )
    sql = f"""{_MEMBERS} WHERE collection_id = ? AND artifact_id IN (SELECT id FROM artifacts WHERE digest = ?)
        ORDER BY version DESC"""
    return _member(store.one(sql, (collection_id, reference)))


def add(
    store: Store, collection_id: int, artifact_id: int, aliases: Iterable[str] = ()
) -> ArtifactCollectionMembership:
    """Make an artifact the collection's next version, or find the one it is; `latest` and `aliases` move to it."""
    with store.write() as db:
        sql = f"{_MEMBERS} WHERE collection_id = ? AND artifact_id = ?"
        found = _member(store.one(sql, (collection_id, artifact_id)))
        if found is None:
            now = store.now()
            version = db.execute(
                """UPDATE artifact_collections SET next_version = next_version + 1, updated_at = ? WHERE id = ?
                RETURNING next_version - 1""",
                (now, collection_id),
            ).fetchone()[0]
            db.execute(
                """INSERT INTO artifact_memberships (collection_id, artifact_id, version, created_at)
                VALUES (?, ?, ?, ?)""",
                (collection_id, artifact_id, version, now),
            )
            found = _member(store.one(sql, (collection_id, artifact_id)))
            assert found is not None
        give_aliases(store, found, ["latest", *aliases])
    return found


def remove(store: Store, collection_id: int, artifact_id: int) -> None:
    """Take an artifact out of a collection, with its aliases there; `latest` goes to the newest version left."""
    with store.write() as db:
        sql = "DELETE FROM artifact_memberships WHERE collection_id = ? AND artifact_id = ?"
        db.execute(sql, (collection_id, artifact_id))
        restore_latest(store, collection_id)


def restore_latest(store: Store, collection_id: int) -> None:
    """Let `latest` mean the newest version if, since a deletion, it means none."""
    with store.write():
        left = newest(store, collection_id)
        if left and "latest" not in {alias.alias for alias in aliases_of_collection(store, collection_id)}:
            give_aliases(store, left, ["latest"])


def give_aliases(store: Store, member: ArtifactCollectionMembership, names: Iterable[str]) -> None:
    """Let each name mean this version; it stops meaning another of the collection.

    Raises:
        Refused: a name that cannot be an alias.
    """
    with store.write() as db:
        for name in names:
            db.execute(
                """INSERT INTO artifact_aliases (collection_id, membership_id, alias) VALUES (?, ?, ?)
                ON CONFLICT (collection_id, alias) DO UPDATE SET membership_id = excluded.membership_id""",
                (member.collection_id, member.id, checked_alias(name)),
            )


def take_aliases(store: Store, member: ArtifactCollectionMembership, names: Iterable[str]) -> None:
    """Let these names no longer mean this version; names that do not are left alone."""
    with store.write() as db:
        for name in names:
            db.execute("DELETE FROM artifact_aliases WHERE membership_id = ? AND alias = ?", (member.id, name))


def checked_alias(name: str) -> str:
    """The name, if it can be an alias.

    Raises:
        Refused: empty, too long, with a separator of artifact paths, or one that already means a version.
    """
    if not name or len(name) > 128 or set(name) & set("/:"):
        raise Refused(f"{name!r} cannot be an alias: 1 to 128 characters without '/' and ':'")
    if _VERSION.fullmatch(name):
        raise Refused(f"{name!r} cannot be an alias: it is the number of a version")
    return name


def aliases_of_member(store: Store, membership_id: int) -> list[ArtifactAlias]:
    """A version's aliases, oldest first."""
    return [
        ArtifactAlias(**row) for row in store.all(f"{_ALIASES} WHERE membership_id = ? ORDER BY id", (membership_id,))
    ]


def aliases_of_collection(store: Store, collection_id: int) -> list[ArtifactAlias]:
    """All aliases of a collection, oldest first."""
    return [
        ArtifactAlias(**row) for row in store.all(f"{_ALIASES} WHERE collection_id = ? ORDER BY id", (collection_id,))
    ]


_VERSION = re.compile(r"v(\d{1,18})")
_MEMBERS = "SELECT id, collection_id, artifact_id, version AS version_index, created_at FROM artifact_memberships"
_ALIASES = "SELECT id, collection_id, membership_id, alias FROM artifact_aliases"


def _member(row: sqlite3.Row | None) -> ArtifactCollectionMembership | None:
    return ArtifactCollectionMembership(**row) if row else None
