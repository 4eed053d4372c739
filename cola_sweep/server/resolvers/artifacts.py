"""Artifacts: reading them, their files and their lineage. Uploads and changes are merged in from their own modules."""

import mimetypes
from typing import Any

from cola_sweep.server import ids
from cola_sweep.server.artifact_bytes import file_path, manifest_path
from cola_sweep.server.connections import page
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, Refused, Resolvers
from cola_sweep.server.listing import listing
from cola_sweep.server.manifests import Entry
from cola_sweep.server.resolvers import artifact_changes, artifact_uploads
from cola_sweep.server.resolvers import collections as collection_resolvers
from cola_sweep.server.store import artifact_files, artifacts, collections, memberships, runs
from cola_sweep.server.store.artifacts import Artifact
from cola_sweep.server.store.collections import ArtifactCollection, ArtifactType, Tag
from cola_sweep.server.store.memberships import ArtifactAlias, ArtifactCollectionMembership
from cola_sweep.server.store.projects import Project
from cola_sweep.server.store.runs import Run

_reads = Resolvers()
_INHERITED = -2  # what W&B answers as the time to live of an artifact that has none of its own


@_reads.field("Query", "artifact")
def artifact(context: Context, parent: Any, args: Args) -> Artifact | None:
    return artifacts.by_id(context.store, ids.decode(args.get("id"), "Artifact"))


@_reads.field("Query", "clientIDMapping")
def client_id_mapping(context: Context, parent: Any, args: Args) -> Args | None:
    named = artifacts.client_id(context.store, args.get("clientID") or "")
    return {"serverID": ids.encode(*named)} if named else None


@_reads.field("Project", "artifactCollectionMembership")
def membership_by_name(context: Context, project: Project, args: Args) -> ArtifactCollectionMembership | None:
    name, _, reference = (args.get("name") or "").partition(":")
    found = collections.named(context.store, project.id, name)
    return memberships.find(context.store, found.id, reference) if found else None


@_reads.field("Project", "artifact")
def artifact_by_name(context: Context, project: Project, args: Args) -> Artifact | None:
    found = membership_by_name(context, project, args)
    return artifacts.by_id(context.store, found.artifact_id) if found else None


# Fields


@_reads.field("Artifact", "id")
def artifact_id(context: Context, parent: Artifact, args: Args) -> str:
    return ids.encode("Artifact", parent.id)


@_reads.field("Artifact", "artifactSequence")
def artifact_sequence(context: Context, parent: Artifact, args: Args) -> ArtifactCollection | None:
    return collections.by_id(context.store, parent.sequence_id)


@_reads.field("Artifact", "artifactType")
def artifact_type(context: Context, parent: Artifact, args: Args) -> ArtifactType | None:
    sequence = collections.by_id(context.store, parent.sequence_id)
    return collections.type_by_id(context.store, sequence.type_id) if sequence else None


@_reads.field("Artifact", "metadata")
def metadata(context: Context, parent: Artifact, args: Args) -> str | None:
    return parent.metadata_json


@_reads.field("Artifact", "ttlDurationSeconds")
def ttl_duration_seconds(context: Context, parent: Artifact, args: Args) -> int:
    return _INHERITED if parent.ttl_seconds is None else parent.ttl_seconds


@_reads.field("Artifact", "ttlIsInherited")
def ttl_is_inherited(context: Context, parent: Artifact, args: Args) -> bool:
    return parent.ttl_seconds is None


@_reads.field("Artifact", "digestAlgorithm")
def digest_algorithm(context: Context, parent: Artifact, args: Args) -> str:
    return "MANIFEST_MD5"


@_reads.field("Artifact", "tags")
def artifact_tags(context: Context, parent: Artifact, args: Args) -> list[Tag]:
    return collections.tags(context.store, artifact_id=parent.id)


@_reads.field("Artifact", "aliases")
def artifact_aliases(context: Context, parent: Artifact, args: Args) -> list[ArtifactAlias]:
    members = memberships.of_artifact(context.store, parent.id)
    return [alias for member in members for alias in memberships.aliases_of_member(context.store, member.id)]


@_reads.field("Artifact", "artifactMemberships")
def artifact_memberships(context: Context, parent: Artifact, args: Args) -> Args:
    members = memberships.of_artifact(context.store, parent.id)
    return page(members, args.get("first"), lambda member: ids.encode("ArtifactCollectionMembership", member.id))


# Lineage


@_reads.field("Artifact", "createdBy")
def created_by(context: Context, parent: Artifact, args: Args) -> Run | None:
    return runs.by_id(context.store, parent.run_id) if parent.run_id is not None else None


@_reads.field("Artifact", "usedBy")
def used_by(context: Context, parent: Artifact, args: Args) -> Args:
    found = [runs.by_id(context.store, number) for number in artifacts.users(context.store, parent.id)]
    return page([run for run in found if run], args.get("first"), lambda run: ids.encode("Run", run.id))


@_reads.field("Run", "outputArtifacts")
def output_artifacts(context: Context, run: Run, args: Args) -> Args:
    return _of_run(context, artifacts.of_run(context.store, run.id, "output"), args)


@_reads.field("Run", "inputArtifacts")
def input_artifacts(context: Context, run: Run, args: Args) -> Args:
    return _of_run(context, artifacts.of_run(context.store, run.id, "input"), args)


def _of_run(context: Context, found: list[Artifact], args: Args) -> Args:
    places = {artifact.id: place for place, artifact in enumerate(found)}

    def fields(each: Artifact) -> Args:
        return {**collection_resolvers.fields_of_artifact(each, each.version_index), "place": places[each.id]}

    return listing(found, args, key=lambda each: each.id, fields=fields, order="+place")


# Files


@_reads.field("Artifact", "currentManifest")
def current_manifest(context: Context, parent: Artifact, args: Args) -> Args | None:
    if parent.manifest_id is None:
        return None
    return {
        "__typename": "ArtifactManifest",
        "id": ids.encode("ArtifactManifest", parent.manifest_id),
        "file": {"directUrl": context.urls.signed("GET", manifest_path(parent.manifest_id))},
    }


@_reads.field("Artifact", "files")
def files_of_artifact(context: Context, parent: Artifact, args: Args) -> Args:
    return _files(context, parent, args)


@_reads.field("ArtifactCollectionMembership", "files")
def files_of_membership(context: Context, parent: ArtifactCollectionMembership, args: Args) -> Args | None:
    found = artifacts.by_id(context.store, parent.artifact_id)
    return _files(context, found, args) if found else None


@_reads.field("Artifact", "filesByManifestEntries")
def files_by_manifest_entries(context: Context, parent: Artifact, args: Args) -> Args:
    return _files(context, parent, {"names": [entry["name"] for entry in args.get("entries") or ()]})


def _files(context: Context, parent: Artifact, args: Args) -> Args:
    if parent.state != "COMMITTED":
        raise Refused("the artifact is still being uploaded")
    names, first = args.get("names"), args.get("first")
    limit = -1 if first is None else max(first, 0) + 1
    # The cursor of a file is its path: the list is in their order.
    found = artifact_files.page(context.store, parent.id, names=names, after=args.get("after") or "", limit=limit)
    connection = page([_file(context, parent, each) for each in found], first, lambda file: file["name"])
    return {**connection, "totalCount": artifact_files.count(context.store, parent.id, names)}


def _file(context: Context, parent: Artifact, file: Entry) -> Args:
    # A whole answer, since the resolvers of the type File are for the files of runs.
    # A client downloads a reference itself, from where it leads, but wants to see it listed.
    url = context.urls.signed("GET", file_path(file.md5)) if file.md5 else file.ref
    return {
        "__typename": "File",
        "id": ids.encode(f"ArtifactFile:{file.path}", parent.id),
        "name": file.path,
        "displayName": file.path,
        "url": url,
        "directUrl": url,
        "sizeBytes": file.size,
        "storagePath": f"wandb_artifacts/{file.md5}" if file.md5 else None,
        "mimetype": mimetypes.guess_type(file.path)[0] or "application/octet-stream",
        "updatedAt": parent.updated_at,
        "digest": file.digest,
        "md5": file.digest if file.md5 else None,
    }


resolvers = Resolvers(_reads, artifact_uploads.resolvers, artifact_changes.resolvers, collection_resolvers.resolvers)
