"""The bytes of artifacts over HTTP: what may be put where, and who gets what."""

import hashlib

import pytest
from starlette.testclient import TestClient

from cola_sweep.server.context import Context
from tests.server.conftest import Clock
from tests.server.uploads import FILES, MANIFEST, UPDATE_MANIFEST, Client, make_client, manifest_of, md5

DATA = bytes(range(256)) * 8
MD5 = hashlib.md5(DATA).hexdigest()


@pytest.fixture
def api(context: Context) -> Client:
    return make_client(context)


def upload_url(api: Client, data: bytes = DATA) -> str:
    number = api.create("things", manifest_of({"dir/f.bin": data}))["id"]
    spec = {"artifactID": number, "name": "dir/f.bin", "md5": md5(data)}
    edges = api.ask(FILES, input={"artifactFiles": [spec]})["createArtifactFiles"]["files"]["edges"]
    url: str = edges[0]["node"]["uploadUrl"]
    return url


def manifest_url(api: Client, digest: str) -> str:
    number = api.create("things", manifest_of({}))["id"]
    given = {"artifactID": number, "digest": digest, "type": "FULL"}
    url: str = api.ask(MANIFEST, input=given)["createArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"]
    return url


def test_a_file_is_put_and_got_by_the_addresses_alone(api: Client, anyone: TestClient) -> None:
    answer = anyone.put(upload_url(api), content=DATA)
    assert (answer.status_code, answer.headers["etag"]) == (200, f'"{MD5}"')
    number = api.log("things", {"dir/f.bin": DATA})
    text = "query($id: ID!) {artifact(id: $id) {files {edges {node {directUrl}}}}}"
    url = api.ask(text, id=number)["artifact"]["files"]["edges"][0]["node"]["directUrl"]
    assert anyone.get(url).content == DATA
    part = anyone.get(url, headers={"range": "bytes=250-260"})
    assert (part.status_code, part.content) == (206, DATA[250:261])
    assert anyone.put(url, content=DATA).status_code == 401


def test_an_address_expires(api: Client, anyone: TestClient, clock: Clock) -> None:
    url = upload_url(api)
    clock.advance(86401)
    assert anyone.put(url, content=DATA).status_code == 401


def test_other_bytes_than_announced_are_refused_and_not_kept(api: Client, anyone: TestClient) -> None:
    url = upload_url(api)
    assert anyone.put(url, content=DATA[1:]).status_code == 400
    assert api.kept_bytes() == set()
    assert anyone.put(url, content=DATA).status_code == 200
    assert anyone.put(url, content=b"").status_code == 400
    assert api.kept_bytes() == {DATA}


def test_an_empty_file_is_a_file(api: Client, anyone: TestClient) -> None:
    assert anyone.put(upload_url(api, b""), content=b"").status_code == 200
    assert api.kept_bytes() == {b""}


def test_a_manifest_must_have_the_digest_announced(api: Client, anyone: TestClient) -> None:
    data = manifest_of({}).to_bytes()
    url = manifest_url(api, md5(data))
    assert anyone.put(url, content=data + b" ").status_code == 400
    assert anyone.put(url, content=data).status_code == 200


def test_a_committed_manifest_cannot_be_put_again(api: Client, anyone: TestClient) -> None:
    started = api.create("things", manifest_of({}))
    row = api.ask(MANIFEST, input={"artifactID": started["id"], "digest": ""})["createArtifactManifest"]
    number = row["artifactManifest"]["id"]
    data = manifest_of({}).to_bytes()
    update = {"artifactManifestID": number, "digest": md5(data)}
    url = api.ask(UPDATE_MANIFEST, input=update)["updateArtifactManifest"]["artifactManifest"]["file"]["uploadUrl"]
    assert anyone.put(url, content=data).status_code == 200
    api.commit(started["id"])
    assert anyone.put(url, content=data).status_code == 404
    text = "query($id: ID!) {artifact(id: $id) {currentManifest {file {directUrl}}}}"
    direct = api.ask(text, id=started["id"])["artifact"]["currentManifest"]["file"]["directUrl"]
    assert direct.split("?")[0].endswith("/wandb_manifest.json")
    assert anyone.get(direct).content == data


@pytest.mark.parametrize("middle", ["birth", "artifact/birth", "artifact%3D/", ""])
def test_a_collections_file_by_wandbs_own_path(api: Client, client: TestClient, middle: str) -> None:
    api.log("things", {"dir/f.bin": DATA})
    for region in ("default", "elsewhere"):
        answer = client.get(f"/artifactsV2/{region}/{api.entity}/p/things/{middle}/{MD5}/f.bin")
        assert (answer.status_code, answer.content) == (200, DATA)


def test_a_link_reaches_the_file_too(api: Client, client: TestClient) -> None:
    api.link(api.log("things", {"f.bin": DATA}), "folio")
    assert client.get(f"/artifactsV2/default/{api.entity}/p/folio/birth/{MD5}/f.bin").content == DATA


@pytest.mark.parametrize(
    "path",
    [
        "/artifactsV2/default/{e}/p/others/birth/{md5}/f.bin",
        "/artifactsV2/default/{e}/q/things/birth/{md5}/f.bin",
        "/artifactsV2/default/{e}/p/things/{md5}/f.bin",
        "/artifactsV2/default/{e}/p/things/birth/{no}/f.bin",
        "/artifactsV2/default/{e}/p/things/birth/short/f.bin",
        "/artifacts/{e}/{no}",
        "/artifacts/nobody/{md5}",
        "/artifacts/{e}/..%2f..%2fserver.db",
        "/storage/artifacts/{no}",
        "/storage/artifacts/..%2f..%2fserver.db",
        "/storage/artifact-manifests/99/wandb_manifest.json",
        f"/storage/artifact-manifests/{10**30}/wandb_manifest.json",
    ],
)
def test_what_is_not_there_is_404(api: Client, client: TestClient, path: str) -> None:
    api.log("things", {"f.bin": DATA})
    api.log("others", {"g.bin": b"other"})
    answer = client.get(path.format(e=api.entity, md5=MD5, no="0" * 32))
    assert answer.status_code == 404


def test_wandbs_older_path(api: Client, client: TestClient) -> None:
    api.log("things", {"f.bin": DATA})
    assert client.get(f"/artifacts/{api.entity}/{MD5}").content == DATA


@pytest.mark.parametrize(
    "path", ["/storage/artifacts/{md5}", "/artifacts/{e}/{md5}", "/artifactsV2/d/{e}/p/things/b/{md5}/f"]
)
def test_without_key_or_signature_nothing_is_given(api: Client, anyone: TestClient, path: str) -> None:
    api.log("things", {"f": DATA})
    answer = anyone.get(path.format(e=api.entity, md5=MD5))
    assert (answer.status_code, DATA in answer.content) == (401, False)
