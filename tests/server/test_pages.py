import json

import pytest
from starlette.testclient import TestClient

from cola_sweep.server.context import Context
from cola_sweep.server.store import files, projects, runs, sweeps
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
    for part in ("finished", "valid/mcc", "0.25", "NaN", "1e-05", "1,234 bytes", "sweep sw1"):
        assert part in text
    assert "_wandb" not in text


def test_nothing_logged_becomes_markup(page: TestClient, context: Context, run: Run) -> None:
    for tail in ("", "/sweeps/sw1", "/runs/run%201"):
        answer = page.get(f"/{context.user.name}/demo%20%26%20co{tail}")
        assert answer.status_code == 200
        assert "<script" not in answer.text
        assert "&lt;script&gt;" in answer.text


def test_a_page_may_run_no_script_and_be_framed_by_nobody(page: TestClient) -> None:
    policy = page.get("/").headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "unsafe-inline" not in policy
    assert "frame-ancestors 'none'" in policy


def test_an_empty_server_says_what_to_do(page: TestClient) -> None:
    assert "wandb sweep" in page.get("/").text


@pytest.mark.parametrize("tail", ["/none", "x", "/demo%20%26%20co/runs/none", "/demo%20%26%20co/sweeps/none"])
def test_what_is_not_there_is_a_page_with_404(page: TestClient, context: Context, run: Run, tail: str) -> None:
    answer = page.get(f"/{context.user.name}{tail}")
    assert answer.status_code == 404
    assert "there is no" in answer.text
    assert answer.headers["content-type"].startswith("text/html")
