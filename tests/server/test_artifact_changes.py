"""Artifacts after their commit: aliases, tags, links, collections, deletion, lineage."""

from typing import Any

import pytest

from cola_sweep.server.context import Context
from cola_sweep.server.resolvers.artifact_changes import delete_artifacts_of_run
from cola_sweep.server.store import runs
from tests.server.uploads import CREATE, DELETE, LINK, USE, Client, make_client, manifest_of

ONE, TWO = {"a.txt": b"one"}, {"a.txt": b"one", "dir/b.txt": b"two"}
ALIASES = "mutation($i: I!) {%s(input: $i) {success}}"


@pytest.fixture
def api(context: Context) -> Client:
    return make_client(context)


def alias(api: Client, mutation: str, number: str, name: str, collection: str = "things") -> None:
    where = {"entityName": api.entity, "projectName": "p", "artifactCollectionName": collection}
    api.ask(ALIASES % mutation, i={"artifactID": number, "aliases": [{**where, "alias": name}]})


def test_an_alias_names_one_version_at_a_time(api: Client) -> None:
    first, second = api.log("things", ONE), api.log("things", TWO)
    alias(api, "addAliases", first, "prod")
    alias(api, "addAliases", second, "prod")
    assert (api.aliases("things:v0"), api.aliases("things:v1")) == (set(), {"latest", "prod"})
    alias(api, "deleteAliases", first, "prod")
    assert api.aliases("things:v1") == {"latest", "prod"}
    alias(api, "deleteAliases", second, "prod")
    assert api.get("things:prod") is None


def test_description_metadata_tags_and_time_to_live_change(api: Client) -> None:
    number = api.log("things", ONE, description="d", tags=[{"tagName": "old"}])
    text = """mutation($i: I!) {updateArtifact(input: $i) {artifact {
        description metadata tags {name} ttlDurationSeconds ttlIsInherited}}}"""

    def update(**given: Any) -> Any:
        return api.ask(text, i={"artifactID": number, **given})["updateArtifact"]["artifact"]

    untouched = update()
    assert (untouched["description"], untouched["ttlDurationSeconds"], untouched["ttlIsInherited"]) == ("d", -2, True)
    changed = update(
        description="", metadata='{"k": 2}', tagsToAdd=[{"tagName": "new"}], tagsToDelete=[{"tagName": "old"}]
    )
    assert (changed["description"], changed["metadata"], changed["tags"]) == ("", '{"k": 2}', [{"name": "new"}])
    assert (update(ttlDurationSeconds=60)["ttlDurationSeconds"], update()["ttlIsInherited"]) == (60, False)
    assert update(ttlDurationSeconds=-1)["ttlIsInherited"] is True


def test_a_version_with_aliases_is_deleted_only_with_them(api: Client) -> None:
    first, second = api.log("things", ONE), api.log("things", TWO)
    assert api.refused(DELETE, input={"artifactID": second}) == "cannot delete an artifact that has aliases: latest"
    api.ask(DELETE, input={"artifactID": first})
    assert api.versions("things") == ["v1"]
    api.delete(second)
    assert api.get("things:latest") is None
    third = api.log("things", {"c": b"c"})
    member = api.get("things:latest")
    assert member is not None
    assert (member["artifact"]["id"], member["versionIndex"]) == (third, 2)
    assert len({first, second, third}) == 3


def test_the_newest_version_left_becomes_latest(api: Client) -> None:
    api.log("things", ONE)
    second = api.log("things", TWO)
    api.delete(second)
    assert api.aliases("things:v0") == {"latest"}


def test_deletion_frees_the_bytes_that_nothing_else_holds(api: Client) -> None:
    first, second = api.log("things", ONE), api.log("things", TWO)
    waiting = api.create("other", manifest_of({"x": b"two"}))
    assert api.send_files(waiting["id"], {"x": b"two"}) == []
    api.delete(second)
    # "one" is the first version's; "two" was promised to the upload under way.
    assert api.kept_bytes() == {b"one", b"two"}
    api.delete(first)
    assert api.kept_bytes() == {b"two"}
    manifests = [path for path in (api.context.blobs.root / "manifests").iterdir() if path.is_file()]
    assert manifests == []


def test_a_link_is_a_version_of_its_portfolio(api: Client) -> None:
    api.log("things", ONE)
    second = api.log("things", TWO)
    linked = api.link(second, aliases=[{"alias": "prod"}])
    assert linked["versionIndex"] == 0
    assert {a["alias"] for a in linked["artifactMembership"]["aliases"]} == {"latest", "prod"}
    assert api.link(second)["versionIndex"] == 0
    member = api.get("folio:prod")
    assert member is not None
    assert member["artifactCollection"] == {"__typename": "ArtifactPortfolio", "name": "folio"}
    assert (member["artifact"]["id"], member["versionIndex"], member["artifact"]["versionIndex"]) == (second, 0, 1)
    assert api.aliases("things:v1") == {"latest"}
    everywhere = {(a["alias"], a["artifactCollection"]["name"]) for a in member["artifact"]["aliases"]}
    assert everywhere == {("latest", "things"), ("latest", "folio"), ("prod", "folio")}


def test_a_sequence_is_no_portfolio_and_a_portfolio_has_one_type(api: Client) -> None:
    number = api.log("things", ONE)
    api.link(number)
    where = {"entityName": api.entity, "projectName": "p"}
    model = api.log("net", ONE, artifactTypeName="model")
    assert "type" in api.refused(LINK, input={**where, "artifactID": model, "artifactPortfolioName": "folio"})
    assert "kind" in api.refused(LINK, input={**where, "artifactID": number, "artifactPortfolioName": "things"})
    assert "kind" in api.refused(
        CREATE, input={**where, "artifactCollectionName": "folio", "artifactTypeName": "dataset", "digest": "d"}
    )


def test_unlinking_leaves_the_artifact(api: Client) -> None:
    first, second = api.log("things", ONE), api.log("things", TWO)
    api.link(first)
    api.link(second)
    portfolio, sequence = api.collection_id("folio"), api.collection_id("things")
    unlink = ALIASES % "unlinkArtifact"
    api.ask(unlink, i={"artifactID": second, "artifactPortfolioID": portfolio})
    assert api.versions("folio") == ["v0"]
    assert api.aliases("folio:v0") == {"latest"}
    assert api.versions("things") == ["v1", "v0"]
    assert "not linked" in api.refused(unlink, i={"artifactID": second, "artifactPortfolioID": portfolio})
    assert "delete it" in api.refused(unlink, i={"artifactID": first, "artifactPortfolioID": sequence})


def test_a_collection_is_renamed_described_tagged_retyped_and_deleted(api: Client) -> None:
    number = api.log("things", ONE)
    api.log("others", TWO)
    text = """query($e: String!, $t: String!, $n: String!) {project(entityName: $e, name: "p") {artifactType(name: $t) {
        artifactCollection(name: $n) {id name description tags {edges {node {name}}} defaultArtifactType {name}}}}}"""

    def collection(kind: str, name: str) -> Any:
        found = api.ask(text, e=api.entity, t=kind, n=name)["project"]["artifactType"]
        return found and found["artifactCollection"]

    sequence = collection("dataset", "things")["id"]
    change = "mutation($i: I!) {%s(input: $i) {artifactCollection {__typename name}}}"
    update, move = change % "updateArtifactSequence", change % "moveArtifactSequence"
    assert "already has" in api.refused(update, i={"artifactSequenceID": sequence, "name": "others"})
    api.ask(update, i={"artifactSequenceID": sequence, "name": "items", "description": "d"})
    api.ask(move, i={"artifactSequenceID": sequence, "destinationArtifactTypeName": "data"})
    where = {"entityName": api.entity, "projectName": "p", "artifactCollectionName": "items"}
    tags = [{"tagName": "one"}, {"tagName": "two"}]
    api.ask(
        "mutation($i: I!) {createArtifactCollectionTagAssignments(input: $i) {tags {id name}}}",
        i={**where, "tags": tags},
    )
    api.ask(ALIASES % "deleteArtifactCollectionTagAssignments", i={**where, "tags": tags[:1]})
    assert collection("dataset", "items") is None
    assert collection("data", "items") == {
        "id": sequence,
        "name": "items",
        "description": "d",
        "tags": {"edges": [{"node": {"name": "two"}}]},
        "defaultArtifactType": {"name": "data"},
    }
    api.link(number)
    assert "unlink" in api.refused(move, i={"artifactSequenceID": sequence, "destinationArtifactTypeName": "x"})
    delete = "mutation($i: I!) {%s(input: $i) {artifactCollection {__typename state}}}"
    assert "not a portfolio" in api.refused(delete % "deleteArtifactPortfolio", i={"artifactPortfolioID": sequence})
    answer = api.ask(delete % "deleteArtifactSequence", i={"artifactSequenceID": sequence})
    gone = {"artifactCollection": {"__typename": "ArtifactSequence", "state": "DELETED"}}
    assert answer == {"deleteArtifactSequence": gone}
    assert api.get("items") is None
    assert api.versions("folio") == []
    assert api.kept_bytes() == {b"one", b"two"}, "the other collection holds these, too"


# Lineage


def test_a_run_logs_and_uses_artifacts(api: Client) -> None:
    number = api.log("things", ONE)
    for _ in range(2):
        api.use(number, "r2")
    text = """query($id: ID!, $e: String!) {
        artifact(id: $id) {createdBy {__typename ... on Run {name}} usedBy {edges {node {name}}}}
        project(entityName: $e, name: "p") {
            r1: run(name: "r1") {inputArtifacts {totalCount} outputArtifacts {totalCount edges {node {id}}}}
            r2: run(name: "r2") {inputArtifacts {totalCount edges {node {id}}} outputArtifacts {totalCount}}}}"""
    seen = api.ask(text, id=number, e=api.entity)
    assert seen["artifact"]["createdBy"] == {"__typename": "Run", "name": "r1"}
    assert [edge["node"]["name"] for edge in seen["artifact"]["usedBy"]["edges"]] == ["r2"]
    one = {"totalCount": 1, "edges": [{"node": {"id": number}}]}
    assert seen["project"]["r1"] == {"inputArtifacts": {"totalCount": 0}, "outputArtifacts": one}
    assert seen["project"]["r2"] == {"inputArtifacts": one, "outputArtifacts": {"totalCount": 0}}
    given = {"artifactID": number, "entityName": api.entity, "projectName": "p", "runName": "r3"}
    assert "no run" in api.refused(USE, input=given)


def test_what_a_run_made_goes_with_it_but_not_what_it_used(api: Client) -> None:
    api.log("things", ONE)
    api.run = "r2"
    api.log("things", ONE)
    made = api.log("mine", TWO)
    run = runs.find(api.context.store, api.entity, "p", "r2")
    assert run is not None
    delete_artifacts_of_run(api.context, run.id)
    assert api.ask("query($id: ID!) {artifact(id: $id) {id}}", id=made) == {"artifact": None}
    assert api.versions("things") == ["v0"]
