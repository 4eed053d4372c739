"""The run's page and its data: what was logged is there, escaped, and can run nothing."""

import html
import json
import re
from base64 import b64decode
from collections.abc import Callable
from itertools import chain
from typing import Any
from urllib.parse import quote

import pytest
from starlette.testclient import TestClient

from cola_sweep.server import auth, ids, table_files, tables
from cola_sweep.server.context import Context
from cola_sweep.server.store import artifact_files, artifacts, collections, files, projects, runs, streams, sweeps
from cola_sweep.server.store.runs import Run
from cola_sweep.server.tables import BadTable, Table
from tests.server import uploads

HOSTILE = "<img src=x onerror=alert(1)>\"'"
IMAGE = {"_type": "image-file", "path": "media/images/a b_0.png", "caption": HOSTILE}
TABLE = {"_type": "table-file", "path": "media/table/t.table.json", "ncols": 2, "nrows": 120}
CHART = {
    "panel_type": "Vega2",
    "panel_config": {
        "panelDefId": "wandb/line/v0",
        "fieldSettings": {"x": "n", "y": "square"},
        "stringSettings": {"title": HOSTILE},
        "userQuery": {"queryFields": [{"fields": [{"args": [{"name": "tableKey", "value": "t"}]}]}]},
    },
}
Get = Callable[..., Any]


@pytest.fixture
def run(context: Context) -> Run:
    """A run that goes on; whatever its client can choose is hostile."""
    project = projects.ensure(context.store, context.user.name, "p & q")
    config = {
        "lr": {"value": 1e-5},
        HOSTILE: {"value": {"deep": [HOSTILE]}},
        "_wandb": {
            "value": {
                "visualize": {"squares": CHART, "absent": {"panel_config": {"panelDefId": "me/none"}}},
                "m": [{"1": "epoch"}, {"2": "valid/*", "5": 1}],
            }
        },
    }
    summary = {"valid/mcc": {"max": 0.5, "last": 0.25}, "note": HOSTILE, "loss": float("nan"), "_step": 2}
    made = runs.create(
        context.store, project.id, "r 1", state="running", display_name=HOSTILE, config_json=json.dumps(config),
        summary_json=json.dumps(summary | {"picture": IMAGE, "t": TABLE}), notes=HOSTILE,
        tags_json=json.dumps([HOSTILE]), system_json=json.dumps({"system.cpu": 3.5}),
    )  # fmt: skip
    rows: list[dict[str, Any]] = [
        {"_step": 0, "_runtime": 1.5, "epoch": 0, "train/loss": 2.0, HOSTILE: 1},
        {"_step": 1, "_runtime": 2.5, "epoch": 1, "train/loss": float("nan"), "valid/mcc": 0.5, "picture": IMAGE},
        {"_step": 2, "_runtime": 3.5, "epoch": 1, "train/loss": 1.0, "t": TABLE},
    ]
    streams.write_lines(context.store, made.id, "history", 0, [json.dumps(row) for row in rows])
    streams.write_lines(context.store, made.id, "events", 0, [json.dumps({"_runtime": 1, "system.cpu": 3.5})])
    lines = [f"2026-01-02T03:04:05.000001 line {i}" for i in range(500)] + [f"ERROR \x1b[31m{HOSTILE}\x1b[0m"]
    streams.write_lines(context.store, made.id, "console", 0, lines)
    squares = {"columns": ["n", "square"], "data": [[i, i * i] for i in range(120)]}
    put(context, made, TABLE["path"], json.dumps(squares).encode())
    put(context, made, IMAGE["path"], b"png")
    return made


def put(context: Context, run: Run, name: Any, content: bytes) -> None:
    path = context.blobs.run_file(run.id, name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    files.record(context.store, run.id, name, len(content), "")


@pytest.fixture
def address(run: Run) -> str:
    return f"/{run.entity}/p%20%26%20q/runs/r%201"


@pytest.fixture
def data(client: TestClient, address: str) -> Get:
    def get(path: str, **query: Any) -> Any:
        answer = client.get(f"/data{address}/{path}", params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    return get


def test_the_page_shows_what_was_logged_and_nothing_of_it_is_markup(client: TestClient, address: str) -> None:
    text = client.get(address, headers={"accept": "text/html"}).text
    assert "<img" not in text
    for part in ("running", "1e-05", "valid/mcc", "NaN", "line 499", 'data-key="train/loss"', 'data-axis="epoch"'):
        assert part in text
    assert re.search(r"max</span> 0\.5<.*last</span> 0\.25<", text)
    assert 'data-earlier="101"' in text
    assert "\x1b" not in text
    for part in ("curves", "charts", "media", "tables", "summary", "configuration", "system", "console", "files"):
        assert (f'id="{part}"' in text) == (part != "tables")  # the one table is a chart's


def test_what_its_sweep_is_after_goes_first(client: TestClient, context: Context) -> None:
    project = projects.ensure(context.store, context.user.name, "p")
    space = "{method: grid, metric: {name: val/f, goal: maximize}, parameters: {lr: {values: [0.1]}, n: {value: 3}}}"
    sweep = sweeps.create(context.store, project.id, "s", config=space, method="grid", state="RUNNING", seed=1)
    run = runs.create(
        context.store, project.id, "r", state="running", display_name="r", sweep_id=sweep.id, commit_hash="c" * 40,
        args_json='{"lr": {"value": 0.1}, "n": {"value": 3}}',
        summary_json='{"val/a": 1, "val/f": {"min": 0, "last": 0.25, "max": 0.1234567}, "o": {"er": {"still": null}}}',
    )  # fmt: skip
    row = {"epoch": 0, "cost/s": 1, "train/loss": 2, "val/a": 3, "val/f": 4, "loss": 5, "trainer/global_step": 6}
    streams.write_lines(context.store, run.id, "history", 0, [json.dumps(row)])
    text = client.get(f"/{context.user.name}/p/runs/r", headers={"accept": "text/html"}).text
    assert re.findall(r'<figure class="curve" data-key="([^"]+)"', text) == [
        "val/f", "val/a", "train/loss", "loss", "epoch", "cost/s", "trainer/global_step"
    ]  # fmt: skip
    headline = re.findall(r"<dt>([^<]+)</dt><dd><strong>([^<]+)</strong>(?: <span[^>]*>([^<]+))?", text)
    assert headline == [("Best val/f", "0.123457", "last 0.25"), ("lr", "0.1", "")]
    assert 'title="0.1234567"><span class="soft">max</span> 0.123457<' in text
    assert re.findall(r'<span class="soft">(\w+)</span> 0', text) == ["max", "min", "last"]
    assert '<span class="soft">er.still</span>' in text
    assert "c" * 40 in text


def test_an_empty_run_says_what_to_do(client: TestClient, context: Context) -> None:
    project = projects.ensure(context.store, context.user.name, "p")
    runs.create(context.store, project.id, "new", state="pending", display_name="new")
    text = client.get(f"/{context.user.name}/p/runs/new", headers={"accept": "text/html"}).text
    assert "run.log(" in text
    assert 'id="charts"' not in text


def test_curves_have_their_axes_and_bring_only_what_is_new(
    client: TestClient, context: Context, run: Run, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    query = "?key=train/loss&key=valid/mcc&key=absent"
    answer = client.get(f"/data{address}/curves{query}")
    body = answer.json()
    assert body["axes"] == ["_step", "_runtime", "_timestamp", "epoch"]
    assert {key: [*chain.from_iterable(curve["buckets"])] for key, curve in body["curves"].items()} == {
        "train/loss": [[0, 2.0, 1.5, None, 0], [1, "NaN", 2.5, None, 1], [2, 1.0, 3.5, None, 1]],
        "valid/mcc": [[1, 0.5, 2.5, None, 1]],
        "absent": [],
    }
    again = {"if-none-match": answer.headers["etag"]}
    assert client.get(f"/data{address}/curves{query}", headers=again).status_code == 304
    streams.write_lines(context.store, run.id, "history", 3, [json.dumps({"_step": 3, "valid/mcc": 0.25})])
    since = f"key=train/loss&since=3&key=valid/mcc&since=1&key=absent&since=x&version={body['version']}"
    new = client.get(f"/data{address}/curves?{since}", headers=again).json()["curves"]
    assert new["valid/mcc"] == {
        "count": 2, "begin": 0, "buckets": [[[1, 0.5, 2.5, None, 1]], [[3, 0.25, 3.5, None, 1]]]
    }  # fmt: skip
    assert new["train/loss"] == {"count": 3, "begin": 2, "buckets": [[[2, 1.0, 3.5, None, 1]]]}
    runs.update(context.store, run.id, state="finished")
    assert client.get(f"/data{address}/curves{query}").json()["live"] is False
    monkeypatch.setattr("cola_sweep.server.curve_cache.LONG", 0)
    assert client.get(f"/data{address}/curves{query}").json()["rough"] is False
    soon = client.get(f"/data{address}/curves?stream=events&key=system.cpu&soon=1").json()
    cpu = {"count": 1, "begin": 0, "buckets": [[[0, 3.5, 1, None]]]}
    assert (soon["rough"], soon["version"], soon["curves"]) == (True, "", {"system.cpu": cpu})
    system = client.get(f"/data{address}/curves?stream=events&key=system.cpu").json()
    assert system["curves"] == {"system.cpu": cpu}


def test_a_page_asks_until_its_run_has_ended(client: TestClient, context: Context, run: Run, address: str) -> None:
    assert client.get(f"/data{address}").json()["live"] is True
    runs.update(context.store, run.id, state="crashed")
    assert client.get(f"/data{address}").json()["live"] is False


def test_charts_are_given_with_their_rows_or_with_why_not(data: Get) -> None:
    chart = data("chart", key="squares")
    assert chart["steps"] == [2]
    assert chart["spec"]["title"] == HOSTILE
    assert chart["spec"]["datasets"]["wandb"][-1] == {"n": 119, "square": 119 * 119}
    assert "create_custom_chart" in data("chart", key="absent")["error"]


def test_a_chart_is_given_again_only_when_its_table_was_logged_again(
    client: TestClient, context: Context, run: Run, address: str
) -> None:
    def ask(tag: str = "") -> Any:
        return client.get(f"/data{address}/chart", params={"key": "squares"}, headers={"if-none-match": tag})

    def shown() -> str:
        text = client.get(address, headers={"accept": "text/html"}).text
        return re.findall(r'data-key="squares" data-version="(\w+)"', text)[0]

    tag, before = ask().headers["etag"], shown()
    streams.write_lines(context.store, run.id, "history", 3, [json.dumps({"_step": 3, "train/loss": 0.5})])
    assert (ask(tag).status_code, shown()) == (304, before)
    streams.write_lines(context.store, run.id, "history", 4, [json.dumps({"_step": 4, "t": TABLE})])
    assert ask(tag).json()["steps"] == [2, 4]
    assert shown() != before


def test_media_are_given_by_step(data: Get, run: Run) -> None:
    item = {"kind": "image", "caption": HOSTILE, "source": f"/shown/{run.entity}/p%20%26%20q/r%201/"}
    (step,) = data("media", key="picture")["steps"]
    assert step["step"] == 1
    assert step["items"] == [item | {"source": item["source"] + quote("media/images/a b_0.png", safe="")}]


def test_a_picture_whose_file_is_on_its_way_is_shown_once_it_is_there(
    context: Context, client: TestClient, address: str, data: Get, run: Run
) -> None:
    row = {"_step": 3, "late": IMAGE | {"path": "media/images/late.png"}}
    streams.write_lines(context.store, run.id, "history", 3, [json.dumps(row)])
    before = client.get(f"/data{address}/media", params={"key": "late"})
    version = client.get(f"/data{address}").json()["version"]
    assert before.json()["steps"][0]["items"][0]["source"] is None
    put(context, run, "media/images/late.png", b"png")
    assert client.get(f"/data{address}").json()["version"] != version
    after = client.get(
        f"/data{address}/media", params={"key": "late"}, headers={"if-none-match": before.headers["etag"]}
    )
    assert after.json()["steps"][0]["items"][0]["source"].endswith("late.png")


def test_earlier_console_lines_come_when_asked(data: Get) -> None:
    lines = data("console", before=101)["lines"]
    assert [line["number"] for line in lines] == list(range(101))
    assert lines[7]["text"] == "line 7"
    assert data("console", before="x")["lines"][-1] == {"number": 500, "level": "error", "text": HOSTILE}


SHOWN = [
    ("a.png", "image/png", "sandbox; default-src 'none'", None),
    ("a.svg", "image/svg+xml", "sandbox; default-src 'none'", None),
    ("a.html", "text/html; charset=utf-8", "sandbox allow-scripts; default-src 'none'", None),
    ("a.xhtml", "application/octet-stream", "sandbox; default-src 'none'", "attachment"),
    ("a.pts.json", "application/octet-stream", "sandbox; default-src 'none'", "attachment"),
    ("a.js", "application/octet-stream", "sandbox; default-src 'none'", "attachment"),
]


@pytest.mark.parametrize(("name", "kind", "policy", "disposition"), SHOWN)
def test_files_are_shown_in_a_sandbox(
    client: TestClient, context: Context, run: Run, name: str, kind: str, policy: str, disposition: str | None
) -> None:
    put(context, run, name, b"<script>alert(1)</script>")
    answer = client.get(f"/shown/{run.entity}/p%20%26%20q/r%201/{name}")
    assert answer.headers["content-type"] == kind
    assert answer.headers["content-security-policy"].startswith(policy)
    assert "allow-same-origin" not in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (answer.headers.get("content-disposition") or "none").partition(";")[0] == (disposition or "none")


@pytest.mark.parametrize("name", ["none.png", "..%2Fserver.db", "%2Fetc%2Fpasswd"])
def test_no_other_file_is_shown(client: TestClient, run: Run, name: str) -> None:
    assert client.get(f"/shown/{run.entity}/p%20%26%20q/r%201/{name}").status_code in (400, 404)


def test_a_table_is_sorted_searched_and_turned(client: TestClient, context: Context, run: Run, address: str) -> None:
    def rows(**query: Any) -> list[list[str]]:
        text = client.get(f"{address}/table", params={"key": "t", **query}, headers={"accept": "text/html"}).text
        found = re.findall(r"<tr>((?:<td.*?</td>)+)</tr>", text, re.S)
        return [re.findall(r">([^<]*)</td>", row) for row in found]

    assert len(rows()) == tables.PAGE_ROWS
    assert rows(page=3)[-1] == ["119", "14161"]
    assert rows(page=99) == rows(page=3)
    assert rows(sort="square", down="1")[0] == ["119", "14161"]
    assert rows(find="11", column="n") == [[str(n), str(n * n)] for n in (11, *range(110, 120))]
    text = client.get(f"{address}/table?key=none", headers={"accept": "text/html"}).text
    assert "it is not a table" in text


def test_files_open_by_the_cookie_and_what_is_not_listed_is_told(
    anyone: TestClient, context: Context, run: Run, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    anyone.auth = None
    anyone.cookies.set(auth.COOKIE, auth.session(context.urls, context.user))

    def shown() -> str:
        text = anyone.get(address, headers={"accept": "text/html"}).text
        return str(re.findall(r'<section class="panel" id="files".*?</section>', text, re.S)[0])

    (link, _) = re.findall(r'href="([^"]*)"', shown())
    assert anyone.get(html.unescape(link)).content == b"png"
    assert shown() == shown(), "what did not change is not shown again to who reads it"
    monkeypatch.setattr("cola_sweep.server.pages.run.MOST_FILES", 1)
    assert "The first 1 of 2" in shown()


def test_an_artifact_leads_to_the_runs_at_its_other_end(client: TestClient, context: Context) -> None:
    project = projects.ensure(context.store, context.user.name, "p")
    for name in ("maker", "user"):
        runs.create(context.store, project.id, name, state="finished", display_name=f"the {name}")
    uploading = uploads.Client(context, "maker")
    uploading.use(uploading.log("weights", {"a": b"12345"}), "user")

    def row(name: str) -> list[str]:
        text = client.get(f"/{context.user.name}/p/runs/{name}", headers={"accept": "text/html"}).text
        body = text.split('id="artifacts"')[1].split("<tbody>")[1].split("</tbody>")[0]
        return re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", body, re.S)

    there = f"/{context.user.name}/p/runs"
    about = ["weights:v0", "dataset", "latest", "1", "5"]
    assert row("maker") == [*about, "logged it", f'used by <a href="{there}/user">the user</a>']
    assert row("user") == [*about, "used it", f'made by <a href="{there}/maker">the maker</a>']


def test_pictures_in_a_table_come_out_of_its_artifact(client: TestClient, context: Context, run: Run) -> None:
    md5, picture = "a" * 32, "b" * 32
    cell = {"_type": "image-file", "path": "media/images/x.png", "caption": HOSTILE}
    body = json.dumps({"columns": ["n", "image"], "data": [[1, cell], [2, None]]}).encode()
    for name, content in ((md5, body), (picture, b"png")):
        path = context.blobs.artifact_file(name)
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    collection = collections.ensure(context.store, run.project_id, "ArtifactSequence", "run-table", "run_table")
    draft = artifacts.Draft("d", client_id="client1")
    artifact = artifacts.begin(context.store, collection.id, draft, run.id, deduplicate=False)
    listed = [(artifact.id, "t.table.json", md5), (artifact.id, cell["path"], picture)]
    artifact_files.promise(context.store, listed)
    value = {"_type": "table-file", "path": "gone", "artifact_path": "wandb-client-artifact://client1/t.table.json"}
    runs.update(context.store, run.id, summary_json=json.dumps({"pictures": value}))
    address = f"/{run.entity}/p%20%26%20q/runs/r%201"
    text = client.get(f"{address}/table?key=pictures", headers={"accept": "text/html"}).text
    source = f"/held/{run.entity}/p%20%26%20q/{picture}/media%2Fimages%2Fx.png"
    assert f'src="{source}"' in text
    assert "<img src=x" not in text
    assert client.get(source).status_code == 404  # of an artifact that is not committed yet
    joined = {**value, "_type": "incremental-table-file", "previous_increments_paths": [value["artifact_path"]]}
    runs.update(context.store, run.id, summary_json=json.dumps({"grows": joined}))
    text = client.get(f"{address}/table?key=grows", headers={"accept": "text/html"}).text
    assert "4 rows" in text


def test_a_joined_and_a_parted_table_are_read_out_of_their_artifact(context: Context, run: Run) -> None:
    collection = collections.ensure(context.store, run.project_id, "ArtifactSequence", "joins", "run_table")
    artifact = artifacts.begin(context.store, collection.id, artifacts.Draft("d"), run.id, deduplicate=False)
    bodies = {
        "j.joined-table.json": {"table1": "t/1.table.json", "table2": "t/2.table.json", "join_key": "id"},
        "p.partitioned-table.json": {"parts_path": "t"},
        "bad.joined-table.json": {"table1": "t/1.table.json", "table2": "gone", "join_key": "id"},
        "t/1.table.json": {"columns": ["id", "a"], "data": [[1, "x"]]},
        "t/2.table.json": {"columns": ["id", "a"], "data": [[1, "y"]]},
    }
    for at, (path, body) in enumerate(bodies.items()):
        md5 = f"{at:032x}"
        place = context.blobs.artifact_file(md5)
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(json.dumps(body))
        artifact_files.promise(context.store, [(artifact.id, path, md5)])
    base = f"wandb-artifact://{b64decode(ids.encode('Artifact', artifact.id)).hex()}"

    def load(kind: str, path: str) -> Table:
        return table_files.load(context, run, {"_type": kind, "artifact_path": f"{base}/{path}"})

    assert load("joined-table", "j.joined-table.json").rows == [[1, "x", 1, "y"]]
    assert load("partitioned-table", "p.partitioned-table.json").rows == [[1, "x"], [1, "y"]]
    with pytest.raises(BadTable, match="not in its artifact"):
        load("joined-table", "bad.joined-table.json")
    with pytest.raises(BadTable, match="not arrived"):
        load("joined-table", "none")
