import base64
import itertools
import json
import os
import re
import resource
import signal
import socket
import sqlite3
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from importlib import resources
from pathlib import Path

import httpx
import pytest

from cola_sweep.errors import ArgumentParser, UserError
from cola_sweep.server import process, serve
from cola_sweep.server.process import Address, Options
from cola_sweep.server.store import Store, files, projects, runs, settings, streams
from cola_sweep.server.store.database import SCHEMA_VERSION


@pytest.fixture
def options(tmp_path: Path) -> Iterator[Options]:
    """A data folder and a free port; what runs on it is stopped afterwards."""
    yield Options(tmp_path / "data", port=0)
    process.stop(tmp_path / "data")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Address, Path]]:
    """A server in its own process and its data folder."""
    data_dir = tmp_path_factory.mktemp("server")
    yield process.start(Options(data_dir, port=0)), data_dir
    process.stop(data_dir)


def viewer(address: Address, key: str) -> httpx.Response:
    query = {"query": "{ viewer { username } }"}
    return httpx.post(f"{address.base_url}/graphql", json=query, auth=("api", key), trust_env=False)


def client(address: Address) -> httpx.Client:
    return httpx.Client(base_url=address.base_url, auth=("api", address.api_key), trust_env=False)


def post(http: httpx.Client, address: Address, run: str, line: int) -> httpx.Response:
    """One line of a run's history."""
    part = {"offset": line, "content": [json.dumps({"_step": line, "loss": 1 / (line + 1)})]}
    return http.post(f"/files/{address.user}/demo/{run}/file_stream", json={"files": {"wandb-history.jsonl": part}})


def records(data_dir: Path) -> closing[Store]:
    return closing(Store(data_dir / "server.db"))


def command(capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str]:
    parser = ArgumentParser()
    serve.add_arguments(parser)
    code = serve.main(parser.parse_args(words))
    return code, capsys.readouterr().out


def test_start_find_and_stop(options: Options) -> None:
    assert process.find(options.data_dir) is None
    address = process.start(options)
    assert process.ready(address.base_url)
    assert process.find(options.data_dir) == address
    assert process.start(replace(options, port=1)) == address
    assert viewer(address, address.api_key).json()["data"]["viewer"]["username"] == address.user
    assert os.getsid(address.pid) == address.pid
    assert process.stop(options.data_dir) == address
    assert not process.ready(address.base_url)
    assert process.find(options.data_dir) is process.stop(options.data_dir) is None
    # Closed in order: the write-ahead log is folded in, nothing but records and the log is left.
    left = {path.name for path in options.data_dir.iterdir()}
    assert left == {"incoming", "lock", "server.db", "server.log"}


def test_two_servers_on_one_folder_are_refused(server: tuple[Address, Path]) -> None:
    address, data_dir = server
    with pytest.raises(UserError, match=f"a server runs on it already at {address.base_url}"):
        process.run(Options(data_dir, port=0))
    assert process.find(data_dir) == address


def test_a_port_in_use_is_a_users_error(server: tuple[Address, Path], options: Options) -> None:
    taken = replace(options, port=int(server[0].base_url.rpartition(":")[2]))
    for begin in (process.run, process.start):
        with pytest.raises(UserError, match=r"--port \d+: cannot listen there: .*in use.*use another --port"):
            begin(taken)
    assert not (options.data_dir / "server.db").exists()


def test_addresses_that_cannot_be_are_a_users_error(options: Options) -> None:
    for port in (-1, 65536):
        with pytest.raises(UserError, match=r"--port: got .*; must be 0 to 65535"):
            process.run(replace(options, port=port))
    with pytest.raises(UserError, match="cannot listen there"):
        process.run(replace(options, host="no such host"))


@pytest.mark.parametrize(
    ("host", "own"), [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("192.0.2.1", False)]
)
def test_other_machines_may_come_only_if_told(options: Options, host: str, own: bool) -> None:
    assert process.is_loopback(host) is own
    if not own:
        with pytest.raises(UserError, match=r"other machines could reach it; .*--allow-remote"):
            process.run(replace(options, host=host))
        with pytest.raises(UserError, match="--allow-provisioning: other machines could make accounts"):
            process.run(replace(options, host=host, allow_remote=True, provisioning=True))


def test_a_server_for_other_machines_names_an_address_that_works_here(options: Options) -> None:
    address = process.start(replace(options, host="0.0.0.0", allow_remote=True))
    assert address.base_url.startswith("http://127.0.0.1:")


def test_a_folder_that_cannot_be_written_is_a_users_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for begin in (process.run, process.start):
        with pytest.raises(UserError, match="must be a folder that can be written"):
            begin(Options(tmp_path / "file" / "data", port=0))


def test_a_file_that_is_no_database_is_a_users_error(options: Options) -> None:
    options.data_dir.mkdir()
    (options.data_dir / "server.db").write_bytes(b"not a database" * 1000)
    for begin in (process.run, process.start):
        with pytest.raises(UserError, match="its database cannot be opened"):
            begin(options)


def test_a_start_that_takes_long_says_where_to_look(
    options: Options, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    options.data_dir.mkdir()
    first = resources.files("cola_sweep.server.store").joinpath("migrations/0001.sql").read_text()
    with closing(sqlite3.connect(options.data_dir / "server.db")) as db:
        db.executescript(f"{first} PRAGMA user_version=1;")
    monkeypatch.setattr(process, "SILENT_SECONDS", 0.0)
    process.start(options)
    log = options.data_dir / "server.log"
    assert capsys.readouterr().err == f"still starting; what it does is said in {log}\n"
    assert f"bringing {options.data_dir / 'server.db'} from schema 1 to {SCHEMA_VERSION}" in log.read_text()


def test_what_was_answered_survives_kill_9(options: Options) -> None:
    """Runs log, each on a connection of its own, until the server is killed in the middle of it."""
    first = process.start(options)
    names = ["a", "b", "c"]
    with records(options.data_dir) as store:
        project = projects.ensure(store, first.user, "demo")
        for name in names:
            runs.create(store, project.id, name, state="running", display_name=name)
    answered = threading.Semaphore(0)

    def log(name: str) -> int:
        """How many lines the server took."""
        with client(first) as http:
            for line in itertools.count():
                try:
                    post(http, first, name, line).raise_for_status()
                except httpx.TransportError:
                    return line
                answered.release()
        raise AssertionError

    with ThreadPoolExecutor() as pool:
        taken = [pool.submit(log, name) for name in names]
        for _ in range(60):
            assert answered.acquire(timeout=300)
        os.kill(first.pid, signal.SIGKILL)
    os.waitpid(first.pid, 0)
    assert process.find(options.data_dir) is None
    second = process.start(options)
    assert second.api_key == first.api_key
    with records(options.data_dir) as store:
        assert store.all("PRAGMA integrity_check")[0][0] == "ok"
        for name, lines in zip(names, taken, strict=True):
            run = runs.find(store, first.user, "demo", name)
            assert run is not None
            steps = [step for step, _ in streams.history_values(store, run.id, "loss")]
            # The last one may have been written and not answered: then it comes again.
            assert steps in (list(range(lines.result())), list(range(lines.result() + 1)))
    with client(second) as http:
        assert post(http, second, "a", taken[0].result()).status_code == 200


def test_on_a_full_disk_nothing_is_lost_that_is_sent_again(options: Options) -> None:
    address = process.start(options)
    with records(options.data_dir) as store, client(address) as http:
        project = projects.ensure(store, address.user, "demo")
        run = runs.create(store, project.id, "a", state="running", display_name="a")
        assert post(http, address, "a", 0).status_code == 200
        # No file may grow beyond what the log of the database has now: as if the disk had no more room.
        full = (options.data_dir / "server.db-wal").stat().st_size
        before = resource.prlimit(address.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(address.pid, resource.RLIMIT_FSIZE, (full, before[1]))
        for _ in range(2):
            assert post(http, address, "a", 1).status_code == 503, "the client tries again"
        resource.prlimit(address.pid, resource.RLIMIT_FSIZE, before)
        assert post(http, address, "a", 1).status_code == 200
        assert [step for step, _ in streams.history_values(store, run.id, "loss")] == [0, 1]
    said = (options.data_dir / "server.log").read_text()
    assert re.search(r"ERROR .* POST /files/.*/file_stream cannot be served now: (disk I/O error|.*full)", said)


def test_more_clients_may_stay_connected_than_the_usual_limit_lets(options: Options) -> None:
    given = soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(soft % 2**64, 1024), hard))  # infinity is -1
    try:
        address = process.start(options)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, given)
    assert resource.prlimit(address.pid, resource.RLIMIT_NOFILE) == (min(hard % 2**64, process._MOST_FILES), hard)


def test_a_server_that_does_not_listen_to_stop_is_killed(options: Options, monkeypatch: pytest.MonkeyPatch) -> None:
    address = process.start(options)
    os.kill(address.pid, signal.SIGSTOP)
    monkeypatch.setattr(process, "STOP_SECONDS", 0.2)
    assert process.stop(options.data_dir) == address
    assert process.find(options.data_dir) is None


def test_only_its_owner_may_read_the_key(server: tuple[Address, Path]) -> None:
    for name in ("server.json", "server.log"):
        assert (server[1] / name).stat().st_mode & 0o077 == 0


def test_names_come_through_http_as_they_are(server: tuple[Address, Path]) -> None:
    address, data_dir = server
    with records(data_dir) as store:
        project = projects.ensure(store, address.user, "demo")
        runs.create(store, project.id, "abc", state="running", display_name="abc")
    with client(address) as http:
        for coded in ("%252e%252e/a", "100%25", "a%20b/%C3%A9"):
            path = f"/files/{address.user}/demo/abc/{coded}"
            assert http.put(path, content=coded.encode()).status_code == 200
            assert http.get(path).content == coded.encode()
        for hostile in ("%2e%2e/%2e%2e/server.db", "..%2f..%2fserver.db", "%2fetc/passwd", "a%00b", "%5cx"):
            path = f"/files/{address.user}/demo/abc/{hostile}"
            assert http.put(path, content=b"x").status_code == 400
            assert http.get(path).status_code == 400


def test_an_upload_that_breaks_off_is_not_kept(server: tuple[Address, Path]) -> None:
    address, data_dir = server
    host, _, port = address.base_url.removeprefix("http://").partition(":")
    key = base64.b64encode(f"api:{address.api_key}".encode()).decode()
    head = f"PUT /files/{address.user}/demo/broken/a HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {key}\r\n"
    with records(data_dir) as store:
        project = projects.ensure(store, address.user, "demo")
        run = runs.create(store, project.id, "broken", state="running", display_name="broken")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(f"{head}Content-Length: 100\r\n\r\nhalf".encode())
        assert viewer(address, address.api_key).status_code == 200
        assert files.count(store, run.id) == 0
    assert not any(path.is_file() for path in (data_dir / "files" / str(run.id)).glob("*"))


def test_the_command_starts_says_and_stops(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    where = ("--data-dir", str(tmp_path / "data"))
    assert command(capsys, *where, "--status") == (1, f"no server runs on {tmp_path / 'data'}\n")
    try:
        code, said = command(capsys, *where, "--background", "--port", "0")
        (base_url,) = re.findall(r"^serving (http://127\.0\.0\.1:\d+) as ", said)
        address = process.find(tmp_path / "data")
        assert (code, address and address.base_url) == (0, base_url)
        with records(tmp_path / "data") as store:
            settings.count_unknown(store, {"Run.shoeSize": 3})
        code, said = command(capsys, *where, "--status")
        assert code == 0
        assert f"serving {base_url}" in said
        assert "Run.shoeSize 3" in said
    finally:
        code, said = command(capsys, *where, "--stop")
    assert (code, said) == (0, f"stopped {base_url}\n")
    assert command(capsys, *where, "--stop") == (0, f"no server runs on {tmp_path / 'data'}\n")


def test_logging_in_needs_a_server_in_the_background(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--background"):
        command(capsys, "--login", "--data-dir", str(tmp_path))
