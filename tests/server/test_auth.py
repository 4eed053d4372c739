import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlsplit

import pytest
from starlette.routing import Route
from starlette.testclient import TestClient

from cola_sweep.server import auth, names
from cola_sweep.server.app import create_app
from cola_sweep.server.context import Context
from cola_sweep.server.store import Store, projects, runs, users
from tests.server.conftest import BASE, Clock

VIEWER = {"query": "query Viewer { viewer { id entity username email flags teams { edges { node { name } } } } }"}
BROWSER = {"accept": "text/html,*/*"}


def test_the_first_account_is_made_once_and_kept(store: Store) -> None:
    first = users.first(store)
    assert users.first(store) == first
    assert re.fullmatch("[0-9a-f]{40}", first.api_key)
    assert re.fullmatch("[a-z0-9_-]+", first.name)


@pytest.mark.parametrize(
    ("login", "name"),
    [("Ada.Love", "ada-love"), ("DOM\\ada", "dom-ada"), ("---", "me"), ("", "me"), ("é", "me"), ("Data", "data-user")],
)
def test_an_account_is_named_after_who_runs_the_server(monkeypatch: pytest.MonkeyPatch, login: str, name: str) -> None:
    monkeypatch.setattr("getpass.getuser", lambda: login)
    assert users.login_name() == name


def test_a_machine_without_a_user_name_still_gets_an_account(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert users.login_name() == "me"


def test_the_key_says_who_asks(ask: Callable[..., dict[str, Any]], context: Context) -> None:
    name = context.user.name
    viewer = ask(VIEWER["query"])["viewer"]
    assert viewer.pop("id")
    assert viewer == {
        "entity": name,
        "username": name,
        "email": f"{name}@localhost",
        "flags": None,
        "teams": {"edges": [{"node": {"name": name}}]},
    }


@pytest.mark.parametrize("path", ["/graphql", "/files/a/b/c/file_stream", "/authorize", "/nothing/like/this/at/all"])
def test_without_the_key_nothing_is_served(anyone: TestClient, context: Context, path: str) -> None:
    key = context.user.api_key
    headers: list[dict[str, str]] = [
        {},
        {"authorization": "Basic"},
        {"authorization": "Basic !"},
        {"authorization": f"Bearer {key}"},
    ]
    for header in headers:
        answer = anyone.post(path, json=VIEWER, headers=header)
        assert (answer.status_code, "API key" in answer.json()["error"]) == (401, True)
    for wrong in (
        ("api", ""),
        ("api", key[:-1]),
        ("api", key + "0"),
        ("api", key.upper()),
        ("other", key),
        ("api", "é"),
    ):
        assert anyone.post(path, json=VIEWER, auth=wrong).status_code == 401


def test_every_route_but_the_open_ones_asks_for_the_key(anyone: TestClient, client: TestClient) -> None:
    anyone.auth = None
    open_paths = set()
    for route in client.app.routes:  # type: ignore[attr-defined]
        path = re.sub(r"\{(\w+)(:\w+)?\}", "7", route.path)
        for method in route.methods:
            if anyone.request(method, path).status_code != 401:
                open_paths.add(path)
    assert open_paths == {"/ready", "/login", "/favicon.ico", "/static/7"}


def test_a_browser_is_told_that_only_the_servers_own_pages_may_reach_its_files(anyone: TestClient) -> None:
    asking = {"Origin": "http://elsewhere", "Access-Control-Request-Method": "GET"}
    answer = anyone.options("/files/a/b/c/d.txt", headers=asking)
    assert answer.headers["access-control-allow-origin"] == BASE
    assert "access-control-allow-credentials" not in answer.headers


def test_keys_with_a_prefix_are_keys(anyone: TestClient, store: Store) -> None:
    key = "local-" + "0123456789" * 4
    users.add(store, "grace", key)
    assert anyone.post("/graphql", json=VIEWER, auth=("api", key)).json()["data"]["viewer"]["username"] == "grace"
    assert anyone.post("/graphql", json=VIEWER, auth=("api", key.removeprefix("local-"))).status_code == 401


def test_keys_are_named_by_how_they_begin_and_another_users_not_at_all(
    ask: Callable[..., dict[str, Any]], store: Store, context: Context
) -> None:
    users.add(store, "grace")
    query = """query SearchUsers($q: String) {
        users(query: $q) { edges { node { username admin apiKeys { edges { node { name } } } } } } }"""
    (grace,) = ask(query, q="grace")["users"]["edges"]
    assert grace["node"] == {"username": "grace", "admin": False, "apiKeys": {"edges": []}}
    (self,) = ask(query, q=context.user.email)["users"]["edges"]
    (key,) = self["node"]["apiKeys"]["edges"]
    assert key["node"]["name"] == context.user.api_key[:8]
    assert ask(query, q="gra")["users"]["edges"] == []


def test_entities_features_and_organizations(ask: Callable[..., dict[str, Any]], context: Context) -> None:
    data = ask(
        """query Mixed($name: String!) {
            entity(name: $name) { name available defaultAccess organization { name }
                members { username accountType apiKey } }
            none: entity(name: "nobody") { name available members { username } }
            organization(name: "x") { featureFlags { rampKey } }
            serverInfo { features { name isEnabled } cliVersionInfo } }""",
        name=context.user.name,
    )
    assert data["entity"]["name"] == context.user.name
    assert data["entity"]["defaultAccess"] == "PRIVATE"
    assert data["entity"]["members"] == [{"username": context.user.name, "accountType": "USER", "apiKey": None}]
    assert data["entity"]["available"] is False
    assert data["none"] == {"name": "nobody", "available": True, "members": []}
    assert data["organization"] is data["entity"]["organization"] is None
    on = {feature["name"] for feature in data["serverInfo"]["features"] if feature["isEnabled"]}
    assert {"SWEEPS_LOCAL_SCHEDULER", "SWEEPS_QUERY_FILTERING", "STRUCTURED_CONSOLE_LOGS"} <= on
    assert "ARTIFACT_DIGEST_ALGORITHM" not in on
    # Clients call `.get` on it: null would end `wandb verify` with a traceback.
    assert data["serverInfo"]["cliVersionInfo"] == {"max_cli_version": "0.31.0"}


def test_a_browser_signs_in_by_the_printed_link_once(anyone: TestClient, store: Store, context: Context) -> None:
    projects.ensure(store, context.user.name, "demo")
    link = f"/login?token={auth.new_login_token(store)}"
    answer = anyone.get(link, headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert "demo" in anyone.get("/", headers=BROWSER).text
    anyone.cookies.clear()
    assert anyone.get(link, headers=BROWSER).status_code == 403
    assert anyone.get("/", headers=BROWSER).headers["location"] == "/login?next=/"


def test_a_new_link_ends_the_old_one(anyone: TestClient, store: Store) -> None:
    old, new = auth.new_login_token(store), auth.new_login_token(store)
    assert anyone.get(f"/login?token={old}").status_code == 403
    assert anyone.get("/login?token=").status_code == 403
    assert anyone.get(f"/login?token={new}").status_code == 303


def test_a_browser_signs_in_by_key_and_comes_to_the_page_it_wanted(anyone: TestClient, context: Context) -> None:
    wanted = anyone.get(f"/{context.user.name}/demo", headers=BROWSER).headers["location"]
    assert "API key" in anyone.get(wanted, headers=BROWSER).text
    wrong = anyone.post("/login", data={"key": "wrong", "next": "/x"})
    assert wrong.status_code == 403
    assert "set-cookie" not in wrong.headers
    answer = anyone.post("/login", data={"key": f" {context.user.api_key} ", "next": f"/{context.user.name}/demo"})
    assert answer.headers["location"] == f"/{context.user.name}/demo"
    assert context.user.api_key in anyone.get("/authorize", headers=BROWSER).text


@pytest.mark.parametrize(
    "address", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)", ""]
)
def test_signing_in_leads_nowhere_else(anyone: TestClient, context: Context, address: str) -> None:
    answer = anyone.post("/login", data={"key": context.user.api_key, "next": address})
    assert answer.headers["location"] == "/"


def test_a_cookie_only_reads_ends_in_time_and_cannot_be_made(
    anyone: TestClient, context: Context, clock: Clock
) -> None:
    session = auth.session(context.urls, context.user)
    anyone.cookies.set(auth.COOKIE, session)
    assert anyone.get("/").status_code == 200
    assert anyone.post("/graphql", json=VIEWER).status_code == 401
    clock.advance(auth.SESSION_SECONDS)
    assert anyone.get("/").status_code == 401
    body, _, seal = session.rpartition(".")
    for forged in (f"{body}9.{seal}", f"grace.{body.partition('.')[2]}.{seal}", seal, "", "..", "é"):
        anyone.cookies.clear()
        assert anyone.get("/", headers={"cookie": f"{auth.COOKIE}={forged}".encode()}).status_code == 401


def test_a_signed_address_opens_itself_alone(anyone: TestClient, context: Context, clock: Clock) -> None:
    signed = urlsplit(context.urls.signed("GET", "/files/a/b/c/d.txt", seconds=60))
    assert anyone.get(f"{signed.path}?{signed.query}").status_code == 404  # known, but there is no such run
    assert anyone.put(f"{signed.path}?{signed.query}").status_code == 401
    assert anyone.get(f"/files/a/b/c/e.txt?{signed.query}").status_code == 401
    clock.advance(61)
    assert anyone.get(f"{signed.path}?{signed.query}").status_code == 401


def test_addresses_are_those_the_client_uses(context: Context) -> None:
    project = projects.ensure(context.store, context.user.name, "demo")
    runs.create(context.store, project.id, "abc", state="running", display_name="abc")
    run = f'entityName: "{context.user.name}", projectName: "demo", runName: "abc"'
    query = f'mutation {{ createRunFiles(input: {{{run}, files: ["a"]}}) {{ files {{ uploadUrl }} }} }}'
    with TestClient(create_app(context.store, context.blobs), base_url="http://proxy.example:99") as client:
        answer = client.post("/graphql", json={"query": query}, auth=("api", context.user.api_key))
    (file,) = answer.json()["data"]["createRunFiles"]["files"]
    assert file["uploadUrl"].startswith("http://proxy.example:99/files/")


def test_accounts_are_made_over_http_only_where_that_is_switched_on(anyone: TestClient, context: Context) -> None:
    name = "peer_" + "0" * 40
    assert anyone.post("/db/user", json={"command": "up", "username": name}).status_code == 401
    with TestClient(create_app(context.store, context.blobs, provisioning=True), base_url=BASE) as client:
        for command in ("up", "password"):
            assert client.post("/db/user", json={"command": command, "username": name}).status_code == 200
        viewer = client.post("/graphql", json=VIEWER, auth=("api", name)).json()["data"]["viewer"]
        assert viewer["entity"] == name
        assert client.post("/db/user", json={"command": "logout", "username": name}).status_code == 400
        assert client.post("/db/user", json={"command": "up"}).status_code == 400
        refused = client.post("/db/user", json={"command": "up", "username": "login"})
        assert (refused.status_code, "'login'" in refused.text) == (400, True)
        assert client.post("/db/user", json={"command": "down", "username": name}).status_code == 200
        assert client.post("/graphql", json=VIEWER, auth=("api", name)).status_code == 401
        assert client.get("/").status_code == 401


def test_no_entity_is_called_as_the_servers_own_addresses_begin(context: Context) -> None:
    routes = create_app(context.store, context.blobs, provisioning=True).routes
    own = {part for route in routes if isinstance(route, Route) and "{" not in (part := route.path.split("/")[1])}
    assert own - {""} == names.RESERVED


def test_a_signed_request_is_let_in_while_another_writes(context: Context, store: Store) -> None:
    with ThreadPoolExecutor(1) as other:
        other.submit(users.first, store).result()  # a thread's first read opens its connection
        with store.write():
            assert other.submit(users.first, store).result(timeout=300) == context.user
