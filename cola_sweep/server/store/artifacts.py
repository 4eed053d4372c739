"""Artifacts: upload, commit, changes, lineage, deletion.

An artifact is PENDING from its first request until its manifest and files are here; until then only its uploader, who
knows its id, can see it. Commit makes it a version of its sequence and moves the aliases, in one transaction.
"""

import hashlib
import json
import sqlite3
from dataclasses import dataclass
from typing import Any, Literal

from cola_sweep.server.graphql import Refused
from cola_sweep.server.manifests import Manifest
from cola_sweep.server.store import artifact_files, collections, memberships
from cola_sweep.server.store.database import Store

Role = Literal["output", "input"]


@dataclass(frozen=True)
class Artifact:
    """One row of `artifacts`, with its tags and its version in its own sequence (None before commit)."""

    id: int
    sequence_id: int
    run_id: int | None
    state: str
    digest: str
    distributed_id: str | None
    description: str | None
    metadata_json: str | None
    ttl_seconds: int | None
    history_step: int | None
    wanted_aliases_json: str
    size: int
    file_count: int
    manifest_id: int | None
    created_at: str
    updated_at: str
    tag_names_json: str
    version_index: int | None

    @property
    def commit_hash(self) -> str | None:
        """A name for what was committed, none before."""
        if self.state != "COMMITTED":
            return None
        return hashlib.sha1(f"{self.id}:{self.digest}:{self.created_at}".encode()).hexdigest()[:20]


@dataclass(frozen=True)
class Draft:
    """What a client says of an artifact that it is about to upload."""

    digest: str
    client_id: str | None = None
    distributed_id: str | None = None
    description: str | None = None
    metadata_json: str | None = None
    ttl_seconds: int | None = None
    history_step: int | None = None
    aliases: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


def by_id(store: Store, artifact_id: int) -> Artifact | None:
    """The artifact in that row, committed or not, or None."""
    return _artifact(store.one(f"{_SELECT} WHERE a.id = ?", (artifact_id,)))


def of_members(store: Store, collection_id: int) -> dict[int, Artifact]:
    """The artifacts of a collection by the number of the version they are in it, ascending."""
    sql = f"""{_SELECT} JOIN artifact_memberships v ON v.artifact_id = a.id
        WHERE v.collection_id = ? ORDER BY v.version"""
    versions = memberships.of_collection(store, collection_id)
    rows = store.all(sql, (collection_id,))
    return {member.version_index: Artifact(**row) for member, row in zip(versions, rows, strict=True)}


def of_sequence(store: Store, sequence_id: int) -> list[int]:
    """The ids of a sequence's artifacts, those still being uploaded included."""
    return [row[0] for row in store.all("SELECT id FROM artifacts WHERE sequence_id = ?", (sequence_id,))]


def abandoned(store: Store, sequence_id: int, before: str) -> list[int]:
    """The ids of a sequence's uploads that were begun before that time and never committed."""
    sql = "SELECT id FROM artifacts WHERE sequence_id = ? AND state = 'PENDING' AND created_at < ?"
    return [row[0] for row in store.all(sql, (sequence_id, before))]


def client_id(store: Store, text: str) -> tuple[Literal["Artifact", "ArtifactCollection"], int] | None:
    """What the id that a client chose names: the kind and the row."""
    row = store.one("SELECT artifact_id, sequence_id FROM artifact_client_ids WHERE client_id = ?", (text,))
    if row is None:
        return None
    return ("ArtifactCollection", row[1]) if row[0] is None else ("Artifact", row[0])


def name_by_client(store: Store, text: str, *, artifact_id: int | None = None, sequence_id: int | None = None) -> None:
    """Let an id that a client chose name the artifact or the sequence."""
    with store.write() as db:
        db.execute(
            """INSERT INTO artifact_client_ids (client_id, artifact_id, sequence_id) VALUES (?, ?, ?)
            ON CONFLICT DO NOTHING""",
            (text, artifact_id, sequence_id),
        )


def begin(store: Store, sequence_id: int, draft: Draft, run_id: int | None, *, deduplicate: bool) -> Artifact:
    """The artifact to upload to, or a committed one that makes the upload needless.

    That is, in this order: the one this client began before (a repeated request); the one other processes share under
    the same distributed id; with `deduplicate` a committed one of the same digest, which gets the aliases; a new one.

    Raises:
        Refused: an alias or tag that cannot be one.
    """
    for alias in draft.aliases:
        memberships.checked_alias(alias)
    with store.write():
        artifact = _of_client(store, draft.client_id) or _shared(store, sequence_id, draft.distributed_id)
        if artifact is None and deduplicate and (artifact := _same(store, sequence_id, draft.digest)):
            memberships.add(store, sequence_id, artifact.id, draft.aliases)
            collections.add_tags(store, draft.tags, artifact_id=artifact.id)
        if artifact is None:
            artifact = _insert(store, sequence_id, draft, run_id)
        if draft.client_id:
            name_by_client(store, draft.client_id, artifact_id=artifact.id)
        if run_id is not None:
            record(store, run_id, artifact.id, "output")
    return artifact


def commit(store: Store, artifact_id: int, manifest_id: int, manifest: Manifest, digest: str) -> None:
    """Make a pending artifact its sequence's newest version; a committed one, or one deleted meanwhile, stays so.

    Args:
        manifest_id: row of the whole manifest.
        manifest: that manifest.
        digest: of its contents.
    """
    with store.write() as db:
        artifact = by_id(store, artifact_id)
        if artifact is None or artifact.state == "COMMITTED":
            return
        db.execute(
            """UPDATE artifacts SET state = 'COMMITTED', manifest_id = ?, digest = ?, size = ?, file_count = ?,
            updated_at = ? WHERE id = ?""",
            (manifest_id, digest, manifest.size, manifest.file_count, store.now(), artifact_id),
        )
        artifact_files.replace(store, artifact_id, manifest.entries())
        memberships.add(store, artifact.sequence_id, artifact_id, json.loads(artifact.wanted_aliases_json))


def update(store: Store, artifact_id: int, **columns: Any) -> None:
    """Set `description`, `metadata_json` or `ttl_seconds`; `updated_at` follows by itself."""
    assert columns.keys() <= {"description", "metadata_json", "ttl_seconds"}
    row = {**columns, "updated_at": store.now()}
    with store.write() as db:
        assignments = ", ".join(f"{name} = ?" for name in row)
        db.execute(f"UPDATE artifacts SET {assignments} WHERE id = ?", [*row.values(), artifact_id])


def delete(store: Store, artifact_id: int, *, with_aliases: bool = False) -> None:
    """Delete an artifact and its links; where it was `latest`, the newest version left becomes that.

    Raises:
        Refused: it has aliases, in its sequence or where it is linked, and `with_aliases` is not set.
    """
    with store.write() as db:
        members = memberships.of_artifact(store, artifact_id)
        aliases = [alias.alias for member in members for alias in memberships.aliases_of_member(store, member.id)]
        if aliases and not with_aliases:
            raise Refused(f"cannot delete an artifact that has aliases: {', '.join(sorted(set(aliases)))}")
        db.execute("DELETE FROM artifacts WHERE id = ?", (artifact_id,))
        for member in members:
            memberships.restore_latest(store, member.collection_id)


def record(store: Store, run_id: int, artifact_id: int, role: Role, used_as: str | None = None) -> None:
    """Note that a run logged the artifact, or used it; the first time counts."""
    with store.write() as db:
        db.execute(
            """INSERT INTO artifact_lineage (run_id, artifact_id, role, used_as, created_at) VALUES (?, ?, ?, ?, ?)
            ON CONFLICT DO NOTHING""",
            (run_id, artifact_id, role, used_as, store.now()),
        )


def of_run(store: Store, run_id: int, role: Role) -> list[Artifact]:
    """The committed artifacts that a run logged or used, in the order it first did."""
    sql = f"""{_SELECT} JOIN artifact_lineage l ON l.artifact_id = a.id
        WHERE l.run_id = ? AND l.role = ? AND a.state = 'COMMITTED' ORDER BY l.created_at, a.id"""
    return [Artifact(**row) for row in store.all(sql, (run_id, role))]


def made_by(store: Store, run_id: int) -> list[int]:
    """The ids of the artifacts that a run made, those still being uploaded included."""
    return [row[0] for row in store.all("SELECT id FROM artifacts WHERE run_id = ?", (run_id,))]


def users(store: Store, artifact_id: int) -> list[int]:
    """The ids of the runs that used an artifact, in the order they first did."""
    sql = "SELECT run_id FROM artifact_lineage WHERE artifact_id = ? AND role = 'input' ORDER BY created_at, run_id"
    return [row[0] for row in store.all(sql, (artifact_id,))]


_COLUMNS = [name for name in Artifact.__annotations__ if name not in ("tag_names_json", "version_index")]
_SELECT = f"""SELECT {", ".join(f"a.{name}" for name in _COLUMNS)}, own.version AS version_index,
        (SELECT json_group_array(name) FROM artifact_tags WHERE artifact_id = a.id) AS tag_names_json
    FROM artifacts a
    LEFT JOIN artifact_memberships own ON own.artifact_id = a.id AND own.collection_id = a.sequence_id"""


def _of_client(store: Store, text: str | None) -> Artifact | None:
    named = client_id(store, text) if text else None
    return by_id(store, named[1]) if named and named[0] == "Artifact" else None


def _shared(store: Store, sequence_id: int, distributed_id: str | None) -> Artifact | None:
    sql = f"{_SELECT} WHERE a.sequence_id = ? AND a.distributed_id = ? ORDER BY a.id"
    return _artifact(store.one(sql, (sequence_id, distributed_id)))


def _same(store: Store, sequence_id: int, digest: str) -> Artifact | None:
    sql = f"{_SELECT} WHERE a.sequence_id = ? AND a.digest = ? AND a.state = 'COMMITTED' ORDER BY a.id DESC"
    return _artifact(store.one(sql, (sequence_id, digest)))


def _insert(store: Store, sequence_id: int, draft: Draft, run_id: int | None) -> Artifact:
    now = store.now()
    row = {
        "sequence_id": sequence_id,
        "run_id": run_id,
        "state": "PENDING",
        "digest": draft.digest,
        "distributed_id": draft.distributed_id,
        "description": draft.description,
        "metadata_json": draft.metadata_json,
        "ttl_seconds": draft.ttl_seconds,
        "history_step": draft.history_step,
        "wanted_aliases_json": json.dumps(draft.aliases),
        "created_at": now,
        "updated_at": now,
    }
    with store.write() as db:
        sql = f"INSERT INTO artifacts ({', '.join(row)}) VALUES ({', '.join('?' * len(row))})"
        made = by_id(store, db.execute(sql, list(row.values())).lastrowid or 0)
        assert made is not None
        collections.add_tags(store, draft.tags, artifact_id=made.id)
    return made


def _artifact(row: sqlite3.Row | None) -> Artifact | None:
    return Artifact(**row) if row else None
