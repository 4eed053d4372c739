"""Changing artifacts: description and metadata, tags, aliases, links into portfolios, deletion."""

from collections import defaultdict
from typing import Any

from cola_sweep.server import artifact_bytes, ids
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Args, Refused, Resolvers
from cola_sweep.server.resolvers.artifact_uploads import checked_metadata, ttl_seconds
from cola_sweep.server.resolvers.collections import identified, named, tag_names
from cola_sweep.server.store import artifact_files, artifacts, collections, memberships, projects
from cola_sweep.server.store.artifacts import Artifact
from cola_sweep.server.store.collections import ArtifactCollection, ArtifactPortfolio
from cola_sweep.server.store.memberships import ArtifactCollectionMembership

resolvers = Resolvers()


@resolvers.field("Mutation", "updateArtifact")
def update_artifact(context: Context, parent: Any, args: Args) -> Args:
    given = args["input"]
    artifact = _committed(context, given["artifactID"])
    columns: Args = {}
    if given.get("description") is not None:
        columns["description"] = given["description"]
    if given.get("metadata") is not None:
        columns["metadata_json"] = checked_metadata(given["metadata"])
    if given.get("ttlDurationSeconds") is not None:
        columns["ttl_seconds"] = ttl_seconds(given["ttlDurationSeconds"])
    with context.store.write():
        artifacts.update(context.store, artifact.id, **columns)
        collections.add_tags(context.store, tag_names(given.get("tagsToAdd")), artifact_id=artifact.id)
        collections.remove_tags(context.store, tag_names(given.get("tagsToDelete")), artifact_id=artifact.id)
    return {"artifact": artifacts.by_id(context.store, artifact.id)}


@resolvers.field("Mutation", "addAliases")
def add_aliases(context: Context, parent: Any, args: Args) -> Args:
    with context.store.write():
        for member, names in _by_member(context, args["input"]):
            memberships.give_aliases(context.store, member, names)
    return {"success": True}


@resolvers.field("Mutation", "deleteAliases")
def delete_aliases(context: Context, parent: Any, args: Args) -> Args:
    with context.store.write():
        for member, names in _by_member(context, args["input"]):
            memberships.take_aliases(context.store, member, names)
    return {"success": True}


@resolvers.field("Mutation", "deleteArtifact")
def delete_artifact(context: Context, parent: Any, args: Args) -> Args:
    artifact = _committed(context, args["input"]["artifactID"])
    with context.store.write():
        held = artifact_files.held(context.store, [artifact.id])
        artifacts.delete(context.store, artifact.id, with_aliases=bool(args["input"].get("deleteAliases")))
    artifact_bytes.release(context, held)
    return {"artifact": {"__typename": "Artifact", "id": ids.encode("Artifact", artifact.id), "state": "DELETED"}}


@resolvers.field("Mutation", "linkArtifact")
def link_artifact(context: Context, parent: Any, args: Args) -> Args:
    given = args["input"]
    with context.store.write():
        artifact = _to_link(context, given)
        portfolio = _portfolio(context, given, artifact)
        aliases = [each["alias"] for each in given.get("aliases") or ()]
        member = memberships.add(context.store, portfolio.id, artifact.id, aliases)
    return {"versionIndex": member.version_index, "artifactMembership": member}


@resolvers.field("Mutation", "unlinkArtifact")
def unlink_artifact(context: Context, parent: Any, args: Args) -> Args:
    artifact = _committed(context, args["input"]["artifactID"])
    portfolio = identified(context, args["input"]["artifactPortfolioID"])
    if not isinstance(portfolio, ArtifactPortfolio):
        raise Refused(f"{portfolio.name!r} is where the artifact was logged: delete it rather than unlink it")
    with context.store.write():
        if not any(m.collection_id == portfolio.id for m in memberships.of_artifact(context.store, artifact.id)):
            raise Refused(f"the artifact is not linked to {portfolio.name!r}")
        memberships.remove(context.store, portfolio.id, artifact.id)
    return {"success": True}


def delete_artifacts_of_run(context: Context, run_id: int) -> None:
    """Delete what a run made, aliases and links included; what it only logged again or used stays."""
    with context.store.write():
        made = artifacts.made_by(context.store, run_id)
        held = artifact_files.held(context.store, made)
        for number in made:
            artifacts.delete(context.store, number, with_aliases=True)
    artifact_bytes.release(context, held)


def _committed(context: Context, text: object) -> Artifact:
    artifact = artifacts.by_id(context.store, ids.decode(text, "Artifact"))
    if artifact is None or artifact.state != "COMMITTED":
        raise Refused("there is no such artifact")
    return artifact


def _by_member(context: Context, given: Args) -> list[tuple[ArtifactCollectionMembership, list[str]]]:
    """The versions that an input's aliases are of, each with the aliases, in the order given."""
    artifact = _committed(context, given["artifactID"])
    members = {member.collection_id: member for member in memberships.of_artifact(context.store, artifact.id)}
    names: dict[int, list[str]] = defaultdict(list)
    for each in given["aliases"]:
        collection = named(context, each)
        if collection.id not in members:
            raise Refused(f"the artifact is no version of {collection.name!r}")
        names[collection.id].append(each["alias"])
    return [(members[number], aliases) for number, aliases in names.items()]


def _to_link(context: Context, given: Args) -> Artifact:
    if given.get("artifactID"):
        return _committed(context, given["artifactID"])
    found = artifacts.client_id(context.store, given.get("clientID") or "")
    if found is None:
        raise Refused("there is no such artifact")
    return _committed(context, ids.encode(*found))


def _portfolio(context: Context, given: Args, artifact: Artifact) -> ArtifactCollection:
    """The portfolio to link to; made if need be, of the artifact's type."""
    if given.get("artifactPortfolioID"):
        return identified(context, given["artifactPortfolioID"])
    sequence = collections.by_id(context.store, artifact.sequence_id)
    assert sequence is not None
    type_name = collections.type_by_id(context.store, sequence.type_id).name
    entity = given.get("entityName") or context.user.name
    project = projects.ensure(context.store, entity, given.get("projectName") or "uncategorized")
    name = given.get("artifactPortfolioName") or ""
    return collections.ensure(context.store, project.id, "ArtifactPortfolio", name, type_name)
