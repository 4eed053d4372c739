"""Artifact types and collections: what a project has, their versions, and changing them."""

import json
from collections.abc import Callable, Iterable
from typing import Any

from cola_sweep.server import artifact_bytes, ids
from cola_sweep.server.connections import page
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, Refused, Resolver, Resolvers
from cola_sweep.server.listing import listing
from cola_sweep.server.store import artifact_files, artifacts, collections, memberships, projects
from cola_sweep.server.store.artifacts import Artifact
from cola_sweep.server.store.collections import (
    ArtifactCollection,
    ArtifactPortfolio,
    ArtifactSequence,
    ArtifactType,
    Tag,
)
from cola_sweep.server.store.memberships import ArtifactAlias, ArtifactCollectionMembership
from cola_sweep.server.store.projects import Project

resolvers = Resolvers()


def of_collection(*names: str) -> Callable[[Resolver], Resolver]:
    """Register the decorated function for fields of both kinds of collection."""

    def register(resolver: Resolver) -> Resolver:
        for kind in ("ArtifactSequence", "ArtifactPortfolio"):
            resolvers.field(kind, *names)(resolver)
        return resolver

    return register


def identified(context: Context, text: object) -> ArtifactCollection:
    """The collection of a GraphQL id.

    Raises:
        Refused: there is none.
    """
    found = collections.by_id(context.store, ids.decode(text, "ArtifactCollection"))
    if found is None:
        raise Refused("there is no such artifact collection")
    return found


def named(context: Context, given: Args) -> ArtifactCollection:
    """The collection that `entityName`, `projectName` and `artifactCollectionName` of an input mean.

    Raises:
        Refused: there is none.
    """
    entity, name = given.get("entityName") or context.user.name, given["artifactCollectionName"]
    project = projects.get(context.store, entity, given.get("projectName") or "")
    found = collections.named(context.store, project.id, name) if project else None
    if found is None:
        raise Refused(f"there is no artifact collection {entity}/{given.get('projectName')}/{name}")
    return found


def fields_of_artifact(artifact: Artifact, version: int | None) -> Args:
    """What filters and orders of versions may name."""
    return {
        "state": artifact.state,
        "version_index": version,
        "digest": artifact.digest,
        "size": artifact.size,
        "file_count": artifact.file_count,
        "description": artifact.description,
        "created_at": artifact.created_at,
        "updated_at": artifact.updated_at,
        "tags": json.loads(artifact.tag_names_json),
    }


# Of a project


@resolvers.field("Project", "artifactTypes")
def artifact_types(context: Context, project: Project, args: Args) -> Args:
    found = collections.types(context.store, project.id)
    return listing(found, args, key=lambda each: each.id, fields=lambda each: {"name": each.name})


@resolvers.field("Project", "artifactType")
def artifact_type(context: Context, project: Project, args: Args) -> ArtifactType | None:
    found = collections.types(context.store, project.id)
    return next((each for each in found if each.name == args.get("name")), None)


@resolvers.field("Project", "artifactCollections")
def artifact_collections(context: Context, project: Project, args: Args) -> Args:
    return _collections(context, collections.of_project(context.store, project.id), args)


@resolvers.field("Project", "artifactCollection")
def artifact_collection(context: Context, project: Project, args: Args) -> ArtifactCollection | None:
    found = collections.named(context.store, project.id, args.get("name") or "")
    return found if found and found.visible else None


# Of a type


@resolvers.field("ArtifactType", "id")
def type_id(context: Context, parent: ArtifactType, args: Args) -> str:
    return ids.encode("ArtifactType", parent.id)


@resolvers.field("ArtifactType", "artifactCollections")
def collections_of_type(context: Context, parent: ArtifactType, args: Args) -> Args:
    return _collections(context, collections.of_project(context.store, parent.project_id, parent.id), args)


@resolvers.field("ArtifactType", "artifactCollection")
def collection_of_type(context: Context, parent: ArtifactType, args: Args) -> ArtifactCollection | None:
    found = collections.named(context.store, parent.project_id, args.get("name") or "")
    return found if found and found.visible and found.type_id == parent.id else None


# Of a collection


@resolvers.field("Query", "artifactCollection")
def collection_by_id(context: Context, parent: Any, args: Args) -> ArtifactCollection | None:
    return collections.by_id(context.store, ids.decode(args.get("id"), "ArtifactCollection"))


@of_collection("id")
def collection_id(context: Context, parent: ArtifactCollection, args: Args) -> str:
    return ids.encode("ArtifactCollection", parent.id)


@of_collection("project")
def project(context: Context, parent: ArtifactCollection, args: Args) -> Project | None:
    return projects.by_id(context.store, parent.project_id)


@of_collection("defaultArtifactType")
def default_artifact_type(context: Context, parent: ArtifactCollection, args: Args) -> ArtifactType:
    return collections.type_by_id(context.store, parent.type_id)


@of_collection("state")
def state(context: Context, parent: ArtifactCollection, args: Args) -> str:
    return "READY"


@of_collection("digestAlgorithm")
def digest_algorithm(context: Context, parent: Any, args: Args) -> str:
    return "MANIFEST_MD5"


@of_collection("tags")
def collection_tags(context: Context, parent: ArtifactCollection, args: Args) -> Args:
    found = collections.tags(context.store, collection_id=parent.id)
    return page(found, args.get("first"), lambda tag: ids.encode("Tag", tag.id))


@of_collection("aliases")
def collection_aliases(context: Context, parent: ArtifactCollection, args: Args) -> Args:
    found = memberships.aliases_of_collection(context.store, parent.id)
    return listing(found, args, key=lambda each: each.id, fields=lambda each: {"alias": each.alias})


@of_collection("artifacts")
def versions(context: Context, parent: ArtifactCollection, args: Args) -> Args:
    found = artifacts.of_members(context.store, parent.id)
    connection = listing(
        found.items(),
        args,
        key=lambda each: each[0],
        fields=lambda each: fields_of_artifact(each[1], each[0]),
        order="-version_index",
    )
    edges = [
        {"node": artifact, "version": f"v{version}", "cursor": edge["cursor"]}
        for edge in connection["edges"]
        for version, artifact in [edge["node"]]
    ]
    return {**connection, "edges": edges}


@of_collection("artifactMembership")
def membership(context: Context, parent: ArtifactCollection, args: Args) -> ArtifactCollectionMembership | None:
    return memberships.find(context.store, parent.id, args.get("aliasName"))


@of_collection("latestArtifact")
def latest_artifact(context: Context, parent: ArtifactCollection, args: Args) -> Artifact | None:
    found = memberships.find(context.store, parent.id, "latest")
    return artifacts.by_id(context.store, found.artifact_id) if found else None


# Of a version, an alias, a tag


@resolvers.field("ArtifactCollectionMembership", "id")
def membership_id(context: Context, parent: ArtifactCollectionMembership, args: Args) -> str:
    return ids.encode("ArtifactCollectionMembership", parent.id)


@resolvers.field("ArtifactCollectionMembership", "aliases")
def aliases_of_membership(context: Context, parent: ArtifactCollectionMembership, args: Args) -> list[ArtifactAlias]:
    return memberships.aliases_of_member(context.store, parent.id)


@resolvers.field("ArtifactCollectionMembership", "artifact")
def artifact_of_membership(context: Context, parent: ArtifactCollectionMembership, args: Args) -> Artifact | None:
    return artifacts.by_id(context.store, parent.artifact_id)


@resolvers.field("ArtifactCollectionMembership", "artifactCollection")
@resolvers.field("ArtifactAlias", "artifactCollection")
def collection_of(context: Context, parent: Any, args: Args) -> ArtifactCollection | None:
    return collections.by_id(context.store, parent.collection_id)


@resolvers.field("ArtifactAlias", "id")
def alias_id(context: Context, parent: ArtifactAlias, args: Args) -> str:
    return ids.encode("ArtifactAlias", parent.id)


@resolvers.field("Tag", "id")
def tag_id(context: Context, parent: Tag, args: Args) -> str:
    return ids.encode("Tag", parent.id)


# Changes


@resolvers.field("Mutation", "updateArtifactSequence", "updateArtifactPortfolio")
def update(context: Context, parent: Any, args: Args) -> Args:
    given = args["input"]
    found = identified(context, given.get("artifactSequenceID") or given.get("artifactPortfolioID"))
    collections.update(context.store, found.id, name=given.get("name"), description=given.get("description"))
    return {"artifactCollection": collections.by_id(context.store, found.id)}


@resolvers.field("Mutation", "moveArtifactSequence")
def move(context: Context, parent: Any, args: Args) -> Args:
    found = identified(context, args["input"]["artifactSequenceID"])
    if not isinstance(found, ArtifactSequence):
        raise Refused(f"{found.name!r} is a portfolio: its type is that of what is linked to it")
    collections.move(context.store, found.id, args["input"]["destinationArtifactTypeName"])
    return {"artifactCollection": collections.by_id(context.store, found.id)}


@resolvers.field("Mutation", "deleteArtifactSequence")
def delete_sequence(context: Context, parent: Any, args: Args) -> Args:
    found = identified(context, args["input"]["artifactSequenceID"])
    if not isinstance(found, ArtifactSequence):
        raise Refused(f"{found.name!r} is not a sequence")
    with context.store.write():
        held = artifact_files.held(context.store, artifacts.of_sequence(context.store, found.id))
        collections.delete(context.store, found.id)
    artifact_bytes.release(context, held)
    return {"artifactCollection": {"__typename": "ArtifactSequence", "state": "DELETED"}}


@resolvers.field("Mutation", "deleteArtifactPortfolio")
def delete_portfolio(context: Context, parent: Any, args: Args) -> Args:
    found = identified(context, args["input"]["artifactPortfolioID"])
    if not isinstance(found, ArtifactPortfolio):
        raise Refused(f"{found.name!r} is not a portfolio")
    collections.delete(context.store, found.id)
    return {"artifactCollection": {"__typename": "ArtifactPortfolio", "state": "DELETED"}}


@resolvers.field("Mutation", "createArtifactCollectionTagAssignments")
def add_tags(context: Context, parent: Any, args: Args) -> Args:
    found = named(context, args["input"])
    collections.add_tags(context.store, tag_names(args["input"]["tags"]), collection_id=found.id)
    return {"tags": collections.tags(context.store, collection_id=found.id)}


@resolvers.field("Mutation", "deleteArtifactCollectionTagAssignments")
def delete_tags(context: Context, parent: Any, args: Args) -> Args:
    found = named(context, args["input"])
    collections.remove_tags(context.store, tag_names(args["input"]["tags"]), collection_id=found.id)
    return {"success": True}


def tag_names(given: Iterable[Args] | None) -> list[str]:
    """The names in a list of tag inputs."""
    return [tag["tagName"] for tag in given or ()]


def _collections(context: Context, found: list[ArtifactCollection], args: Args) -> Args:
    def fields(each: ArtifactCollection) -> Args:
        return {
            "name": each.name,
            "description": each.description,
            "created_at": each.created_at,
            "updated_at": each.updated_at,
            "tags": [tag.name for tag in collections.tags(context.store, collection_id=each.id)],
        }

    return listing(found, args, key=lambda each: each.id, fields=fields)
