"""Uploading artifacts: from `createArtifact` to `commitArtifact`, and noting that a run uses one.

The client asks in this order: createArtifact, createArtifactManifest (without upload), createArtifactFiles in batches,
PUT of the files, createArtifactManifest again or updateArtifactManifest (with its digest, for an address), PUT of the
manifest, commitArtifact.
"""

from typing import Any

from cola_sweep.server import artifact_bytes, ids, manifests, texts
from cola_sweep.server.artifact_bytes import file_path, manifest_path
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, Refused, Resolvers
from cola_sweep.server.manifests import BadManifest, Manifest
from cola_sweep.server.resolvers.collections import tag_names
from cola_sweep.server.store import artifact_files, artifacts, collections, projects, runs
from cola_sweep.server.store.artifact_files import ArtifactManifest, Held
from cola_sweep.server.store.artifacts import Artifact, Draft
from cola_sweep.server.store.database import iso
from cola_sweep.server.store.projects import Project

resolvers = Resolvers()
ABANDONED_SECONDS = 30 * 86400  # after which an upload is not awaited any more; clients try again for at most a week


@resolvers.field("Mutation", "createArtifact")
def create_artifact(context: Context, parent: Any, args: Args) -> Args:
    given = args["input"]
    if (region := given.get("storageRegion")) not in (None, "", "default"):
        raise Refused(f"invalid storageRegion: {region}; this server has but the default one")
    names = [given.get("artifactCollectionName"), *(given.get("artifactCollectionNames") or ())]
    name = next((each for each in names if each), "")
    draft = _draft(given)
    with context.store.write():
        project = projects.ensure(context.store, *_project_name(context, given))
        sequence = collections.ensure(
            context.store, project.id, "ArtifactSequence", name, given.get("artifactTypeName") or ""
        )
        if client_id := given.get("sequenceClientID"):
            artifacts.name_by_client(context.store, client_id, sequence_id=sequence.id)
        given_up = _forget_abandoned(context, sequence.id)
        found = artifacts.begin(
            context.store,
            sequence.id,
            draft,
            _run_id(context, project, given.get("runName")),
            deduplicate=bool(given.get("enableDigestDeduplication")),
        )
    artifact_bytes.release(context, given_up)
    return {"artifact": found}


@resolvers.field("Mutation", "createArtifactManifest")
def create_artifact_manifest(context: Context, parent: Any, args: Args) -> Args:
    given = args["input"]
    base, kind = given.get("baseArtifactID"), artifact_files.KINDS.get(given.get("type") or "FULL")
    if kind is None:
        raise Refused(f"{given['type']!r} is not a type of artifact manifest")
    row = artifact_files.add_manifest(
        context.store,
        pending(context, given["artifactID"]).id,
        kind,
        given.get("digest") or "",
        ids.decode(base, "Artifact") if base else None,
    )
    return {"artifactManifest": _manifest(context, row)}


@resolvers.field("Mutation", "updateArtifactManifest")
def update_artifact_manifest(context: Context, parent: Any, args: Args) -> Args:
    given = args["input"]
    row = artifact_files.manifest(context.store, ids.decode(given["artifactManifestID"], "ArtifactManifest"))
    if row is None:
        raise Refused("there is no such artifact manifest")
    pending(context, ids.encode("Artifact", row.artifact_id))
    if given.get("digest"):
        artifact_files.expect(context.store, row.id, given["digest"])
    return {"artifactManifest": _manifest(context, row)}


@resolvers.field("Mutation", "createArtifactFiles")
def create_artifact_files(context: Context, parent: Any, args: Args) -> Args:
    wanted = args["input"]["artifactFiles"]
    uploads = {text: pending(context, text) for text in {each["artifactID"] for each in wanted}}
    try:
        files = [(uploads[each["artifactID"]], each["name"], manifests.md5_hex(each["md5"])) for each in wanted]
    except BadManifest as error:
        raise Refused(str(error)) from None
    # Before looking what is here: from now on nobody deletes it (see `artifact_bytes.release`).
    artifact_files.promise(context.store, [(artifact.id, name, md5) for artifact, name, md5 in files])
    nodes = [
        {
            "__typename": "File",
            "name": name,
            "displayName": name,
            "storagePath": f"wandb_artifacts/{md5}",
            "uploadUrl": _upload_url(context, md5),
            "uploadHeaders": [],
            "uploadMultipartUrls": None,
            "artifact": artifact,
        }
        for artifact, name, md5 in files
    ]
    return {"files": {"edges": [{"node": node} for node in nodes]}}


@resolvers.field("Mutation", "commitArtifact")
def commit_artifact(context: Context, parent: Any, args: Args) -> Args:
    artifact = _known(context, args["input"]["artifactID"])
    if artifact.state == "PENDING":
        manifest_id, manifest, digest = _whole_manifest(context, artifact)
        if missing := artifact_bytes.missing_files(context.blobs, manifest):
            raise Refused(f"{len(missing)} files of the artifact were never uploaded, the first {missing[0]!r}")
        artifacts.commit(context.store, artifact.id, manifest_id, manifest, digest)
    return {"artifact": artifacts.by_id(context.store, artifact.id)}


@resolvers.field("Mutation", "useArtifact")
def use_artifact(context: Context, parent: Any, args: Args) -> Args:
    given = args["input"]
    artifact = _known(context, given["artifactID"])
    project = projects.get(context.store, *_project_name(context, given))
    run_id = _run_id(context, project, given.get("runName")) if project else None
    if run_id is None:
        raise Refused(f"there is no run {given.get('runName')!r} to use the artifact")
    artifacts.record(context.store, run_id, artifact.id, "input", given.get("usedAs"))
    return {"artifact": artifact}


def pending(context: Context, text: object) -> Artifact:
    """The artifact of a GraphQL id, still to be committed.

    Raises:
        Refused: there is none, or it is committed.
    """
    artifact = _known(context, text)
    if artifact.state != "PENDING":
        raise Refused("the artifact is committed: it can no longer be changed")
    return artifact


def _known(context: Context, text: object) -> Artifact:
    artifact = artifacts.by_id(context.store, ids.decode(text, "Artifact"))
    if artifact is None:
        raise Refused("there is no such artifact")
    return artifact


def _forget_abandoned(context: Context, sequence_id: int) -> Held:
    """Delete uploads to the sequence that nobody will go on with; what they held is to be released."""
    dead = artifacts.abandoned(context.store, sequence_id, iso(context.store.clock() - ABANDONED_SECONDS))
    held = artifact_files.held(context.store, dead)
    for number in dead:
        artifacts.delete(context.store, number)
    return held


def _project_name(context: Context, given: Args) -> tuple[str, str]:
    return given.get("entityName") or context.user.name, given.get("projectName") or "uncategorized"


def _run_id(context: Context, project: Project, name: str | None) -> int | None:
    run = runs.get(context.store, project.id, name) if name else None
    return run.id if run else None


def _draft(given: Args) -> Draft:
    return Draft(
        digest=given.get("digest") or "",
        client_id=given.get("clientID"),
        distributed_id=given.get("distributedID"),
        description=given.get("description"),
        metadata_json=checked_metadata(given.get("metadata")),
        ttl_seconds=ttl_seconds(given.get("ttlDurationSeconds")),
        history_step=given.get("historyStep"),
        aliases=tuple(each["alias"] for each in given.get("aliases") or ()),
        tags=tuple(tag_names(given.get("tags"))),
    )


def checked_metadata(text: str | None) -> str | None:
    """The JSON text of an artifact's metadata, if it is that of an object.

    Raises:
        Refused: it is not.
    """
    try:
        value = None if text is None else texts.parsed(text)
    except ValueError as error:
        raise Refused(f"an artifact's metadata must be JSON: {error}") from None
    if value is not None and not isinstance(value, dict):
        raise Refused("an artifact's metadata must be a JSON object")
    return text


def ttl_seconds(given: int | None) -> int | None:
    """A time to live as it is kept: the client's -1 means that of the collection, which is none here."""
    return None if given in (None, -1) else given


def _manifest(context: Context, row: ArtifactManifest) -> Args:
    number = ids.encode("ArtifactManifest", row.id)
    url = context.urls.signed("PUT", manifest_path(row.id))
    return {"id": number, "file": {"id": number, "uploadUrl": url, "uploadHeaders": []}}


def _upload_url(context: Context, md5: str) -> str | None:
    """Where to put a file; None if it is here already."""
    return None if context.blobs.artifact_file(md5).exists() else context.urls.signed("PUT", file_path(md5))


def _whole_manifest(context: Context, artifact: Artifact) -> tuple[int, Manifest, str]:
    """The manifest to commit, its row and the artifact's digest; of parts it is made here."""
    rows = artifact_files.manifests(context.store, artifact.id)
    parts = [row for row in rows if row.kind == "PATCH" and row.received]
    try:
        if parts:
            whole = manifests.merge(None, [artifact_bytes.read_manifest(context.blobs, row.id) for row in parts])
        else:
            row = next((row for row in rows if row.received), None)
            if row is None:
                raise Refused("the artifact's manifest was never uploaded")
            own = artifact_bytes.read_manifest(context.blobs, row.id)
            if row.kind == "FULL":
                return row.id, own, artifact.digest
            whole = manifests.merge(_base(context, row), [own])
    except (BadManifest, FileNotFoundError) as error:
        raise Refused(f"the artifact's manifest cannot be read: {error}") from None
    made = artifact_files.add_manifest(context.store, artifact.id, "FULL", "", None)
    artifact_bytes.write_manifest(context.blobs, made.id, whole.to_bytes())
    artifact_files.receive(context.store, made.id)
    return made.id, whole, whole.digest()


def _base(context: Context, row: ArtifactManifest) -> Manifest | None:
    """What an incremental manifest goes on top of."""
    if row.base_id is None:
        return None
    base = artifacts.by_id(context.store, row.base_id)
    if base is None or base.manifest_id is None:
        raise Refused("the version that the artifact continues is no longer there")
    return artifact_bytes.read_manifest(context.blobs, base.manifest_id)
