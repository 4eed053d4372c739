"""A server without a socket: its records in a temporary folder, a clock that tests set, a client that has the key."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from cola_sweep.server import auth
from cola_sweep.server.app import create_app
from cola_sweep.server.blobs import Blobs
from cola_sweep.server.context import Context
from cola_sweep.server.store import Store, users
from cola_sweep.server.urls import Urls

BASE = "http://testserver"


@dataclass
class Clock:
    """Seconds since the epoch, as the test has it."""

    now: float = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, clock: Clock) -> Iterator[Store]:
    store = Store(tmp_path / "server.db", clock)
    yield store
    store.close()


@pytest.fixture
def context(store: Store, tmp_path: Path, clock: Clock) -> Context:
    """What a resolver gets when the server's own account asks."""
    return Context(store, Blobs(tmp_path), Urls(BASE, auth.secret(store), clock), users.first(store))


@pytest.fixture
def anyone(context: Context) -> Iterator[TestClient]:
    """A client of the server over `context` that has no key."""
    app = create_app(context.store, context.blobs)
    with TestClient(app, base_url=BASE, follow_redirects=False, raise_server_exceptions=False) as client:
        yield client


@pytest.fixture
def client(anyone: TestClient, context: Context) -> TestClient:
    """A client that has the key of the server's own account."""
    anyone.auth = ("api", context.user.api_key)
    return anyone


@pytest.fixture
def ask(client: TestClient) -> Callable[..., dict[str, Any]]:
    """Run a GraphQL operation that must succeed; returns its data."""

    def run(query: str, **variables: Any) -> dict[str, Any]:
        answer = client.post("/graphql", json={"query": query, "variables": variables})
        body = answer.json()
        assert answer.status_code == 200, body
        assert "errors" not in body, body["errors"]
        data: dict[str, Any] = body["data"]
        return data

    return run
