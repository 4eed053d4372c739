import errno
import gzip
import json
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest
from starlette.testclient import TestClient

from cola_sweep.server import app as app_module
from cola_sweep.server import dispatch, filestream
from cola_sweep.server.app import UnknownFields
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import HttpRefusal, Resolvers
from cola_sweep.server.store import Store, settings

STREAM = "/files/ada/demo/abc/file_stream"


@pytest.fixture
def answering(monkeypatch: pytest.MonkeyPatch) -> Resolvers:
    """Resolvers of the test's own in the place of the server's."""
    resolvers = Resolvers()
    monkeypatch.setattr(app_module, "resolvers", resolvers)
    return resolvers


@pytest.fixture
def full_disk() -> Iterator[sqlite3.Error]:
    """The error SQLite gives when a database may not grow."""
    connection = sqlite3.connect(":memory:")
    connection.execute("PRAGMA max_page_count=2")
    connection.execute("CREATE TABLE t (x)")
    with pytest.raises(sqlite3.OperationalError, match="full") as raised:
        connection.execute("INSERT INTO t VALUES (zeroblob(100000))")
    yield raised.value
    connection.close()


def test_ready_needs_no_key(anyone: TestClient) -> None:
    assert anyone.get("/ready").status_code == 200


def test_the_telemetry_probe_is_turned_away_for_good(anyone: TestClient) -> None:
    assert anyone.post("/sdk/otel/v1/metrics").status_code == 404


@pytest.mark.parametrize("path", ["/db/user", "/artifacts/x", "/files/ada/demo", "/a/b/c/d/e"])
def test_other_paths_are_not_found(client: TestClient, path: str) -> None:
    answer = client.post(path, json={})
    assert answer.status_code in (404, 405)
    assert answer.json()["error"]


def test_numbers_that_json_lacks_reach_the_client_as_texts(client: TestClient, answering: Resolvers) -> None:
    rows = [{"loss": float("nan"), "n": 1}, {"loss": float("inf")}, {"loss": [-float("inf"), 1e308]}]

    @answering.field("Query", "rows")
    def _rows(context: Context, parent: object, args: object) -> object:
        return rows

    answer = client.post("/graphql", json={"query": "{ rows }"})
    strict = json.loads(answer.content, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert strict["data"]["rows"] == [{"loss": "NaN", "n": 1}, {"loss": "Infinity"}, {"loss": ["-Infinity", 1e308]}]


def test_a_failing_resolver_is_an_error_with_status_200(client: TestClient, answering: Resolvers) -> None:
    @answering.field("Query", "broken")
    def _broken(context: Context, parent: object, args: object) -> object:
        raise KeyError("oops")

    answer = client.post("/graphql", json={"query": "{ broken }"})
    assert answer.status_code == 200
    assert "oops" in answer.json()["errors"][0]["message"]


def test_an_answer_that_cannot_be_written_is_an_error_with_status_200(client: TestClient, answering: Resolvers) -> None:
    @answering.field("Query", "odd")
    def _odd(context: Context, parent: object, args: object) -> object:
        return object()

    answer = client.post("/graphql", json={"query": "{ odd }"})
    assert answer.status_code == 200
    assert "not JSON serializable" in answer.json()["errors"][0]["message"]


def test_a_refusal_with_a_status_has_that_status(client: TestClient, answering: Resolvers) -> None:
    @answering.field("Query", "gone")
    def _gone(context: Context, parent: object, args: object) -> object:
        raise HttpRefusal(410, "it was deleted")

    answer = client.post("/graphql", json={"query": "{ gone }"})
    assert (answer.status_code, answer.json()["error"]) == (410, "it was deleted")


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b'"x"', b'{"query": 1}', b'{"query": "{ a }", "variables": []}', b"\xff", b"[" * 100_000],
)
def test_bodies_that_are_no_operation_are_bad_requests(client: TestClient, body: bytes) -> None:
    assert client.post("/graphql", content=body).status_code == 400


def test_a_body_beyond_the_limit_is_refused(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(app_module, "GRAPHQL_LIMIT", 100)
    monkeypatch.setattr(app_module, "FILE_STREAM_LIMIT", 100)
    body = b'{"query": "{ viewer { id } }", "x": "%s"}' % (b"x" * 100)
    assert client.post("/graphql", content=body).status_code == 413
    assert client.post(STREAM, content=gzip.compress(body), headers={"content-encoding": "gzip"}).status_code == 413
    assert client.post("/graphql", content=body[:29] + b"}").status_code == 200


def test_file_stream_is_read_plain_and_gzipped(client: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    def receive(context: Context, entity: str, project: str, run: str, body: object) -> object:
        return {"got": [context.user.name, entity, project, run, body]}

    monkeypatch.setattr(filestream, "receive", receive)
    plain = client.post("/files/ada/my project/abc/file_stream", json={"complete": True}).json()
    assert plain["got"][1:] == ["ada", "my project", "abc", {"complete": True}]
    packed = gzip.compress(b'{"exitcode": 0}')
    answer = client.post(STREAM, content=packed, headers={"content-encoding": "gzip"})
    assert answer.json()["got"][4] == {"exitcode": 0}
    for wrong in (b"not gzip", packed[:-4]):
        assert client.post(STREAM, content=wrong, headers={"content-encoding": "gzip"}).status_code == 400
    assert client.post(STREAM, content=packed, headers={"content-encoding": "br"}).status_code == 415


@pytest.mark.parametrize(("failure", "status"), [(ValueError("a mistake"), 422), (HttpRefusal(404, "no run"), 404)])
def test_a_file_stream_that_can_never_work_is_not_to_be_retried(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, failure: Exception, status: int
) -> None:
    def receive(*args: object) -> object:
        raise failure

    monkeypatch.setattr(filestream, "receive", receive)
    answer = client.post(STREAM, json={})
    assert answer.status_code == status
    assert str(failure) in answer.json()["error"]


def test_a_full_disk_asks_the_client_to_retry_and_says_so_in_the_log(
    client: TestClient,
    answering: Resolvers,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    full_disk: sqlite3.Error,
) -> None:
    for failure in (full_disk, OSError(errno.ENOSPC, "No space left on device")):

        def fail(*args: object, failure: Exception = failure) -> object:
            raise failure

        monkeypatch.setattr(filestream, "receive", fail)
        answering.field("Query", "stored")(fail)
        assert client.post(STREAM, json={}).status_code == 503
        assert client.post("/graphql", json={"query": "{ stored }"}).status_code == 503
        assert f"cannot be served now: {failure}" in caplog.text
        caplog.clear()


def test_unknown_fields_are_counted_and_logged_once(
    client: TestClient, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(3):
        client.post("/graphql", json={"query": "query Viewer { viewer { id shoeSize } }"})
    unknown: UnknownFields = client.app.state.unknown  # type: ignore[attr-defined]
    unknown.save()
    unknown.save()
    assert settings.unknown_fields(store) == {"User.shoeSize": 3}
    assert caplog.text.count("unknown field User.shoeSize, asked for by query Viewer") == 1
    client.post("/graphql", json={"query": "{ viewer { shoeSize } }"})
    unknown.save()
    assert settings.unknown_fields(store) == {"User.shoeSize": 4}


def test_periodic_work_goes_on_after_a_failure(
    context: Context, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    calls, twice = [], threading.Event()

    def expire(store: Store) -> None:
        calls.append(store)
        if len(calls) == 2:
            twice.set()
        raise ValueError("out of order")

    monkeypatch.setattr(app_module, "TICK_SECONDS", 0.001)
    monkeypatch.setattr(dispatch, "expire", expire)
    with TestClient(app_module.create_app(context.store, context.blobs)):
        assert twice.wait(300)
    assert calls[0] is context.store
    assert "out of order" in caplog.text


def test_the_servers_log_is_folded_in_while_it_runs(context: Context, monkeypatch: pytest.MonkeyPatch) -> None:
    done = threading.Event()
    monkeypatch.setattr(app_module, "CHECKPOINT_SECONDS", 0.001)
    monkeypatch.setattr(context.store, "checkpoint", done.set)
    with TestClient(app_module.create_app(context.store, context.blobs)):
        assert done.wait(300)


def test_importing_the_server_loads_nothing_heavy() -> None:
    heavy = ["optuna", "numpy", "pandas", "torch", "wandb", "jinja2"]
    code = f"import sys, cola_sweep.server.app; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
