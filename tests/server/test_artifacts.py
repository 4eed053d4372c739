"""Artifacts: what an upload makes, what it leaves when it fails, and how versions and files are found."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cola_sweep.server import ids
from cola_sweep.server.context import Context
from cola_sweep.server.resolvers.artifact_uploads import ABANDONED_SECONDS
from tests.server.conftest import Clock
from tests.server.uploads import COMMIT, CREATE, FILES, Client, make_client, manifest_of, md5

ONE, TWO = {"a.txt": b"one"}, {"a.txt": b"one", "dir/b.txt": b"two"}


@pytest.fixture
def api(context: Context) -> Client:
    return make_client(context)


# Upload


def test_a_committed_upload_is_version_0_with_its_aliases(api: Client) -> None:
    number = api.log("things", TWO, aliases=["best"], tags=[{"tagName": "t"}], metadata='{"k": 1}', description="d")
    member = api.get("things")
    assert member is not None
    assert {a["alias"] for a in member["aliases"]} == {"latest", "best"}
    artifact = member["artifact"]
    assert artifact["id"] == number
    assert (artifact["state"], artifact["versionIndex"], member["versionIndex"]) == ("COMMITTED", 0, 0)
    assert (artifact["size"], artifact["fileCount"]) == (6, 2)
    assert (artifact["metadata"], artifact["description"], artifact["tags"]) == ('{"k": 1}', "d", [{"name": "t"}])
    assert artifact["commitHash"]
    assert artifact["digest"] == manifest_of(TWO).digest()
    assert api.manifest(number) == manifest_of(TWO).contents


def test_an_upload_that_never_commits_leaves_nothing_visible(api: Client) -> None:
    started = api.create("things", manifest_of(ONE), aliases=["best"], clientID="c1")
    api.send_files(started["id"], ONE)
    api.send_manifest(started["id"], manifest_of(ONE))
    assert started["state"] == "PENDING"
    assert api.get("things") is None
    assert api.get("things:best") is None
    text = """query($e: String!) {project(entityName: $e, name: "p") {
        artifactTypes {edges {node {name}}} artifactCollections {totalCount edges {node {name}}}
        artifactType(name: "dataset") {name} artifactCollection(name: "things") {name}
        run(name: "r1") {outputArtifacts {totalCount}}}}"""
    project = api.ask(text, e=api.entity)["project"]
    assert project["artifactTypes"]["edges"] == project["artifactCollections"]["edges"] == []
    assert project["artifactType"] is project["artifactCollection"] is None
    assert project["run"]["outputArtifacts"]["totalCount"] == 0


def test_an_upload_abandoned_long_ago_gives_its_bytes_back(api: Client, clock: Clock) -> None:
    started = api.create("things", manifest_of(TWO))
    api.send_files(started["id"], TWO)
    api.send_manifest(started["id"], manifest_of(TWO))
    clock.advance(ABANDONED_SECONDS - 60)
    api.log("things", ONE)
    assert api.kept_bytes() == {b"one", b"two"}
    clock.advance(61)
    api.log("things", {"c": b"three"})
    assert api.kept_bytes() == {b"one", b"three"}
    assert "no such artifact" in api.refused(COMMIT, id=started["id"])


def test_the_same_content_makes_no_version_but_moves_the_aliases(api: Client) -> None:
    first = api.log("things", ONE, aliases=["best"])
    second = api.log("things", TWO, aliases=["best"])
    assert api.aliases("things:v0") == set()
    again = api.create("things", manifest_of(ONE), aliases=["good"], clientID="again")
    assert (again["id"], again["state"]) == (first, "COMMITTED")
    assert again["artifactSequence"]["latestArtifact"] == {"id": first, "versionIndex": 0}
    assert api.aliases("things:v0") == {"latest", "good"}
    assert api.aliases("things:v1") == {"best"}
    assert api.versions("things") == ["v1", "v0"]
    assert second != first
    # A table logged with this client id is to be found by it though no version was made.
    assert api.ask('{clientIDMapping(clientID: "again") {serverID}}') == {"clientIDMapping": {"serverID": first}}


def test_without_deduplication_the_same_content_makes_a_version(api: Client) -> None:
    assert api.log("things", ONE) != api.log("things", ONE, enableDigestDeduplication=False)
    assert api.versions("things") == ["v1", "v0"]


def test_bytes_that_are_here_are_not_asked_for_again(api: Client) -> None:
    api.log("things", ONE)
    started = api.create("other", manifest_of(TWO))
    assert api.send_files(started["id"], TWO) == ["dir/b.txt"]


def test_files_are_answered_in_the_order_asked(api: Client) -> None:
    files = {f"f{i}": str(i).encode() for i in (3, 1, 2)}
    started = api.create("things", manifest_of(files))
    specs = [{"artifactID": started["id"], "name": path, "md5": md5(data)} for path, data in files.items()]
    edges = api.ask(FILES, input={"artifactFiles": specs})["createArtifactFiles"]["files"]["edges"]
    digests = [hashlib.md5(data).hexdigest() for data in files.values()]
    assert [edge["node"]["storagePath"] for edge in edges] == [f"wandb_artifacts/{each}" for each in digests]
    assert all(edge["node"]["artifact"]["id"] == started["id"] for edge in edges)


def test_a_repeated_create_goes_on_with_the_same_upload(api: Client) -> None:
    first = api.create("things", manifest_of(ONE), clientID="c1", sequenceClientID="s1")
    assert api.create("things", manifest_of(ONE), clientID="c1", sequenceClientID="s1") == first
    mapped = api.ask('{a: clientIDMapping(clientID: "c1") {serverID} s: clientIDMapping(clientID: "s1") {serverID}}')
    assert mapped == {"a": {"serverID": first["id"]}, "s": {"serverID": first["artifactSequence"]["id"]}}
    assert api.ask('{clientIDMapping(clientID: "?") {serverID}}') == {"clientIDMapping": None}


def test_a_commit_may_be_repeated_and_changes_nothing(api: Client) -> None:
    number = api.log("things", ONE)
    api.log("things", TWO)
    api.commit(number)
    assert api.aliases("things:v0") == set()
    assert api.versions("things") == ["v1", "v0"]


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"storageRegion": "coreweave-us"}, "coreweave-us"),
        ({"aliases": [{"alias": "v1"}]}, "number of a version"),
        ({"aliases": [{"alias": "a:b"}]}, "cannot be an alias"),
        ({"tags": [{"tagName": "!"}]}, "cannot be a tag"),
        ({"metadata": "[1]"}, "JSON object"),
        ({"metadata": "{"}, "JSON"),
        ({"artifactCollectionName": "a/b"}, "cannot name an artifact"),
        ({"artifactCollectionName": None}, "cannot name an artifact"),
        ({"artifactCollectionName": 3}, "input.artifactCollectionName must be of type String"),
    ],
)
def test_a_create_that_cannot_be_leaves_nothing(api: Client, given: dict[str, Any], words: str) -> None:
    wanted = {"entityName": api.entity, "projectName": "new", "artifactTypeName": "t", "artifactCollectionName": "n"}
    assert words in api.refused(CREATE, input={**wanted, "digest": "d", **given})
    assert api.ask('query($e: String!) {project(entityName: $e, name: "new") {id}}', e=api.entity) == {"project": None}


def test_a_name_keeps_its_type(api: Client) -> None:
    api.log("things", ONE)
    wanted = {"entityName": api.entity, "projectName": "p", "artifactTypeName": "model", "digest": "d"}
    message = api.refused(CREATE, input={**wanted, "artifactCollectionName": "things"})
    assert message == "artifact 'things' already exists with type 'dataset'; cannot make it a 'model'"


def test_a_commit_without_manifest_or_files_is_refused(api: Client) -> None:
    started = api.create("things", manifest_of(TWO))
    assert "manifest was never uploaded" in api.refused(COMMIT, id=started["id"])
    api.send_manifest(started["id"], manifest_of(TWO))
    assert api.refused(COMMIT, id=started["id"]) == ("2 files of the artifact were never uploaded, the first 'a.txt'")
    assert api.get("things") is None


def test_a_committed_artifact_takes_no_more(api: Client) -> None:
    number = api.log("things", ONE)
    spec = {"artifactID": number, "name": "x", "md5": md5(b"x")}
    assert "committed" in api.refused(FILES, input={"artifactFiles": [spec]})


@pytest.mark.parametrize("text", ["", "nonsense", "UnVuOjE=", ids.encode("Artifact", 99)])
def test_ids_of_nothing_are_refused(api: Client, text: str) -> None:
    api.refused(COMMIT, id=text)


def test_an_incremental_version_goes_on_top_of_its_base(api: Client) -> None:
    base = api.log("table", {"0": b"zero", "same": b"old"})
    more = {"1": b"one", "same": b"new"}
    started = api.create("table", manifest_of(more))
    assert started["artifactSequence"]["latestArtifact"]["id"] == base
    api.send_files(started["id"], more)
    api.send_manifest(started["id"], manifest_of(more), "INCREMENTAL", base)
    api.commit(started["id"])
    whole = manifest_of({"0": b"zero", **more})
    member = api.get("table:v1")
    assert member is not None
    assert api.manifest(started["id"]) == whole.contents
    assert (member["artifact"]["digest"], member["artifact"]["fileCount"]) == (whole.digest(), 3)
    assert api.manifest(base) == manifest_of({"0": b"zero", "same": b"old"}).contents


def test_an_incremental_version_of_a_deleted_base_is_refused(api: Client) -> None:
    base = api.log("table", ONE)
    started = api.create("table", manifest_of(TWO))
    api.send_files(started["id"], TWO)
    api.send_manifest(started["id"], manifest_of(TWO), "INCREMENTAL", base)
    api.delete(base)
    assert "no longer there" in api.refused(COMMIT, id=started["id"])


def test_a_distributed_artifact_is_the_union_of_its_parts(api: Client) -> None:
    parts = [{"0": b"zero"}, {"1": b"one"}, {"2": b"two"}]
    started = [
        api.create("dist", manifest_of(part), distributedID="d", clientID=f"c{i}") for i, part in enumerate(parts)
    ]
    assert len({each["id"] for each in started}) == 1
    number = started[0]["id"]
    for part in parts:
        api.send_files(number, part)
        api.send_manifest(number, manifest_of(part), "PATCH")
    assert api.get("dist") is None
    api.commit(number)
    whole = manifest_of({path: data for part in parts for path, data in part.items()})
    assert api.manifest(number) == whole.contents
    member = api.get("dist:v0")
    assert member is not None
    assert member["artifact"]["digest"] == whole.digest()


def test_uploads_at_once_get_a_version_each_and_one_latest(api: Client) -> None:
    with ThreadPoolExecutor(8) as pool:
        numbers = list(pool.map(lambda i: api.log("things", {"f": bytes([i])}), range(16)))
    assert api.versions("things") == [f"v{i}" for i in reversed(range(16))]
    assert len(set(numbers)) == 16
    assert [api.aliases(f"things:v{i}") for i in range(16)] == [set()] * 15 + [{"latest"}]


# Names, order, pages


def test_every_way_to_name_a_version(api: Client) -> None:
    api.log("things", ONE, aliases=["old"])
    api.log("things", TWO)
    names = ["", ":latest", ":v0", ":v1", ":old", f":{manifest_of(ONE).digest()}", ":v2", ":none", f":v{10**20}"]
    found = [api.get(f"things{name}") for name in names]
    assert [member and member["versionIndex"] for member in found] == [1, 1, 0, 1, 0, 0, None, None, None]
    assert api.get("nothing:latest") is None


def test_versions_are_newest_first_and_ordered_and_filtered_as_asked(api: Client) -> None:
    for i in range(3):
        api.log("things", {"f": bytes(3 - i)}, tags=[{"tagName": f"t{i}"}])
    assert api.versions("things") == ["v2", "v1", "v0"]
    assert api.versions("things", order="version_index") == ["v0", "v1", "v2"]
    assert api.versions("things", order="+size") == ["v2", "v1", "v0"]
    assert api.versions("things", filters='{"state": "COMMITTED", "tags": {"$in": ["t0", "t2"]}}') == ["v2", "v0"]
    assert api.versions("things", filters='{"$or": [{"versionIndex": {"$gte": 2}}, {"size": 3}]}') == ["v2", "v0"]
    assert api.versions("things", filters='{"state": "PENDING"}') == []


def test_paging_goes_on_though_what_was_shown_is_deleted(api: Client) -> None:
    for i in range(5):
        api.log("things", {"f": bytes(i)})
    text = """query($e: String!, $after: String) {project(entityName: $e, name: "p") {
        artifactCollection(name: "things") {artifacts(first: 2, after: $after) {
            totalCount edges {version node {id}} pageInfo {endCursor hasNextPage}}}}}"""
    seen, after = [], None
    while True:
        page = api.ask(text, e=api.entity, after=after)["project"]["artifactCollection"]["artifacts"]
        for edge in page["edges"]:
            seen.append(edge["version"])
            api.delete(edge["node"]["id"])
        after = page["pageInfo"]["endCursor"]
        if not page["pageInfo"]["hasNextPage"]:
            break
    assert seen == ["v4", "v3", "v2", "v1", "v0"]
    assert "cursor" in api.refused(text, e=api.entity, after="nonsense")


def test_files_are_listed_by_path_in_pages_with_references(api: Client) -> None:
    api.log("things", {"b": b"bb", "ä": b"", "c": b"c"}, references={"a": "s3://bucket/key"})
    text = """query($e: String!, $after: String, $names: [String!]) {project(entityName: $e, name: "p") {
        artifactCollection(name: "things") {artifactMembership(aliasName: "v0") {
        files(first: 2, after: $after, names: $names) {totalCount pageInfo {endCursor hasNextPage}
            edges {node {__typename name: displayName directUrl sizeBytes storagePath md5 digest}}}}}}}"""

    def files(**args: Any) -> Any:
        return api.ask(text, e=api.entity, **args)["project"]["artifactCollection"]["artifactMembership"]["files"]

    first = files()
    second = files(after=first["pageInfo"]["endCursor"])
    nodes = [edge["node"] for page in (first, second) for edge in page["edges"]]
    assert [(node["name"], node["sizeBytes"]) for node in nodes] == [("a", 5), ("b", 2), ("c", 1), ("ä", 0)]
    assert (first["pageInfo"]["hasNextPage"], second["pageInfo"]["hasNextPage"], first["totalCount"]) == (
        True,
        False,
        4,
    )
    assert nodes[0]["directUrl"] == "s3://bucket/key"
    assert nodes[0]["storagePath"] is nodes[0]["md5"] is None
    assert nodes[1]["md5"] == nodes[1]["digest"] == md5(b"bb")
    assert nodes[1]["storagePath"].startswith("wandb_artifacts/")
    assert [edge["node"]["name"] for edge in files(names=["c", "none"])["edges"]] == ["c"]
