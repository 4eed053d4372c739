import base64
import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from cola_sweep.server import ids
from cola_sweep.server.blobs import Blobs
from cola_sweep.server.context import Context
from cola_sweep.server.store import files, projects, runs
from cola_sweep.server.store.runs import Run
from tests.server.conftest import BASE, Clock

Ask = Callable[..., dict[str, Any]]

CREATE = """mutation CreateRunFiles ($entity: String!, $project: String!, $run: String!, $files: [String!]!) {
    createRunFiles(input: {entityName:$entity,projectName:$project,runName:$run,files:$files}) {
        runID uploadHeaders files { name uploadUrl } } }"""
MARK = """mutation MarkRunFilesUploaded ($entity: String!, $project: String!, $run: String!, $files: [String!]!) {
    markRunFilesUploaded(input: {entityName:$entity,projectName:$project,runName:$run,files:$files}) { success } }"""
LIST = """query RunFiles($project: String!, $entity: String!, $name: String!, $fileCursor: String, $fileLimit: Int = 50,
        $fileNames: [String] = [], $upload: Boolean = false, $pattern: String) {
    project(name: $project, entityName: $entity) { run(name: $name) { fileCount
        files(names: $fileNames, after: $fileCursor, first: $fileLimit, pattern: $pattern) {
            edges { node { id name url(upload: $upload) directUrl sizeBytes mimetype updatedAt md5 } cursor }
            pageInfo { endCursor hasNextPage } } } } }"""
DELETE = """mutation deleteFiles($files: [ID!]!, $projectId: Int) {
    deleteFiles(input: { files: $files, projectId: $projectId }) { success } }"""


@pytest.fixture
def run(context: Context) -> Run:
    project = projects.ensure(context.store, context.user.name, "my project")
    return runs.create(context.store, project.id, "abc", state="running", display_name="abc")


def where(run: Run) -> dict[str, str]:
    return {"entity": run.entity, "project": run.project_name}


def upload_urls(ask: Ask, run: Run, *names: str) -> list[str]:
    created = ask(CREATE, **where(run), run=run.name, files=list(names))["createRunFiles"]
    assert created["runID"]
    assert created["uploadHeaders"] == []
    assert [file["name"] for file in created["files"]] == list(names)
    return [file["uploadUrl"] for file in created["files"]]


def put(ask: Ask, anyone: TestClient, run: Run, name: str, content: bytes) -> None:
    (url,) = upload_urls(ask, run, name)
    key, anyone.auth = anyone.auth, None
    assert anyone.put(url, content=content).status_code == 200
    anyone.auth = key


def listed(ask: Ask, run: Run, **variables: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    found = ask(LIST, **where(run), name=run.name, **variables)["project"]["run"]
    return [edge["node"] for edge in found["files"]["edges"]], found


@pytest.mark.parametrize("name", ["a", "media/table/x y.json", "ünïcode ✓", "100%.txt", "a?b#c", "x" * 400])
def test_what_is_uploaded_without_a_key_is_downloaded_without_a_key(
    ask: Ask, anyone: TestClient, run: Run, name: str
) -> None:
    content = name.encode() * 3
    put(ask, anyone, run, name, content)
    (file,), found = listed(ask, run)
    assert found["fileCount"] == 1
    assert (file["name"], file["sizeBytes"]) == (name, len(content))
    assert file["md5"] == base64.b64encode(hashlib.md5(content).digest()).decode()
    anyone.auth = None
    for url in (file["url"], file["directUrl"]):
        assert url.startswith(f"{BASE}/")
        assert anyone.get(url).content == content


def test_an_empty_file_is_a_file(ask: Ask, anyone: TestClient, run: Run) -> None:
    put(ask, anyone, run, "empty", b"")
    (file,), _ = listed(ask, run)
    assert file["sizeBytes"] == 0
    assert anyone.get(file["url"]).content == b""


def test_a_second_upload_takes_the_first_ones_place(ask: Ask, anyone: TestClient, run: Run, clock: Clock) -> None:
    put(ask, anyone, run, "config.yaml", b"lr: 1")
    ((first,), _) = listed(ask, run)
    clock.advance(1)
    put(ask, anyone, run, "config.yaml", b"lr: 0.5")
    ((second,), _) = listed(ask, run)
    assert (second["id"], second["sizeBytes"]) == (first["id"], 7)
    assert second["updatedAt"] > first["updatedAt"]
    assert anyone.get(second["url"]).content == b"lr: 0.5"


def test_only_files_that_arrived_are_listed(ask: Ask, anyone: TestClient, run: Run) -> None:
    upload_urls(ask, run, "promised")
    put(ask, anyone, run, "sent", b"1")
    assert [file["name"] for file in listed(ask, run)[0]] == ["sent"]
    for names, success in ((["sent"], True), (["sent", "promised"], False)):
        answer = ask(MARK, **where(run), run=run.name, files=names)
        assert answer == {"markRunFilesUploaded": {"success": success}}


def test_pages_names_and_patterns(ask: Ask, context: Context, run: Run) -> None:
    names = sorted(f"{folder}/{number}.json" for folder in ("media", "media_x", "logs") for number in range(4))
    for name in names:
        files.record(context.store, run.id, name, 1, "")
    seen, cursor = [], None
    for expected in (5, 5, 2):
        page, found = listed(ask, run, fileLimit=5, fileCursor=cursor)
        assert len(page) == expected
        seen += [file["name"] for file in page]
        cursor = found["files"]["pageInfo"]["endCursor"]
        assert found["files"]["pageInfo"]["hasNextPage"] is (len(seen) < 12)
        assert found["fileCount"] == 12
    assert seen == names
    assert [file["name"] for file in listed(ask, run, fileNames=["logs/1.json", "none"])[0]] == ["logs/1.json"]
    assert [file["name"] for file in listed(ask, run, fileNames=["./logs//1.json"])[0]] == ["logs/1.json"]
    assert [file["name"] for file in listed(ask, run, pattern="media/%")[0]] == names[4:8]
    assert len(listed(ask, run, pattern="media_%")[0]) == 8
    assert listed(ask, run, pattern="'; DROP TABLE files; --")[0] == []


def test_the_upload_flag_asks_for_upload_addresses(ask: Ask, anyone: TestClient, run: Run) -> None:
    put(ask, anyone, run, "a", b"1")
    ((file,), _) = listed(ask, run, upload=True)
    anyone.auth = None
    assert anyone.get(file["url"]).status_code == 401
    assert anyone.put(file["url"], content=b"22").status_code == 200
    assert anyone.get(file["directUrl"]).content == b"22"


def test_ranges_and_heads(ask: Ask, anyone: TestClient, run: Run) -> None:
    put(ask, anyone, run, "a.bin", b"0123456789")
    ((file,), _) = listed(ask, run)
    part = anyone.get(file["url"], headers={"range": "bytes=2-4"})
    assert (part.status_code, part.content, part.headers["content-range"]) == (206, b"234", "bytes 2-4/10")
    assert anyone.get(file["url"], headers={"range": "bytes=20-"}).status_code == 416
    head = anyone.head(file["url"])
    assert (head.status_code, head.headers["content-length"], head.content) == (200, "10", b"")


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.html", "text/html"), ("a.svg", "image/svg+xml"), ("a.png", "image/png"), ("a", "application/octet-stream")],
)
def test_what_was_logged_cannot_run_in_our_pages(ask: Ask, anyone: TestClient, run: Run, name: str, kind: str) -> None:
    put(ask, anyone, run, f"media/{name}", b"<script>alert(1)</script>")
    ((file,), _) = listed(ask, run)
    headers = anyone.get(file["url"]).headers
    assert headers["content-type"].split(";")[0] == file["mimetype"] == kind
    assert headers["content-disposition"] == f'attachment; filename="{name}"'
    assert headers["content-security-policy"].startswith("sandbox;")
    assert headers["x-content-type-options"] == "nosniff"


# A name may look like an address that says of itself what it holds.
@pytest.mark.parametrize("name", ["a.js", "a.mjs", "data:application/ecmascript,a", "data:text/jscript,a", "a.css"])
def test_no_page_takes_a_script_or_a_style_that_was_logged(ask: Ask, anyone: TestClient, run: Run, name: str) -> None:
    put(ask, anyone, run, name, b"alert(1)")
    ((file,), _) = listed(ask, run)
    assert anyone.get(file["url"]).headers["content-type"].startswith("text/plain")


def test_a_deleted_file_is_gone(ask: Ask, anyone: TestClient, context: Context, run: Run) -> None:
    for name in ("a", "b"):
        put(ask, anyone, run, name, b"1")
    (a, b), _ = listed(ask, run)
    assert ask(DELETE, files=[a["id"]], projectId=run.project_id) == {"deleteFiles": {"success": True}}
    assert [file["name"] for file in listed(ask, run)[0]] == ["b"]
    assert anyone.get(a["url"]).status_code == 404
    assert not context.blobs.run_file(run.id, "a").exists()
    assert ask(DELETE, files=[a["id"]], projectId=run.project_id) == {"deleteFiles": {"success": True}}
    assert anyone.get(b["url"]).status_code == 200


def test_files_are_deleted_in_their_own_project_only(client: TestClient, context: Context, run: Run) -> None:
    files.record(context.store, run.id, "a", 1, "")
    variables = {"files": [ids.encode("File", 1)], "projectId": run.project_id + 1}
    answer = client.post("/graphql", json={"query": DELETE, "variables": variables}).json()
    assert "not of project" in answer["errors"][0]["message"]
    assert files.count(context.store, run.id) == 1


def test_files_of_a_deleted_run_are_not_served(ask: Ask, anyone: TestClient, context: Context, run: Run) -> None:
    put(ask, anyone, run, "a", b"1")
    ((file,), _) = listed(ask, run)
    (url,) = upload_urls(ask, run, "b")
    runs.delete(context.store, run.id)
    assert anyone.get(file["url"]).status_code == 404
    assert anyone.put(url, content=b"1").status_code == 404


def test_a_file_whose_bytes_are_lost_is_not_found(
    anyone: TestClient, client: TestClient, context: Context, run: Run
) -> None:
    files.record(context.store, run.id, "lost", 1, "")
    assert client.get(f"/files/{run.entity}/{run.project_name}/{run.name}/lost").status_code == 404


@pytest.mark.parametrize("name", ["", "../a", "a/../../b", "/etc/passwd", "a\0b", "x" * 5000])
def test_hostile_names_are_refused_when_asked_for_and_when_sent(
    client: TestClient, context: Context, run: Run, name: str
) -> None:
    variables = {**where(run), "run": run.name, "files": ["ok", name]}
    answer = client.post("/graphql", json={"query": CREATE, "variables": variables}).json()
    assert "file name" in answer["errors"][0]["message"]
    coded = "".join(f"%{byte:02x}" for byte in name.encode())
    path = f"/files/{run.entity}/{run.project_name}/{run.name}/{coded}"
    assert client.put(path, content=b"x").status_code in (400, 404)
    assert files.count(context.store, run.id) == 0


def test_an_upload_for_a_run_that_is_not_there_is_refused(client: TestClient, context: Context) -> None:
    variables = {"entity": context.user.name, "project": "none", "run": "abc", "files": ["a"]}
    answer = client.post("/graphql", json={"query": CREATE, "variables": variables})
    assert answer.status_code == 200
    assert "there is no run" in answer.json()["errors"][0]["message"]


def test_bytes_that_do_not_fit_their_announced_md5_are_refused(client: TestClient, context: Context, run: Run) -> None:
    path = f"/files/{run.entity}/{run.project_name}/{run.name}/a"
    answer = client.put(path, content=b"x", headers={"content-md5": "AAAAAAAAAAAAAAAAAAAAAA=="})
    assert answer.status_code == 400
    assert files.count(context.store, run.id) == 0


def test_an_upload_to_a_full_disk_is_to_be_retried(
    client: TestClient, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cola_sweep.server.blobs.RESERVE", 2**70)
    answer = client.put(f"/files/{run.entity}/{run.project_name}/{run.name}/a", content=b"x")
    assert answer.status_code == 503


def test_files_outlive_a_restart(ask: Ask, anyone: TestClient, context: Context, run: Run) -> None:
    put(ask, anyone, run, "a", b"1")
    assert Blobs(context.blobs.root).run_file(run.id, "a").read_bytes() == b"1"
