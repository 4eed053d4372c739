"""The pages of projects and sweeps: what their scripts are given, and the buttons."""

import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from cola_sweep.server import auth, dispatch
from cola_sweep.server.context import Context
from cola_sweep.server.pages import project as project_page
from cola_sweep.server.pages import sweep as sweep_page
from cola_sweep.server.pages.importance import FEWEST, importance
from cola_sweep.server.store import agents, projects, runs, sweeps
from cola_sweep.server.store.runs import Run
from cola_sweep.server.store.sweeps import Sweep
from tests.server.conftest import Clock

BROWSER = {"accept": "text/html"}
CONFIG = """
method: random
run_cap: 9
metric: {name: valid/mcc, goal: maximize}
parameters:
  lr: {distribution: log_uniform_values, min: 1.0e-5, max: 1.0e-3}
  optimizer: {parameters: {name: {values: [adam, sgd]}}}
  warmup: {min: 0.0, max: 0.2}
  epochs: {value: 3}
"""


@pytest.fixture
def sweep(context: Context) -> Sweep:
    project = projects.ensure(context.store, context.user.name, "demo")
    return sweeps.create(context.store, project.id, "sw1", config=CONFIG, method="random", state="RUNNING", seed=1)


@pytest.fixture
def trial(context: Context, sweep: Sweep) -> Callable[..., Run]:
    """Make a trial of the sweep."""

    def make(name: str, lr: float, mcc: float | None, state: str = "finished", **columns: Any) -> Run:
        args = {"lr": lr, "optimizer": {"name": "adam"}, "warmup": 0.1, "epochs": 3}
        return runs.create(
            context.store, sweep.project_id, name, state=state, display_name=f"trial {name}", sweep_id=sweep.id,
            args_json=json.dumps({key: {"value": value} for key, value in args.items()}),
            config_json=json.dumps({"lr": {"value": lr}, "_wandb": {"value": 1}}),
            summary_json=json.dumps({} if mcc is None else {"valid/mcc": {"max": mcc, "last": 0.0}, "_step": 3}),
            heartbeat_at=context.store.now(), **columns,
        )  # fmt: skip

    return make


def test_a_sweep_is_told_to_its_page(
    client: TestClient, context: Context, sweep: Sweep, trial: Callable[..., Run], clock: Clock
) -> None:
    agent = agents.create(context.store, sweep.id, "a1", "node7")
    agents.dismiss(context.store, agent.id, "its disk is full")
    first = trial("r1", 1e-4, 0.5, agent_id=agent.id)
    clock.advance(90)
    runs.update(context.store, first.id, finished_at=context.store.now())
    trial("r2", 2e-4, None, "running", notes="again after trial r1")
    trial("r3", 3e-4, 0.1, stop_reason="hyperband: behind")
    data = client.get(f"/data/{context.user.name}/demo/sweeps/sw1").json()
    assert data["live"] is True
    assert (data["state"], data["method"], data["cap"]) == ("RUNNING", "random", 9)
    assert data["metric"] == {"name": "valid/mcc", "goal": "maximize"}
    assert data["moves"] == ["PAUSED", "FINISHED", "CANCELED"]
    assert data["parameters"] == [
        {"name": "lr", "scale": "log"},
        {"name": "optimizer.name", "scale": "values"},
        {"name": "warmup", "scale": "linear"},
    ]
    assert [(each["id"], each["state"], each["value"]) for each in data["trials"]] == [
        ("r1", "finished", 0.5),
        ("r2", "running", None),
        ("r3", "finished", 0.1),
    ]
    assert data["trials"][0]["values"] == [1e-4, "adam", 0.1]
    assert (data["trials"][0]["seconds"], data["trials"][0]["agent"]) == (90, "a1")
    assert data["trials"][2]["reason"] == "hyperband: behind"
    assert [each["notes"] for each in data["trials"]] == [None, "again after trial r1", None]
    (told,) = data["agents"]
    assert (told["host"], told["state"], told["runs"], told["why"]) == ("node7", "RUNNING", 1, "its disk is full")


def test_a_trial_without_what_the_sweep_searches_is_told_too(
    client: TestClient, context: Context, sweep: Sweep
) -> None:
    runs.create(context.store, sweep.project_id, "r1", state="running", display_name="r1", sweep_id=sweep.id)
    (trial,) = client.get(f"/data/{context.user.name}/demo/sweeps/sw1").json()["trials"]
    assert (trial["value"], trial["values"]) == (None, [None, None, None])


def test_a_sweep_that_nobody_can_read_still_has_its_page(client: TestClient, context: Context) -> None:
    project = projects.ensure(context.store, context.user.name, "demo")
    sweeps.create(context.store, project.id, "sw2", config="- [", method="custom", state="FINISHED", seed=1)
    data = client.get(f"/data/{context.user.name}/demo/sweeps/sw2").json()
    assert (data["live"], data["metric"], data["parameters"], data["moves"]) == (False, None, [], ["RUNNING"])
    assert client.get(f"/{context.user.name}/demo/sweeps/sw2", headers=BROWSER).status_code == 200


def test_a_feed_is_sent_again_only_when_it_changed(
    client: TestClient, context: Context, sweep: Sweep, trial: Callable[..., Run], clock: Clock
) -> None:
    run = trial("r1", 1e-4, 0.5)
    agent = agents.create(context.store, sweep.id, "a1", "node7")
    project = f"/data/{context.user.name}/demo"
    for change in (
        lambda: runs.update(context.store, run.id, summary_json="{}"),
        lambda: trial("r2", 1e-4, 0.5),
        lambda: runs.delete(context.store, run.id),
        lambda: sweeps.update(context.store, sweep.id, state="PAUSED"),
        lambda: dispatch.heartbeat(context.store, agent.id, ()),
    ):
        tags = {path: client.get(path).headers["etag"] for path in (project, f"{project}/sweeps/sw1")}
        for path, tag in tags.items():
            again = client.get(path, headers={"if-none-match": tag})
            assert (again.status_code, again.content) == (304, b"")
        clock.advance(1)
        change()
        for path, tag in tags.items():
            assert client.get(path, headers={"if-none-match": tag}).status_code == 200


@pytest.mark.parametrize("tail", ["/demo/sweeps/none", "/none", "/none/sweeps/sw1", "/demo/sweeps/none/importance"])
def test_a_feed_of_nothing_is_404(client: TestClient, context: Context, sweep: Sweep, tail: str) -> None:
    assert client.get(f"/data/{context.user.name}{tail}").status_code == 404


def test_a_project_is_told_to_its_page(
    client: TestClient, context: Context, sweep: Sweep, trial: Callable[..., Run], clock: Clock
) -> None:
    trial("r1", 1e-4, 0.5)
    clock.advance(1)
    runs.create(
        context.store, sweep.project_id, "alone", state="running", display_name="alone",
        config_json='{"model": {"value": {"depth": 2, "name": "bert"}}, "tags": {"value": [1]}}',
        summary_json='{"loss": NaN, "chart": {"_type": "table-file"}, "done": true}',
    )  # fmt: skip
    data = client.get(f"/data/{context.user.name}/demo").json()
    (told,) = data["sweeps"]
    assert {key: told[key] for key in ("id", "name", "state", "method", "runs", "metric", "best")} == {
        "id": "sw1", "name": "sw1", "state": "RUNNING", "method": "random", "runs": 1, "metric": "valid/mcc",
        "best": 0.5,
    }  # fmt: skip
    alone, mine = ({**run, "values": dict(zip(data["keys"], run["values"], strict=True))} for run in data["runs"])
    assert (alone["id"], alone["state"], alone["sweep"]) == ("alone", "running", None)
    assert {key: value for key, value in alone["values"].items() if value is not None} == {
        "config.model.depth": 2, "config.model.name": "bert", "summary.loss": "NaN", "summary.done": True,
    }  # fmt: skip
    assert mine["sweep"] == "sw1"
    assert mine["values"]["config.lr"] == 1e-4
    assert mine["values"]["summary.valid/mcc.max"] == 0.5
    assert data["first"] == ["summary.valid/mcc.max", "config.lr"]
    assert (data["live"], data["count"]) == (True, 2)
    assert not [key for key in data["keys"] if "._" in key]


def test_of_very_many_runs_the_newest_are_told(
    client: TestClient, context: Context, trial: Callable[..., Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(4):
        trial(f"r{number}", 1e-4, 0.5)
    monkeypatch.setattr(project_page, "MOST", 2)
    monkeypatch.setattr(project_page, "SHOWN", 3)
    data = client.get(f"/data/{context.user.name}/demo").json()
    assert ([run["id"] for run in data["runs"]], data["count"]) == (["r3", "r2"], 4)
    assert "The newest 3 of 4" in client.get(f"/{context.user.name}/demo", headers=BROWSER).text


def press(anyone: TestClient, context: Context, state: str, sweep: str = "sw1") -> Any:
    """What a browser gets that presses a button of the sweep's page."""
    anyone.auth = None
    anyone.cookies.clear()
    anyone.cookies.set(auth.COOKIE, auth.session(context.urls, context.user))
    address = f"/{context.user.name}/demo/sweeps/{sweep}"
    (token,) = set(re.findall(r'name="token" value="(\w+)"', anyone.get("/", headers=BROWSER).text))
    return anyone.post(f"/actions{address}", data={"token": token, "state": state}, headers=BROWSER)


def test_the_buttons_of_a_sweep_do_what_they_say(
    anyone: TestClient, context: Context, sweep: Sweep, trial: Callable[..., Run]
) -> None:
    running = trial("r1", 1e-4, None, "running")

    def stops() -> bool:
        now = runs.by_id(context.store, running.id)
        assert now is not None
        return bool(now.stop_requested)

    for state in ("PAUSED", "RUNNING", "FINISHED", "RUNNING", "CANCELED"):
        assert not stops(), "a stop lets the trials under way go on"
        answer = press(anyone, context, state)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/{context.user.name}/demo/sweeps/sw1")
        text = anyone.get(answer.headers["location"], headers=BROWSER).text
        assert re.findall(r'data-state="(\w+)"', text)[0] == state.lower()
        disabled = re.findall(r'value="(\w+)"[^>]* disabled', text)
        assert state in disabled
    assert stops(), "a cancel ends the trials under way"


def test_a_sweep_that_has_not_begun_is_not_resumed(client: TestClient, context: Context, sweep: Sweep) -> None:
    sweeps.update(context.store, sweep.id, state="PENDING")
    data = client.get(f"/data/{context.user.name}/demo/sweeps/sw1").json()
    assert (data["live"], data["moves"]) == (True, ["PAUSED", "FINISHED", "CANCELED"])


def test_what_a_sweep_cannot_do_is_said_in_a_sentence(anyone: TestClient, context: Context, sweep: Sweep) -> None:
    press(anyone, context, "CANCELED")
    answer = press(anyone, context, "PAUSED")
    assert answer.status_code == 409
    assert "A sweep that is canceled cannot become paused." in answer.text
    assert f'href="/{context.user.name}/demo/sweeps/sw1"' in answer.text
    assert press(anyone, context, "BURNT").status_code == 400
    assert press(anyone, context, "PAUSED", sweep="none").status_code == 404
    fresh = sweeps.by_id(context.store, sweep.id)
    assert fresh is not None
    assert fresh.state == "CANCELED"


def test_a_button_pressed_from_another_site_does_nothing(anyone: TestClient, context: Context, sweep: Sweep) -> None:
    anyone.cookies.set(auth.COOKIE, auth.session(context.urls, context.user))
    answer = anyone.post(f"/actions/{context.user.name}/demo/sweeps/sw1", data={"state": "CANCELED"}, headers=BROWSER)
    assert answer.status_code == 403
    fresh = sweeps.by_id(context.store, sweep.id)
    assert fresh is not None
    assert fresh.state == "RUNNING"


def told(count: int, value: Callable[[int], float], goal: str = "maximize") -> dict[str, Any]:
    """A sweep over lr, a number that is spread evenly, and `optimizer`, which alternates."""
    return {
        "metric": {"name": "m", "goal": goal},
        "parameters": [{"name": "lr", "scale": "log"}, {"name": "optimizer", "scale": "values"}],
        "trials": [
            {"state": "finished", "value": value(i), "values": [10 ** (-5 + 3 * i / count), ["adam", {"a": 1}][i % 2]]}
            for i in range(count)
        ],
    }  # fmt: skip


@pytest.mark.parametrize("goal", ["maximize", "minimize"])
def test_the_parameter_that_made_the_difference_is_the_important_one(goal: str) -> None:
    sign = 1 if goal == "maximize" else -1
    by_lr = importance(told(60, lambda i: sign * math.sin(i / 20) + i % 2 / 1000, goal))
    assert by_lr["n"] == 60
    assert [name for name, _ in by_lr["shares"]] == ["lr", "optimizer"]
    assert sum(share for _, share in by_lr["shares"]) == pytest.approx(1)
    by_optimizer = importance(told(60, lambda i: sign * (i % 2) + (i * 7 % 60) / 1000, goal))
    assert by_optimizer["shares"][0][0] == "optimizer"


def test_where_importance_cannot_be_told_it_says_why() -> None:
    few = told(FEWEST - 1, float)
    assert "there are 9" in importance(few)["why"]
    few["trials"].append({"state": "running", "value": 1.0, "values": [1e-5, "adam"]})
    assert "there are 9" in importance(few)["why"], "a trial under way has no result yet"
    assert "names no metric" in importance({**few, "metric": None})["why"]
    assert "Nothing differs" in importance(told(20, lambda i: 1.0))["why"]
    absent = told(20, float)
    for trial in absent["trials"]:
        trial["values"] = [None, "adam"]
    assert "Nothing differs" in importance(absent)["why"]


def test_a_text_among_the_numbers_of_a_parameter_is_a_value_like_others() -> None:
    sweep = told(20, float)
    sweep["trials"][0]["values"][0] = "1e-5"
    assert {name for name, _ in importance(sweep)["shares"]} == {"lr", "optimizer"}


def test_importance_comes_by_its_own_address(client: TestClient, context: Context, sweep: Sweep) -> None:
    answer = client.get(f"/data/{context.user.name}/demo/sweeps/sw1/importance").json()
    assert answer == {"n": 0, "why": "This takes 10 ended trials with a value; there are 0."}


def test_a_sweeps_page_shows_what_was_changed_in_its_file(client: TestClient, context: Context, sweep: Sweep) -> None:
    assert sweep_page.changes(context.store, sweep) == []
    for old, new in (("max: 0.2", "max: 0.4"), ("run_cap: 9\n", "")):
        now = sweeps.by_id(context.store, sweep.id)
        assert now is not None
        sweeps.change_config(context.store, now, config=now.config.replace(old, new))
    now = sweeps.by_id(context.store, sweep.id)
    assert now is not None
    (_, second), (_, first) = sweep_page.changes(context.store, now)
    assert first == "-   warmup: {min: 0.0, max: 0.2}\n+   warmup: {min: 0.0, max: 0.4}"
    assert second == "- run_cap: 9"
    page = client.get(f"/{context.user.name}/demo/sweeps/sw1", headers=BROWSER).text
    assert page.index("- run_cap: 9") < page.index("+   warmup: {min: 0.0, max: 0.4}")
