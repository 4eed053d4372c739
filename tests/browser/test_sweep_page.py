"""The pages of projects and sweeps in a real browser, while a stock agent runs trials and with thousands there."""

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from cola_sweep.server.pages.static import address
from cola_sweep.server.store import Store, agents, projects, runs, sweeps
from tests.browser.conftest import PHONE, Open, tab_through, too_pale, unnamed
from tests.system.conftest import LiveServer

# A trial says how good its x is, and goes on once the test has made the file of that name.
PROGRAM = """
import time, pathlib, wandb
with wandb.init() as run:
    x = run.config["x"]
    run.define_metric("score", summary="max")
    run.log({"score": x / 8})
    while not pathlib.Path(f"go{x}").exists():
        time.sleep(0.05)
"""
SWEEP = """
name: three eighths
method: grid
program: program.py
metric: {name: score, goal: maximize}
parameters: {x: {values: [1, 3, 2, 4]}}
"""
HOSTILE = "<img src=x onerror=\"document.title='taken'\"><script>document.title='taken'</script>"
SPACE = """
method: random
metric: {name: m, goal: maximize}
parameters: {lr: {distribution: log_uniform_values, min: 1.0e-5, max: 1.0}}
"""


@pytest.fixture
def agent(live_server: LiveServer, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start `wandb agent` in the background; it is gone when the test ends."""
    started: list[subprocess.Popen[bytes]] = []

    def start(path: str) -> subprocess.Popen[bytes]:
        with (tmp_path / "agent.log").open("wb") as log:
            words = ["wandb", "agent", path]
            started.append(subprocess.Popen(words, cwd=tmp_path, env=live_server.env, stdout=log, stderr=log))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


def panel(page: Page, title: str) -> Locator:
    return page.locator("section").filter(has=page.get_by_role("heading", name=title, exact=True))


def cells(page: Page, row: int, title: str = "Trials") -> list[str]:
    """The texts of a row of a panel's table."""
    return panel(page, title).locator("tbody tr").nth(row).locator("th, td").all_inner_texts()


def test_a_sweep_is_followed_and_steered_while_its_trials_run(
    open_page: Open, live_server: LiveServer, agent: Callable[[str], subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    (tmp_path / "program.py").write_text(PROGRAM)
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    made = live_server.run("wandb", "sweep", "-p", "browser", "sweep.yaml", cwd=tmp_path, WANDB_SILENT="false")
    (path,) = re.findall(r"wandb agent (\S+)", made.stderr)
    entity, project, name = path.split("/")
    page = open_page(f"/{entity}/{project}/sweeps/{name}")
    heading, facts = page.get_by_role("heading", level=1), page.locator("#facts")
    expect(heading).to_have_text(re.compile("three eighths pending"))
    expect(panel(page, "Trials")).to_contain_text(f"wandb agent {path}")
    assert "first trial that logs score" in page.locator("#no-drawings").inner_text()

    process = agent(path)
    expect(heading).to_contain_text("running")
    expect(facts).to_contain_text("Best score\n0.125", use_inner_text=True)
    expect(panel(page, "Best so far").locator("svg")).to_have_attribute(
        "aria-label", "Best score so far: 0.125, of trial 1 of 1"
    )
    (tmp_path / "go1").touch()
    expect(facts).to_contain_text("Best score\n0.375", use_inner_text=True)
    assert [cells(page, row)[1:4] for row in (0, 1)] == [["running", "0.3750", "3"], ["finished", "0.1250", "1"]]
    expect(panel(page, "Against each parameter").locator("svg")).to_have_attribute(
        "aria-label", "score against x, 2 trials"
    )
    expect(panel(page, "Parallel coordinates").locator(".item")).to_have_count(2)
    expect(panel(page, "Agents").locator("tbody tr")).to_contain_text("running")

    page.get_by_role("button", name="Pause").click()
    expect(heading).to_contain_text("paused")
    assert page.get_by_role("button", name="Pause").is_disabled()
    (tmp_path / "go3").touch()
    expect(facts).to_contain_text("Under way\n0", use_inner_text=True)
    page.get_by_role("button", name="Resume").click()
    expect(facts).to_contain_text("Under way\n1", use_inner_text=True)
    expect(panel(page, "Trials").locator("tbody tr").first).to_contain_text("0.2500")
    expect(facts).to_contain_text("Best score\n0.375", use_inner_text=True)

    asked: list[str] = []
    page.on("dialog", lambda dialog: (asked.append(dialog.message), dialog.accept()))
    page.get_by_role("button", name="Cancel").click()
    expect(heading).to_contain_text("canceled")
    assert process.wait(300) == 0, "a cancel sends the agent home"
    expect(facts).to_contain_text("Stopped early\n1", use_inner_text=True)
    expect(panel(page, "Stopped early")).to_contain_text("the sweep was canceled")
    assert asked == ["Cancel ends the trial under way. Stop lets it go on to its end."]
    page.goto(f"/{entity}/{project}")
    expect(panel(page, "Sweeps").locator("tbody tr")).to_have_count(1)
    assert cells(page, 0, "Sweeps")[:6] == ["three eighths", "canceled", "grid", "3", "score", "0.3750"]


@pytest.fixture(scope="session")
def thousand(live_server: LiveServer) -> str:
    """A finished sweep of 1,000 trials; its path."""
    store = Store(live_server.data_dir / "server.db")
    project = projects.ensure(store, live_server.user, "thousand")
    sweep = sweeps.create(store, project.id, "sw1", config=SPACE, method="random", state="FINISHED", seed=1)
    agents.create(store, sweep.id, "a1", "node1")
    with store.write():
        for i in range(1000):
            lr = 10 ** (-5 + 4 * i / 1000)
            stopped = {"stop_requested": 1, "stop_reason": "hyperband: behind"} if i == 7 else {}
            runs.create(
                store, project.id, f"r{i}", state="failed" if i == 9 else "finished", display_name=f"trial-{i}",
                sweep_id=sweep.id, args_json=json.dumps({"lr": {"value": lr}}), heartbeat_at=store.now(),
                config_json=json.dumps({"lr": {"value": lr}, "depth": {"value": i % 7}}),
                summary_json=json.dumps({"m": i * 617 % 1000 / 1000}), **stopped,
            )  # fmt: skip
    store.close()
    return f"/{live_server.user}/thousand/sweeps/sw1"


def test_a_thousand_trials_are_sorted_filtered_and_turned(open_page: Open, thousand: str) -> None:
    page = open_page(thousand)
    trials = panel(page, "Trials")
    expect(trials.get_by_role("status")).to_have_text("1–50 of 1,000 trials")
    assert cells(page, 0)[0] == "trial-999"
    trials.get_by_role("button", name="m", exact=True).press("Enter")
    assert [cells(page, row)[2] for row in (0, 1)] == ["0.9990", "0.9980"]
    expect(trials.get_by_role("columnheader", name="m", exact=True)).to_have_attribute("aria-sort", "descending")
    trials.get_by_role("button", name="m", exact=True).press("Enter")
    assert cells(page, 0)[2] == "0.0000"
    trials.get_by_role("button", name="Next").click()
    expect(trials.get_by_role("status")).to_have_text("51–100 of 1,000 trials")
    assert cells(page, 0)[2] == "0.0500"
    search = trials.get_by_role("searchbox", name="Filter the trials")
    search.fill("m>=0.99 finished")
    expect(trials.get_by_role("status")).to_have_text("10 of 1,000 trials")
    search.fill("state=failed")
    expect(trials.get_by_role("status")).to_have_text("1 of 1,000 trials")
    assert cells(page, 0)[0] == "trial-9"
    search.fill("")
    trials.get_by_text("Columns").click()
    trials.get_by_role("checkbox", name="Duration").uncheck()
    page.keyboard.press("Escape")
    expect(trials.get_by_role("columnheader", name="Duration")).to_have_count(0)
    page.reload()
    expect(trials.get_by_role("status")).to_have_text("1–50 of 1,000 trials")
    expect(trials.get_by_role("columnheader", name="Duration")).to_have_count(0)


def test_the_panels_of_a_finished_sweep_have_the_right_numbers(open_page: Open, thousand: str) -> None:
    asked: list[str] = []
    page = open_page(thousand)
    page.on("request", lambda request: asked.append(request.url))
    facts = page.locator("#facts")
    for fact in ("Best m\n0.999", "Trials\n1,000", "Under way\n0", "Stopped early\n1", "Failed\n1"):
        expect(facts).to_contain_text(fact, use_inner_text=True)
    expect(panel(page, "Importance of the parameters").locator("li")).to_have_text(re.compile("lr.*100%"))
    expect(panel(page, "Stopped early").locator("tbody tr")).to_have_text(re.compile("trial-7.*hyperband: behind"))
    best = panel(page, "Best so far").locator("a:has(.best)")
    best.hover()
    expect(page.locator(".tip")).to_have_text(re.compile(r"m 0.999\s"))
    lines = panel(page, "Parallel coordinates")
    expect(lines.locator(".item")).to_have_count(200)
    lines.locator("svg").press("ArrowRight")
    expect(lines.locator("output")).to_have_text(re.compile("^1. trial-"))
    lines.locator("svg").press("Escape")
    grip = lines.locator(".grip").last.bounding_box()
    assert grip is not None
    page.mouse.move(grip["x"] + 5, grip["y"] + 2)
    page.mouse.down()
    page.mouse.move(grip["x"] + 5, grip["y"] + grip["height"] / 4)
    page.mouse.up()
    expect(lines.locator("output")).to_have_text(re.compile(r"^\d\d of 200 runs. Best: 1. trial-"))
    best.click()
    expect(page).to_have_url(re.compile("/thousand/runs/r"))
    assert not [url for url in asked if url.endswith("/data" + thousand)], "a finished sweep is not asked for again"


def test_hostile_names_are_shown_and_run_nothing(open_page: Open, live_server: LiveServer, records: Store) -> None:
    project = projects.ensure(records, live_server.user, HOSTILE.replace("/", ""))
    config = json.dumps(
        {
            "method": "random",
            "metric": {"name": HOSTILE, "goal": "maximize"},
            "parameters": {HOSTILE: {"values": [HOSTILE, "javascript:alert(1)"]}, "x": {"min": 0.0, "max": 1.0}},
        }
    )
    sweep = sweeps.create(
        records, project.id, "hostile", config=config, method="random", state="FINISHED", seed=1,
        display_name=HOSTILE, description=HOSTILE,
    )  # fmt: skip
    agents.create(records, sweep.id, "hostile", HOSTILE)
    for i, name in enumerate(("javascript:alert(1)", "..", HOSTILE)):
        runs.create(
            records, project.id, name, state="finished", display_name=HOSTILE, sweep_id=sweep.id,
            args_json=json.dumps({HOSTILE: {"value": HOSTILE if i else "javascript:alert(1)"}, "x": {"value": i / 4}}),
            config_json=json.dumps({HOSTILE: {"value": HOSTILE}}), summary_json=json.dumps({HOSTILE: i, "t": HOSTILE}),
            heartbeat_at=records.now(), stop_requested=1, stop_reason=HOSTILE,
        )  # fmt: skip
    page = open_page("/")
    page.get_by_role("link", name=project.name).click()
    expect(panel(page, "Runs").locator("tbody th a")).to_have_text([HOSTILE] * 3)
    panel(page, "Runs").get_by_text("Columns").click()
    for box in panel(page, "Runs").locator(".choice").get_by_role("checkbox").all():
        box.check()
    pages = [page.content()]
    page.keyboard.press("Escape")
    panel(page, "Sweeps").get_by_role("link").first.click()
    expect(panel(page, "Trials").locator("tbody th a")).to_have_text([HOSTILE] * 3)
    expect(panel(page, "Stopped early").locator("tbody tr")).to_have_count(3)
    expect(panel(page, "Parallel coordinates").locator(".item")).to_have_count(3)
    panel(page, "Parallel coordinates").locator("svg").press("ArrowRight")
    panel(page, "Best so far").locator("a").first.hover()
    pages.append(page.content())
    assert "taken" not in page.title().replace(HOSTILE, "")
    assert page.locator("img, main script").count() == 0
    for html in pages:
        assert not re.search(r'(href|action|src)="\s*javascript:', html)
    addresses = page.eval_on_selector_all(
        "a[href]", "nodes => nodes.map((node) => new URL(node.href.baseVal ?? node.href, document.baseURI).protocol)"
    )
    assert set(addresses) == {"http:"}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_can_be_read_by_everyone(open_page: Open, complaints: list[str], thousand: str, scheme: str) -> None:
    page = open_page(thousand, PHONE, scheme)
    expect(panel(page, "Importance of the parameters").locator("li")).to_have_count(1)
    for path in (thousand, thousand.rpartition("/sweeps")[0], "/", "/none", "/authorize"):
        if path != thousand:
            page.goto(path)
        assert too_pale(page) == []
        assert unnamed(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0, "nothing sticks out of a phone"
        assert page.locator("h1").count() == 1
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to the content"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
    assert "404" in complaints.pop(), "of /none"


def test_every_control_is_reached_by_the_keyboard_and_shows_it(open_page: Open, thousand: str) -> None:
    page = open_page(thousand)
    expect(panel(page, "Importance of the parameters").locator("li")).to_have_count(1)
    expect(panel(page, "Trials").get_by_role("status")).to_have_text("1–50 of 1,000 trials")
    assert tab_through(page) == []
    page.goto(thousand.rpartition("/sweeps")[0])
    runs_panel = panel(page, "Runs")
    expect(runs_panel.get_by_role("status")).to_have_text("1–50 of 1,000 runs")
    assert tab_through(page) == []
    runs_panel.get_by_text("Columns").press("Enter")
    runs_panel.get_by_role("checkbox", name="depth").press("Space")
    page.keyboard.press("Escape")
    expect(runs_panel.get_by_role("columnheader", name="depth")).to_be_visible()
    for name in ("trial-999", "trial-998"):
        page.get_by_label(f"compare {name}").press("Space")
    page.get_by_role("link", name="Compare 2 runs").press("Enter")
    expect(page.get_by_role("heading", level=1)).to_have_text("2 runs")


def test_durations_are_rounded_before_they_are_parted(open_page: Open) -> None:
    script = f"import('{address('dom.js')}').then(({{duration}}) => [0.4, 59.6, 479.7, 3599.6, 7170].map(duration))"
    assert open_page("/").evaluate(script) == ["0 s", "1 min 0 s", "8 min 0 s", "1 h 0 min", "2 h 0 min"]


def test_ticks_are_short_and_whole_where_the_values_are(open_page: Open) -> None:
    ticks = "(values) => scale(values, 'linear', 0, 100).ticks.map((tick) => tick.text)"
    values = "[[1, 3], [0.5, 2], [7, 7], [10_000_000, 25_000_000]]"
    script = f"import('{address('plot.js')}').then(({{scale}}) => {values}.map({ticks}))"
    assert open_page("/").evaluate(script) == [
        ["1", "2", "3"], ["0.5", "1", "1.5", "2"], ["7"], ["10M", "15M", "20M", "25M"]
    ]  # fmt: skip


def test_a_value_that_is_not_finite_leaves_its_column_one_of_numbers(
    open_page: Open, live_server: LiveServer, records: Store
) -> None:
    project = projects.ensure(records, live_server.user, "nan")
    for name, loss in (("low", 0.123456789), ("none", float("nan")), ("high", 2.5)):
        summary = json.dumps({"loss": loss})
        runs.create(records, project.id, name, state="finished", display_name=name, summary_json=summary)
    page = open_page(f"/{live_server.user}/nan")
    table = panel(page, "Runs")
    table.get_by_text("Columns").click()
    table.get_by_role("checkbox", name="loss").check()
    page.keyboard.press("Escape")
    table.get_by_role("button", name="loss").click()
    expect(table.locator("td.number:last-child")).to_have_text(["2.500", "0.123", "NaN"])


def test_a_page_says_when_it_is_no_longer_brought_up_to_date(
    open_page: Open, complaints: list[str], live_server: LiveServer, records: Store
) -> None:
    project = projects.ensure(records, live_server.user, "silent")
    sweeps.create(records, project.id, "sw1", config=SPACE, method="random", state="RUNNING", seed=1)
    page = open_page(f"/{live_server.user}/silent/sweeps/sw1")
    status = page.get_by_role("status").first
    page.context.clear_cookies()
    signed_out = "you are signed out; reload the page to sign in."
    expect(status).to_have_text(f"This is no longer brought up to date: {signed_out}")
    assert "401" in complaints.pop()


def test_an_outage_and_a_deleted_run_are_told_and_an_empty_project_waits(
    open_page: Open, complaints: list[str], live_server: LiveServer, records: Store
) -> None:
    project = projects.ensure(records, live_server.user, "bare")
    page = open_page(f"/{live_server.user}/bare")
    expect(panel(page, "Runs")).to_contain_text("No run yet")
    run = runs.create(records, project.id, "r1", state="running", display_name="first", heartbeat_at=records.now())
    # Not before its scripts are there and at work.
    with page.expect_response(lambda answer: answer.url.endswith(f"/data/{live_server.user}/bare/runs/r1")):
        panel(page, "Runs").get_by_role("link", name="first").click()
    expect(page.locator("#curves")).to_contain_text("draws the first point")
    status = page.locator("#status")
    page.context.set_offline(True)
    expect(status).to_contain_text("The server does not answer")
    page.context.set_offline(False)
    expect(status).to_have_text("")
    runs.delete(records, run.id)
    gone = f"there is no run {live_server.user}/bare/r1."
    expect(status).to_have_text(f"This is no longer brought up to date: {gone}")
    assert not [text for text in complaints if "ERR_INTERNET_DISCONNECTED" not in text and "404" not in text]
    complaints.clear()
