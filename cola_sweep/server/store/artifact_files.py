"""What artifacts are made of: rows of manifests and of their entries. The bytes themselves lie in the data folder.

A file's bytes are kept under their MD5 for as long as a row names it; rows of a pending artifact count too, so that
bytes that its client was told it need not send again do not go away under it.
"""

import json
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from cola_sweep.server.manifests import Entry, md5_base64
from cola_sweep.server.store.database import Store

ManifestKind = Literal["FULL", "INCREMENTAL", "PATCH"]
KINDS: Mapping[str, ManifestKind] = {"FULL": "FULL", "INCREMENTAL": "INCREMENTAL", "PATCH": "PATCH"}


@dataclass(frozen=True)
class ArtifactManifest:
    """One row of `artifact_manifests`.

    Attributes:
        digest: base64 MD5 of its bytes; empty until the client has said.
        base_id: the artifact that an INCREMENTAL one goes on top of.
        received: whether its bytes are here.
    """

    id: int
    artifact_id: int
    kind: ManifestKind
    digest: str
    base_id: int | None
    received: bool


@dataclass(frozen=True)
class Held:
    """The bytes that some artifacts' rows keep: MD5s (hex) of files, ids of manifests."""

    md5s: frozenset[str]
    manifest_ids: frozenset[int]


def manifest(store: Store, manifest_id: int) -> ArtifactManifest | None:
    """The manifest in that row, or None."""
    rows = store.all(f"{_MANIFESTS} WHERE id = ?", (manifest_id,))
    return ArtifactManifest(**rows[0]) if rows else None


def manifests(store: Store, artifact_id: int) -> list[ArtifactManifest]:
    """An artifact's manifests, oldest first."""
    return [
        ArtifactManifest(**row) for row in store.all(f"{_MANIFESTS} WHERE artifact_id = ? ORDER BY id", (artifact_id,))
    ]


def add_manifest(
    store: Store, artifact_id: int, kind: ManifestKind, digest: str, base_id: int | None
) -> ArtifactManifest:
    """The artifact's manifest of that kind, made if need be; of PATCHes each call makes one, a part."""
    with store.write() as db:
        found = next((m for m in manifests(store, artifact_id) if m.kind == kind != "PATCH"), None)
        if found is None:
            number = db.execute(
                "INSERT INTO artifact_manifests (artifact_id, kind, base_id) VALUES (?, ?, ?)",
                (artifact_id, kind, base_id),
            ).lastrowid
        else:
            number = found.id
        assert number is not None
        if digest:
            expect(store, number, digest)
        made = manifest(store, number)
    assert made is not None
    return made


def expect(store: Store, manifest_id: int, digest: str) -> None:
    """Set the base64 MD5 of the bytes that are to come for a manifest."""
    with store.write() as db:
        db.execute("UPDATE artifact_manifests SET digest = ?, received = 0 WHERE id = ?", (digest, manifest_id))


def receive(store: Store, manifest_id: int) -> None:
    """Note that a manifest's bytes are here."""
    with store.write() as db:
        db.execute("UPDATE artifact_manifests SET received = 1 WHERE id = ?", (manifest_id,))


def promise(store: Store, files: Iterable[tuple[int, str, str]]) -> None:
    """Keep the bytes of files (artifact id, path, hex MD5) that a pending artifact is going to list."""
    with store.write() as db:
        db.executemany(
            """INSERT INTO artifact_files (artifact_id, path, digest, md5) VALUES (?, ?, ?, ?)
            ON CONFLICT (artifact_id, path) DO UPDATE SET digest = excluded.digest, md5 = excluded.md5""",
            [(artifact_id, path, md5_base64(md5), md5) for artifact_id, path, md5 in files],
        )


def replace(store: Store, artifact_id: int, files: Iterable[Entry]) -> None:
    """Set what an artifact lists."""
    with store.write() as db:
        db.execute("DELETE FROM artifact_files WHERE artifact_id = ?", (artifact_id,))
        db.executemany(
            "INSERT INTO artifact_files (artifact_id, path, digest, md5, ref, size) VALUES (?, ?, ?, ?, ?, ?)",
            [(artifact_id, file.path, file.digest, file.md5, file.ref, file.size) for file in files],
        )


def page(
    store: Store, artifact_id: int, *, names: Collection[str] | None = None, after: str = "", limit: int = -1
) -> list[Entry]:
    """A committed artifact's files and references by path: those named, behind `after`, at most `limit` (-1: all)."""
    where, values = _where(artifact_id, names)
    sql = f"SELECT path, digest, md5, ref, size FROM artifact_files WHERE {where} AND path > ? ORDER BY path LIMIT ?"
    return [Entry(**row) for row in store.all(sql, [*values, after, limit])]


def count(store: Store, artifact_id: int, names: Collection[str] | None = None) -> int:
    """How many files `page` would give without limit."""
    where, values = _where(artifact_id, names)
    row = store.one(f"SELECT count(*) FROM artifact_files WHERE {where}", values)
    return int(row[0]) if row else 0


def in_collection(store: Store, collection_id: int, md5: str) -> bool:
    """Whether a version of the collection holds a file of that hex MD5."""
    sql = """SELECT 1 FROM artifact_files f JOIN artifact_memberships v ON v.artifact_id = f.artifact_id
        WHERE f.md5 = ? AND v.collection_id = ?"""
    return store.one(sql, (md5, collection_id)) is not None


def in_entity(store: Store, entity: str, md5: str) -> bool:
    """Whether a version of any collection of the entity's projects holds a file of that hex MD5."""
    sql = """SELECT 1 FROM artifact_files f JOIN artifact_memberships v ON v.artifact_id = f.artifact_id
        JOIN artifact_collections c ON c.id = v.collection_id JOIN projects p ON p.id = c.project_id
        WHERE f.md5 = ? AND p.entity = ?"""
    return store.one(sql, (md5, entity)) is not None


def held(store: Store, artifact_ids: Collection[int]) -> Held:
    """The bytes that these artifacts' rows keep."""
    md5s: set[str] = set()
    manifest_ids: set[int] = set()
    sql = "SELECT md5 FROM artifact_files WHERE artifact_id = ? AND md5 IS NOT NULL"
    for number in artifact_ids:
        md5s.update(row[0] for row in store.all(sql, (number,)))
        manifest_ids.update(each.id for each in manifests(store, number))
    return Held(frozenset(md5s), frozenset(manifest_ids))


def kept(store: Store, md5: str) -> bool:
    """Whether any artifact's row keeps the bytes of that hex MD5."""
    return store.one("SELECT 1 FROM artifact_files WHERE md5 = ?", (md5,)) is not None


_MANIFESTS = "SELECT id, artifact_id, kind, digest, base_id, received FROM artifact_manifests"


def _where(artifact_id: int, names: Collection[str] | None) -> tuple[str, list[object]]:
    if names is None:
        return "artifact_id = ?", [artifact_id]
    # One JSON parameter rather than a placeholder each: SQLite bounds the number of those.
    return "artifact_id = ? AND path IN (SELECT value FROM json_each(?))", [artifact_id, json.dumps(sorted(names))]
