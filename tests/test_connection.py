"""The connection to a server: real sockets, and the real client in a process of its own."""

import inspect
import io
import os
import re
import socket
import ssl
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from cola_sweep import connection
from cola_sweep.errors import UserError


def test_one_private_door_of_the_client_is_used_in_one_place_and_is_where_it_was() -> None:
    """When this fails `wandb.Api` has changed: see whether it has a name now for what `connection.graphql` asks."""
    import wandb
    from wandb.apis.public.service_api import ServiceApi

    package = Path(connection.__file__).parent
    assert [path.name for path in package.rglob("*.py") if "_service_api" in path.read_text()] == ["connection.py"]
    assert "_service_api" in wandb.Api.__init__.__code__.co_names, "no attribute that the API sets"
    assert inspect.signature(ServiceApi.execute_graphql).bind(None, "query", variables={})
    changed: Any = SimpleNamespace()
    with pytest.raises(wandb.errors.Error, match="hands on no query"):
        connection.graphql(changed, "query", {})


def test_waiting_for_a_download_ends() -> None:
    release = threading.Event()
    with pytest.raises(TimeoutError, match=r"no answer in 0\.01 s"):
        connection.within(0.01, release.wait)
    release.set()
    assert connection.within(300, lambda: 7) == 7
    with pytest.raises(KeyError):
        connection.within(300, lambda: {}["x"])


def test_any_answer_means_that_the_server_is_there(refusing_server: str) -> None:
    connection.check_reachable(refusing_server)


def test_whoever_waits_for_a_silent_server_is_told_for_what(monkeypatch: pytest.MonkeyPatch) -> None:
    told = threading.Event()
    lines: list[str] = []

    class Terminal(io.StringIO):
        def write(self, text: str) -> int:
            lines.append(text)
            told.set()
            return len(text)

    def answer_then() -> None:
        connected, _ = listening.accept()
        with connected:
            told.wait(300)
            connected.sendall(b"HTTP/1.1 401 no\r\n\r\n")

    monkeypatch.setattr(sys, "stderr", Terminal())
    monkeypatch.setattr(connection, "SILENT_SECONDS", 0)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        server = threading.Thread(target=answer_then, daemon=True)
        server.start()
        connection.check_reachable(address)
        server.join()
    assert lines[0] == f"still trying {address}, for 60 s in all"


def test_a_server_that_does_not_answer_is_one_line() -> None:
    with socket.socket() as held:  # bound, not listening: connections are refused
        held.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{held.getsockname()[1]}"
        with pytest.raises(UserError, match=rf"^{address}: the W&B server does not answer \(.*refused\); start it"):
            connection.check_reachable(address)


def test_a_proxy_is_not_asked_for_this_machine(refusing_server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    connection.check_reachable(refusing_server)


def test_a_certificate_is_for_the_client_to_judge(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise urllib.error.URLError(ssl.SSLCertVerificationError("unable to get local issuer certificate"))

    monkeypatch.setattr(urllib.request.OpenerDirector, "open", refuse)
    connection.check_reachable("https://wandb.example")


def test_what_does_not_speak_http_is_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def greet() -> None:
            with listening.accept()[0] as client:
                client.recv(1000)
                client.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")

        thread = threading.Thread(target=greet)
        thread.start()
        with pytest.raises(UserError, match="the W&B server does not answer"):
            connection.check_reachable(f"http://127.0.0.1:{listening.getsockname()[1]}")
        thread.join()


@pytest.mark.parametrize("address", ["http://127.0.0.1:port", "http://[x"])
def test_an_address_that_cannot_be_is_one_line(address: str) -> None:
    with pytest.raises(UserError, match="the W&B server does not answer"):
        connection.check_reachable(address)


def test_an_address_without_scheme_is_refused() -> None:
    with pytest.raises(UserError, match="must begin with http"):
        connection.check_reachable("127.0.0.1:8085")


@pytest.mark.parametrize(
    ("key", "message"),
    [
        (None, "you are not logged in; "),
        ("k" * 40, "logging in failed \\(Failed to verify"),
        ("short", "logging in failed \\(.*40\\+ characters"),
    ],
)
def test_a_login_that_does_not_work_is_one_line(
    refusing_server: str, tmp_path: Path, key: str | None, message: str
) -> None:
    """With the real client, in a process of its own: it keeps a service and its settings for the process's life."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    changes = {"WANDB_BASE_URL": refusing_server, "HOME": str(tmp_path), "NETRC": str(tmp_path / "netrc")}
    code = "from cola_sweep import connection, errors; raise SystemExit(errors.run_main(connection.connect))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL,
        timeout=300, env=kept | changes | ({"WANDB_API_KEY": key} if key else {}),
    )  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch(rf"error: {refusing_server}: {message}.*\n", done.stderr)


@pytest.mark.parametrize("name", ["WANDB_MODE", "WANDB_BASE_URL"])
def test_a_setting_that_wandb_refuses_is_one_line(tmp_path: Path, name: str) -> None:
    kept = {key: value for key, value in os.environ.items() if not key.startswith("WANDB_")}
    value = {"WANDB_MODE": "", "WANDB_BASE_URL": "nowhere"}[name]
    code = "from cola_sweep import connection, errors; raise SystemExit(errors.run_main(connection.connect))"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=300,
        env=kept | {"HOME": str(tmp_path), name: value},
    )  # fmt: skip
    assert done.returncode == 2
    assert re.fullmatch(rf"error: {name}: got '{value}'; .*; correct it, or unset it\n", done.stderr), done.stderr
