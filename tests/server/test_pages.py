import errno
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib import resources
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient

from cola_sweep.server import auth, pages
from cola_sweep.server.app import PAGE_THREADS
from cola_sweep.server.context import Context
from cola_sweep.server.pages import home, static
from cola_sweep.server.pages.frame import Page
from cola_sweep.server.store import Store, files, projects, runs, sweeps
from cola_sweep.server.store.runs import Run

HOSTILE = "<script>alert('x')</script>\"'"
BROWSER = {"accept": "text/html"}


@pytest.fixture
def page(client: TestClient) -> TestClient:
    client.headers.update(BROWSER)
    return client


@pytest.fixture
def run(context: Context) -> Run:
    """A run of a sweep; whatever its client can choose is hostile."""
    project = projects.ensure(context.store, context.user.name, "demo & co")
    sweep = sweeps.create(
        context.store,
        project.id,
        "sw1",
        config=f"name: {HOSTILE}",
        method="grid",
        state="RUNNING",
        seed=1,
        display_name=HOSTILE,
    )
    made = runs.create(
        context.store,
        project.id,
        "run 1",
        state="finished",
        display_name=HOSTILE,
        sweep_id=sweep.id,
        config_json='{"lr": {"value": 1e-5}, "_wandb": {"value": {"t": 1}}}',
        summary_json=json.dumps({"valid/mcc": 0.25, "note": HOSTILE, "loss": float("nan")}),
    )
    files.record(context.store, made.id, f"media/{HOSTILE}.png", 1234, "")
    return made


def test_links_lead_from_home_to_the_run(page: TestClient, context: Context, run: Run) -> None:
    entity = context.user.name
    assert f'href="/{entity}/demo%20%26%20co"' in page.get("/").text
    for tail in ("", "/workspace", "/sweeps", "/runs"):
        text = page.get(f"/{entity}/demo%20%26%20co{tail}").text
        assert f'href="/{entity}/demo%20%26%20co/sweeps/sw1"' in text
        assert f'href="/{entity}/demo%20%26%20co/runs/run%201"' in text
    sweep = page.get(f"/{entity}/demo%20%26%20co/sweeps/sw1").text
    assert f'href="/{entity}/demo%20%26%20co/runs/run%201"' in sweep
    text = page.get(f"/{entity}/demo%20%26%20co/runs/run%201").text
    for part in ("finished", "valid/mcc", "0.25", "NaN", "1e-05", "1,234", "sweep sw1"):
        assert part in text
    assert "_wandb" not in text


def test_nothing_logged_becomes_markup(page: TestClient, context: Context, run: Run) -> None:
    for tail in ("", "/sweeps/sw1", "/runs/run%201"):
        answer = page.get(f"/{context.user.name}/demo%20%26%20co{tail}")
        assert answer.status_code == 200
        assert "<script>" not in answer.text
        assert "&lt;script&gt;" in answer.text


def test_a_page_may_run_our_own_scripts_alone_and_be_framed_by_nobody(page: TestClient) -> None:
    headers = page.get("/").headers
    policy = headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'"} <= set(policy)
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_what_a_page_loads_is_kept_for_good_by_an_address_that_changes_with_it(anyone: TestClient) -> None:
    loaded = re.findall(r'"(/static/[^"]+)"', anyone.get("/login", headers=BROWSER).text)
    assert {path.rpartition(".")[2] for path in loaded} == {"css", "svg"}
    for path in loaded:
        answer = anyone.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        wrong = re.sub(r"\.[0-9a-f]{12}\.", ".000000000000.", path)
        assert wrong != path
        assert anyone.get(wrong).status_code == 404
    for path in ("page.css", "none.000000000000.js", "..%2fframe.py", "nokind"):
        assert anyone.get(f"/static/{path}").status_code == 404


def test_a_script_imports_others_by_their_addresses(anyone: TestClient) -> None:
    names = [path.name for path in (resources.files(pages) / "static").iterdir() if path.name.endswith(".js")]
    for name in names:
        for imported in re.findall(r'(?:from|import) "(.*)"', anyone.get(static.address(name)).text):
            assert re.fullmatch(r"/static/[\w.]+\.[0-9a-f]{12}\.js", imported)


def test_the_bundle_of_vega_is_made_once(page: TestClient, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[object] = []

    def bundle(words: list[str], **options: object) -> SimpleNamespace:
        made.append(words)
        return SimpleNamespace(stdout=b"window.vegaEmbed = 1;")

    monkeypatch.setattr("subprocess.run", bundle)
    for _ in range(2):
        answer = page.get(static.address("vega.js"))
        assert answer.text == "window.vegaEmbed = 1;"
        assert answer.headers["content-type"].startswith("text/javascript")
    assert len(made) == 1


def test_a_form_is_taken_from_the_session_that_opened_it_alone(anyone: TestClient, context: Context) -> None:
    def open_form(seconds: float) -> str:
        later = replace(context.urls, clock=lambda: context.store.clock() + seconds)
        anyone.cookies.clear()
        anyone.cookies.set(auth.COOKIE, auth.session(later, context.user))
        return re.findall(r'name="token" value="(\w+)"', anyone.get("/", headers=BROWSER).text)[0]

    assert anyone.post("/actions/sign-out", data={"token": ""}, headers=BROWSER).headers["location"] == "/login?next=/"
    other, mine = open_form(1), open_form(2)
    for token in (other, "", "é"):
        answer = anyone.post("/actions/sign-out", data={"token": token}, headers=BROWSER)
        assert (answer.status_code, "another session" in answer.text) == (403, True)
    answer = anyone.post("/actions/sign-out", data={"token": mine}, headers=BROWSER)
    assert (answer.status_code, answer.headers["location"]) == (303, "/login")
    assert 'cola_sweep_session=""' in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    ("failure", "status", "hint"),
    [(RuntimeError("<b>broken</b>"), 500, "server.log"), (OSError(errno.ENOSPC, "<b>broken</b>"), 503, "Reload")],
)
def test_a_failure_is_a_page_to_a_person(
    page: TestClient, monkeypatch: pytest.MonkeyPatch, failure: Exception, status: int, hint: str
) -> None:
    def fail(*args: object) -> None:
        raise failure

    monkeypatch.setattr(projects, "of_entity", fail)
    answer = page.get("/")
    assert answer.status_code == status
    assert "&lt;b&gt;broken" in answer.text
    assert hint in answer.text


def test_however_many_pages_are_asked_for_few_are_made_at_once(
    page: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    busy, going = threading.Semaphore(0), threading.Event()
    at_once: list[int] = []
    lock, waiting = threading.Lock(), 0

    def slow(store: Store, name: str) -> Page:
        nonlocal waiting
        with lock:
            waiting += 1
            at_once.append(waiting)
        busy.release()
        going.wait()
        with lock:
            waiting -= 1
        return Page("home.html.j2", name, values={"projects": []})

    monkeypatch.setattr(home, "_page", slow)
    with ThreadPoolExecutor(2 * PAGE_THREADS) as pool:
        answers = [pool.submit(page.get, "/") for _ in range(2 * PAGE_THREADS)]
        for _ in range(PAGE_THREADS):
            busy.acquire()
        logged = page.post("/graphql", json={"query": "{ viewer { id } }"})
        going.set()
        assert [answer.result().status_code for answer in answers] == [200] * len(answers)
    assert logged.status_code == 200, "what logs is answered meanwhile"
    assert max(at_once) == PAGE_THREADS


def test_an_empty_server_says_what_to_do(page: TestClient) -> None:
    assert "wandb sweep" in page.get("/").text


@pytest.mark.parametrize(
    "tail", ["/none", "x", "/none/of/it/all", "/demo%20%26%20co/runs/none", "/demo%20%26%20co/sweeps/none"]
)
def test_what_is_not_there_is_a_page_with_404(page: TestClient, context: Context, run: Run, tail: str) -> None:
    answer = page.get(f"/{context.user.name}{tail}")
    assert answer.status_code == 404
    assert "there is no" in answer.text.lower()
    assert answer.headers["content-type"].startswith("text/html")
