"""The pages of runs in a real browser: a run logged by the stock client with every kind of thing, while it goes on."""

import hashlib
import json
import re
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from cola_sweep.server.store import Store, files, projects, runs, streams
from tests.browser.conftest import PHONE, Open, tab_through, too_pale, unnamed
from tests.system.conftest import LiveServer

HOSTILE = "<img src=x onerror=\"document.title='taken'\">"
PROGRAM = """
import json, pathlib, sys, time, wave
import numpy as np, wandb
HOSTILE = sys.argv[1]
with wave.open("beep.wav", "wb") as wav:
    wav.setnchannels(1), wav.setsampwidth(2), wav.setframerate(8000), wav.writeframes(bytes(1600))
pathlib.Path("evil.svg").write_text(
    '<svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"><script>top.document.title="taken"</script></svg>')
steal = '''<p id=p>page</p><script>p.append(" of " + origin);
    try { top.document.title = "taken" } catch { p.append(", kept out") }</script>'''
squares = wandb.Table(columns=["x", "y"], data=[[i, i * i] for i in range(4)])
with wandb.init(project="browser", id="whole", name=HOSTILE, notes=HOSTILE, config={"lr": 1e-5, HOSTILE: 1}) as run:
    sys.__stdout__.write("begun\\n"), sys.__stdout__.flush()
    run.define_metric("epoch")
    run.define_metric("valid/mcc", step_metric="epoch", summary="max,last")
    run.define_metric("valid/f1", summary="last,min,max")
    for epoch, mcc in enumerate([0.125, float("nan"), 0.5]):
        run.log({"epoch": epoch, "train/loss": 2.0 - epoch, "valid/mcc": mcc, "valid/f1": [0.25, 2 / 3, 0.5][epoch],
                 "picture": wandb.Image(np.full((9 + epoch, 12, 3), 80 * epoch, dtype=np.uint8), caption=HOSTILE)})
    print("said\\x1b[31m in red\\x1b[0m", HOSTILE)
    run.log({
        "conf": wandb.plot.confusion_matrix(y_true=[0] * 31 + [1] * 17, preds=[0] * 48, class_names=["no", HOSTILE]),
        "sk": wandb.visualize("wandb/confusion_matrix/v1",
                              wandb.Table(columns=["Predicted", "Actual", "Count"], data=[["a", "b", 77]])),
        "mine": wandb.plot_table(wandb.Api().create_custom_chart(
            entity=run.entity, name="mine", display_name="", spec_type="vega2", access="private",
            spec={"mark": "text", "encoding": {
                "text": {"field": "${field:what}"}, "x": {"field": "x"}, "href": {"value": "javascript:alert(1)"}}},
        ), squares, {"what": "y"}),
        "wide": wandb.plot_table(wandb.Api().create_custom_chart(
            entity=run.entity, name="wide", display_name="", spec_type="vega2", access="private",
            spec={"width": "container", "height": 50, "mark": "bar", "encoding": {"x": {"field": "x"}}}), squares, {}),
        "outside": wandb.plot_table(wandb.Api().create_custom_chart(
            entity=run.entity, name="outside", display_name="", spec_type="vega2", access="private",
            spec={"mark": "point", "data": {"url": "/authorize"}}), squares, {}),
        "page": wandb.Html(steal, inject=False), "sound": wandb.Audio("beep.wav", caption="beep"),
        "histogram": wandb.Histogram(np_histogram=([5, 7, 9], [0, 1, 2, 3])),
        "rows": wandb.Table(columns=["n", "text", "picture"], data=[
            [i, HOSTILE + str(i), wandb.Image(np.zeros((4, 6, 3), dtype=np.uint8)) if i == 119 else None]
            for i in range(120)]),
    })
    run.save("evil.svg")
    artifact = wandb.Artifact("sounds", "dataset")
    artifact.add_file("beep.wav")
    run.log_artifact(artifact, aliases=["loud"])
    while not pathlib.Path("go").exists():
        time.sleep(0.05)
    run.log({"epoch": 3, "train/loss": -0.75})
told = wandb.Api().run("browser/whole")
losses = [row["train/loss"] for row in told.scan_history(keys=["train/loss"])]
times = [row["_timestamp"] for row in told.scan_history()]
pathlib.Path("told.json").write_text(json.dumps({
    "summary": {key: told.summary[key] for key in ("train/loss", "epoch")},
    "f1": dict(told.summary["valid/f1"]), "losses": losses, "rows": len(times), "logged_for": times[-1] - times[0],
    "created": told.created_at, "state": told.state, "id": told.id, "files": len(told.files()),
}))
"""


@pytest.fixture
def program(live_server: LiveServer, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "program.py").write_text(PROGRAM)
    words = ["python", "program.py", HOSTILE]
    with subprocess.Popen(words, cwd=tmp_path, env=live_server.env, stdout=subprocess.PIPE, text=True) as started:
        assert started.stdout is not None
        assert any("begun" in line for line in started.stdout)
        yield started
        started.kill()


def section(page: Page, name: str) -> Locator:
    return page.locator(f"#{name}")


def figure(page: Page, key: str) -> Locator:
    found = page.locator(f'figure[data-key="{key}"]')
    expect(found).to_be_attached()
    found.scroll_into_view_if_needed()
    return found


def texts(place: Locator) -> set[str]:
    return {text.strip() for text in place.locator("svg text").all_text_contents()}


def test_a_run_is_followed_and_all_that_it_logs_is_seen(
    open_page: Open, live_server: LiveServer, program: subprocess.Popen[str], tmp_path: Path, complaints: list[str]
) -> None:
    page = open_page(f"/{live_server.user}/browser/runs/whole")
    heading = page.get_by_role("heading", level=1)
    expect(heading).to_contain_text("running")
    expect(heading).to_contain_text(HOSTILE)
    # Charts and all come while the page is open.
    expect(figure(page, "train/loss").locator("figcaption")).to_have_text("train/loss 0")
    expect(section(page, "artifacts")).to_contain_text("sounds:v0")
    (tmp_path / "go").touch()
    expect(figure(page, "train/loss").locator("figcaption")).to_have_text("train/loss -0.75")
    expect(heading).to_contain_text("finished")

    # Curves: the axis that define_metric gave, what has no place, the tools, the keyboard.
    mcc = figure(page, "valid/mcc")
    picture = mcc.get_by_role("img")
    expect(picture).to_have_attribute("aria-description", "against epoch")
    expect(mcc.locator(".odd")).to_have_text("NaN at 1×")
    expect(mcc.locator("circle")).to_have_count(2)
    picture.focus()
    page.keyboard.press("Home")
    expect(mcc.locator(".hint")).to_have_text("epoch 00.125")
    page.get_by_label("Against").select_option("_step")
    expect(picture).to_have_attribute("aria-description", "against step")
    page.get_by_label("Smoothing").fill("0.5")
    expect(figure(page, "train/loss").locator("path.raw")).to_have_count(1)
    page.get_by_label("log scale").check()
    expect(figure(page, "train/loss").locator("path").last).to_have_attribute(
        "d", re.compile(r"^M\S+ \S+$|^M[^L]*L[^L]*$")
    )
    page.get_by_label("Show only").fill("MCC")
    expect(page.locator("#curves figure:visible")).to_have_count(1)
    page.get_by_label("Show only").fill("")

    # Charts: ours, scikit-learn's, a user's, and one that reaches for what it may not have.
    conf = figure(page, "conf")
    expect(conf.locator("svg")).to_be_visible()  # Vega is bundled for the first one
    assert texts(conf) >= {"31", "17", "0", "no"}
    assert any(text.startswith("<img src=x on") for text in texts(conf))
    expect(figure(page, "sk").locator("svg")).to_contain_text("77")
    expect(figure(page, "mine").locator("svg")).to_contain_text("9")
    assert page.locator('figure[data-key="mine"] a[href^="javascript"]').count() == 0
    expect(figure(page, "wide").locator("svg")).to_be_visible()
    room = figure(page, "wide").locator("svg").bounding_box()
    assert room is not None
    assert room["width"] > 300, "as much as there is"
    assert "font-size" not in figure(page, "outside").inner_text()

    # Media: the newest picture, an earlier one, what a script in a page may do, a sound, a histogram.
    media = figure(page, "picture")
    image = media.locator("img")
    expect(image).to_have_attribute("alt", HOSTILE)
    expect(image).to_have_js_property("naturalHeight", 11)
    media.get_by_role("slider").fill("0")
    expect(image).to_have_js_property("naturalHeight", 9)
    framed = figure(page, "page").frame_locator("iframe")
    expect(framed.locator("#p")).to_have_text("page of null, kept out")
    expect(figure(page, "sound").locator("audio")).to_be_visible()
    expect(figure(page, "histogram").get_by_role("img")).to_have_attribute(
        "aria-label", "histogram: 21 values from 0 to 3"
    )

    # Tables: sorted, searched and turned on the server, with their pictures.
    table = page.locator("#table")
    table.scroll_into_view_if_needed()
    expect(table.locator(".pager")).to_contain_text("Page 1 of 3, 120 rows")
    table.get_by_role("link", name="n", exact=True).click()
    table.get_by_role("link", name="n ↑").click()
    expect(table.locator("tbody tr").first.locator("td").first).to_have_text("119")
    expect(table.locator("tbody tr").first.locator("td").nth(1)).to_have_text(HOSTILE + "119")
    expect(table.locator("td img")).to_have_js_property("naturalWidth", 6)
    table.get_by_label("Rows with").fill("'>11")
    table.get_by_role("button", name="Show").click()
    expect(table).to_contain_text("No row has")
    table.get_by_label("Rows with").fill(">7")
    page.keyboard.press("Enter")
    expect(table.locator("tbody tr")).to_have_count(11)

    # The rest, as text.
    expect(section(page, "summary").locator("tr", has_text="valid/mcc")).to_contain_text("last 0.5")
    expect(section(page, "configuration")).to_contain_text(re.compile(r"lr\s*1e-05"))
    expect(section(page, "console")).to_contain_text(f"said in red {HOSTILE}")
    expect(section(page, "files")).to_contain_text("evil.svg")
    expect(section(page, "artifacts").locator("tr", has_text="sounds:v0")).to_contain_text("loud")
    with page.expect_download() as got:
        section(page, "files").get_by_role("link", name="evil.svg").click()
    assert "<script>" in got.value.path().read_text()
    assert page.title() != "taken"
    assert too_pale(page) == unnamed(page) == []

    alone = figure(page, "page").locator("iframe").get_attribute("src")
    assert alone is not None
    assert complaints == []
    open_what_was_logged(page, alone, f"/shown/{live_server.user}/browser/whole/evil.svg")
    complaints.clear()

    assert program.wait(timeout=300) == 0
    read_on_a_phone(open_page, f"/{live_server.user}/browser/runs/whole")
    # What the pages say is what wandb.Api says.
    compare_with_api(open_page, live_server, json.loads((tmp_path / "told.json").read_text()))


def open_what_was_logged(page: Page, html: str, svg: str) -> None:
    """A logged page and a drawing as pages of their own, by a browser that is signed in."""
    page.goto(html)
    expect(page.locator("#p")).to_have_text("page of null")
    asked = "fetch('/authorize').then(() => 'read', () => 'refused')"
    assert page.evaluate(asked) == "refused"
    page.goto(svg)
    assert page.evaluate("document.documentElement.nodeName") == "svg"
    assert page.title() != "taken"


def read_on_a_phone(open_page: Open, path: str) -> None:
    """All of the run, and the page of its table, on a narrow dark screen."""
    page = open_page(path, size=PHONE, scheme="dark")
    for key in ("valid/mcc", "conf", "histogram"):
        expect(figure(page, key).locator(".plot > :not(.hint) svg, .plot > svg").first).to_be_visible()
    page.locator("#table").scroll_into_view_if_needed()
    expect(page.locator("#table tbody tr")).to_have_count(50)
    for tail in ("", "/table?key=rows&page=3"):
        if tail:
            page.goto(path + tail)
        assert too_pale(page) == unnamed(page) == []
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") == 0, "nothing sticks out"
        assert page.locator("h1").count() == 1


def compare_with_api(open_page: Open, live_server: LiveServer, told: dict[str, Any]) -> None:
    """Best, last, least, counts, duration and times on the run's page and its project's, where it is half past."""
    page = open_page(f"/{live_server.user}/browser/runs/whole", zone="Asia/Kolkata")
    facts = dict(
        page.locator(".facts > div").evaluate_all(
            "all => all.map((div) => [...div.children].map((one) => one.textContent))"
        )
    )
    made = datetime.fromisoformat(told["created"].rstrip("Z")).replace(tzinfo=UTC)
    assert facts["Since"] == f"{made:%Y-%m-%d %H:%M} UTC"
    assert facts["Steps"] == str(told["rows"])
    assert facts["Id"] == told["id"]
    expect(page.get_by_role("heading", level=1)).to_contain_text(told["state"])
    units = {"h": 3600, "min": 60, "s": 1}
    lasted = sum(int(count) * units[unit] for count, unit in re.findall(r"(\d+) (\w+)", facts["Lasted"]))
    assert told["logged_for"] - 1 <= lasted <= (datetime.now(UTC) - made).total_seconds() + 1
    curve = figure(page, "train/loss")
    losses = told["losses"]
    expect(curve.locator("figcaption")).to_have_text(f"train/loss {told['summary']['train/loss']:g}")
    expect(curve.get_by_role("img")).to_have_attribute(
        "aria-label",
        f"train/loss: from {losses[0]:g} to {losses[-1]:g}, lowest {min(losses):g} at 4, highest {max(losses):g} at 0",
    )
    summary = section(page, "summary").locator("tr")
    of_f1 = summary.filter(has_text="valid/f1").locator(".part")
    expect(of_f1).to_have_text([f"{name} {told['f1'][name]:g}" for name in ("max", "min", "last")])
    expect(summary.filter(has=page.get_by_role("rowheader", name="epoch", exact=True)).locator("td")).to_have_text(
        str(told["summary"]["epoch"])
    )
    expect(section(page, "files").locator("tbody tr")).to_have_count(told["files"])
    page.goto(f"/{live_server.user}/browser")
    row = page.locator("#runs tbody tr", has=page.locator("a[href$='/runs/whole']"))
    local = made.astimezone(ZoneInfo("Asia/Kolkata"))
    expect(row).to_contain_text(f"{local.day} {local:%b %Y, %H:%M}")
    expect(row).to_contain_text(facts["Lasted"])


def add_pair(records: Store, user: str, name: str) -> None:
    """A project of two runs with a curve each, and predictions that agree on one of two sentences."""
    project, table = projects.ensure(records, user, name), {"_type": "table-file", "path": "p.table.json"}
    for at, run_name in enumerate(("first", "second")):
        run = runs.create(
            records, project.id, run_name, state="finished", display_name=f"{run_name} {HOSTILE}",
            config_json=json.dumps({"lr": {"value": 10.0**-at}}), summary_json=json.dumps({"predictions": table}),
        )  # fmt: skip
        place = records.path.parent / "files" / str(run.id) / hashlib.sha256(table["path"].encode()).hexdigest()
        place.parent.mkdir(parents=True)
        said = [["Same.", "good", "good", 0.5], [HOSTILE, "good", ("bad", "good")[at], 0.25]]
        place.write_text(json.dumps({"columns": ["sentence", "label", "predicted", "probability"], "data": said}))
        files.record(records, run.id, table["path"], place.stat().st_size, "")
        rows = [json.dumps({"_step": step, "loss": step * (at + 1)}) for step in range(20)]
        streams.write_lines(records, run.id, "history", 0, rows)


def test_a_curve_whose_axis_stands_still_is_drawn_against_the_step_until_it_is_chosen(
    open_page: Open, live_server: LiveServer, records: Store
) -> None:
    project = projects.ensure(records, live_server.user, "standing")
    config = json.dumps({"_wandb": {"value": {"m": [{"1": "epoch"}, {"2": "*", "5": 1}]}}})
    run = runs.create(records, project.id, "r", state="finished", display_name="r", config_json=config, last_step=7)
    rows = [{"_step": i, "epoch": i // 4, "loss": i, **({"acc": i} if i % 4 == 3 else {})} for i in range(8)]
    streams.write_lines(records, run.id, "history", 0, [json.dumps(row) for row in rows])
    page = open_page(f"/{live_server.user}/standing/runs/r")
    expect(figure(page, "acc").get_by_role("img")).to_have_attribute("aria-description", "against epoch")
    loss = figure(page, "loss").get_by_role("img")
    expect(loss).to_have_attribute("aria-description", "against step")
    page.get_by_label("Against").select_option("epoch")
    expect(loss).to_have_attribute("aria-description", "against epoch")


def test_pages_in_use_still_get_what_is_new(open_page: Open, live_server: LiveServer, records: Store) -> None:
    project = projects.ensure(records, live_server.user, "in use")
    one, two = (
        runs.create(records, project.id, name, state="running", display_name=name, heartbeat_at=records.now())
        for name in ("one", "two")
    )
    for run in (one, two):
        streams.write_lines(records, run.id, "history", 0, [json.dumps({"_step": 0, "loss": 4})])
    streams.write_lines(
        records, one.id, "events", 0, [json.dumps({"_runtime": i, "system.cpu": 7 * i}) for i in (1, 2)]
    )
    page = open_page(f"/{live_server.user}/in%20use/runs/one")
    cpu = figure(page, "system.cpu").get_by_role("img")
    expect(cpu).to_have_attribute("aria-label", "system.cpu: from 7 to 14, lowest 7 at 1, highest 14 at 2")
    expect(cpu).to_have_attribute("aria-description", "against seconds since the start")
    expect(figure(page, "loss").locator("figcaption")).to_have_text("loss 4")
    assert tab_through(page) == []
    log = page.get_by_label("log scale")
    log.check()
    streams.write_lines(records, one.id, "history", 1, [json.dumps({"_step": 1, "loss": 2, "late": 8})])
    runs.update(records, one.id, heartbeat_at=records.now())
    expect(figure(page, "late").locator("figcaption")).to_have_text("late 8")
    expect(figure(page, "loss").locator("figcaption")).to_have_text("loss 2")
    expect(log).to_be_checked()
    expect(log).to_be_focused()

    page.goto(f"/{live_server.user}/in%20use/compare?run=one&run=two")
    loss = figure(page, "loss")
    expect(loss.locator("path")).to_have_count(2)
    assert tab_through(page) == []
    log.check()
    streams.write_lines(records, two.id, "history", 1, [json.dumps({"_step": 1, "loss": 1})])
    runs.update(records, two.id, state="finished", summary_json=json.dumps({"loss": 1}))
    expect(page.locator(".chosen li").nth(1)).to_contain_text("finished")
    expect(page.locator(".chosen li").first).to_contain_text("running")
    expect(section(page, "summary").locator("td")).to_have_text(["", "1"])
    expect(loss.get_by_role("img")).to_have_attribute(
        "aria-label", re.compile("one: from 4 to 2, .*; two: from 4 to 1, ")
    )
    expect(log).to_be_focused()


@pytest.mark.parametrize(("size", "scheme"), [((1280, 900), "light"), (PHONE, "dark")])
def test_runs_are_chosen_and_compared(
    open_page: Open, live_server: LiveServer, records: Store, size: tuple[int, int], scheme: str
) -> None:
    add_pair(records, live_server.user, f"pair {scheme}")
    page = open_page(f"/{live_server.user}/pair%20{scheme}", size=size, scheme=scheme)
    for name in ("first", "second"):
        page.get_by_label(f"compare {name}").check()
    page.get_by_role("link", name="Compare 2 runs").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("2 runs")
    loss = figure(page, "loss")
    expect(loss.locator("path")).to_have_count(2)
    loss.get_by_role("img").focus()
    page.keyboard.press("End")
    expect(loss.locator(".hint")).to_contain_text(re.compile("first .*19.*second .*38"))
    expect(section(page, "configuration").locator("td")).to_have_text(["1", "0.1"])
    expect(section(page, "sentences")).to_contain_text("1 of 2 sentences.")
    expect(section(page, "sentences").locator("tbody tr > *")).to_have_text(
        [HOSTILE, "good", "✗ bad 0.25", "✓ good 0.25"]
    )
    assert too_pale(page) == unnamed(page) == []
    assert page.evaluate("document.documentElement.scrollWidth") <= size[0]
    page.get_by_role("link", name=f"Remove first {HOSTILE}").click()
    expect(page.get_by_role("button", name="Compare")).to_be_visible()
    assert page.title() == "Compare runs · cola-sweep"
