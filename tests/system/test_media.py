"""What a run logs besides numbers, through the real client: media, tables, charts, console, system metrics, files."""

import base64
import json
import sqlite3
import urllib.request
from contextlib import closing
from textwrap import dedent
from typing import Any

import pytest

from tests.system.conftest import LiveServer

LOG = """
    import json, os, pathlib, sys, time, wave
    import numpy as np, wandb

    def first_line():
        return next((line.content for line in wandb.Api().run("media/whole").console_logs(last=9)), None)

    with wave.open("beep.wav", "wb") as wav:
        wav.setnchannels(1), wav.setsampwidth(2), wav.setframerate(8000), wav.writeframes(bytes(800))
    pathlib.Path("kept").mkdir()
    pathlib.Path("kept/big.bin").write_bytes(os.urandom(3 * 2**20 + 1))
    for name in "abc":
        pathlib.Path(f"kept/{name}.txt").write_text(name)
    settings = wandb.Settings(x_stats_sampling_interval=0.2)
    with wandb.init(project="media", id="whole", notes="words", job_type="job", settings=settings) as run:
        run.define_metric("epoch", hidden=True)
        run.define_metric("val/*", step_metric="epoch", summary="max,mean,first")
        print("\\rprogress 0%", end="", flush=True)
        for epoch, accuracy in enumerate([0.25, 1, 0.5, 0.25]):
            run.log({"epoch": epoch, "val/acc": accuracy})
        mask = np.eye(8, dtype=np.uint8)
        box = {"position": {"minX": 0.1, "maxX": 0.5, "minY": 0.1, "maxY": 0.6}, "class_id": 1, "scores": {"p": 0.5}}
        pixels = np.arange(192, dtype=np.uint8).reshape(8, 8, 3)
        run.log({
            "image": wandb.Image(
                pixels, caption="seen",
                masks={"truth": {"mask_data": mask, "class_labels": {0: "no", 1: "yes"}}},
                boxes={"found": {"box_data": [box], "class_labels": {1: "yes"}}},
            ),
            "several": [wandb.Image(np.full((3, 3, 3), i, dtype=np.uint8)) for i in range(3)],
            "page": wandb.Html("<b>bold</b>", inject=False),
            "histogram": wandb.Histogram(np.arange(100)),
            "sound": wandb.Audio("beep.wav", caption="beep"),
            "points": wandb.Object3D(np.zeros((5, 3))),
        })
        squares = wandb.Table(columns=["x", "y"], data=[[i, i * i] for i in range(4)])
        run.log({
            "line": wandb.plot.line(squares, "x", "y", title="Squares"),
            "scatter": wandb.plot.scatter(squares, "x", "y"),
            "bar": wandb.plot.bar(squares, "x", "y"),
            "confusion": wandb.plot.confusion_matrix(y_true=[0, 1, 1], preds=[0, 1, 0], class_names=["n", "y"]),
        })
        cell = wandb.Image(np.zeros((2, 5, 3), dtype=np.uint8))
        rows = [[1, "\\u00e9", cell, [1, 2]], [2, None, None, []]]
        run.log({"fixed": wandb.Table(columns=["n", "text", "image", "list"], data=rows)})
        changing = wandb.Table(columns=["k", "v"], log_mode="MUTABLE")
        growing = wandb.Table(columns=["k", "v"], log_mode="INCREMENTAL")
        for i in range(3):
            changing.add_data(i, f"m{i}"), growing.add_data(i, f"i{i}")
            run.log({"changing": changing, "growing": growing})
        run.alert("look", "here", level=wandb.AlertLevel.WARN, wait_duration=0)
        run.save("kept/*")
        artifact = wandb.Artifact("big", "dataset")
        artifact.add_file("kept/big.bin")
        run.log_artifact(artifact)
        deadline = time.monotonic() + 300
        while (before := first_line()) is None and time.monotonic() < deadline:
            time.sleep(0.2)
        print("\\rprogress 100%")
        print("first\\nsecond \\u2713")
        print("wrong", file=sys.stderr)
    with wandb.init(project="media", id="whole", resume="must") as run:
        more = wandb.Table(columns=["k", "v"], log_mode="INCREMENTAL")
        more.add_data(3, "resumed")
        run.log({"growing": more})

    wandb.Api().create_run(run_id="plain", project="media")
    run = wandb.init(project="media", id="preempted")
    run.mark_preempting()
    run.finish(exit_code=3)

    with wandb.init(project="later", id="off", mode="offline", tags=["t"], notes="n") as run:
        run.log({"image": wandb.Image(np.zeros((3, 3, 3), dtype=np.uint8)), "x": 1})
        run.log({"fixed": wandb.Table(columns=["a"], data=[[1], [2]])})
        growing = wandb.Table(columns=["k"], log_mode="INCREMENTAL")
        for i in range(2):
            growing.add_data(i)
            run.log({"growing": growing})
        artifact = wandb.Artifact("made", "dataset", metadata={"m": 1})
        with artifact.new_file("f.txt") as file:
            file.write("hello")
        artifact.add(wandb.Table(columns=["b"], data=[[3]]), "inner")
        run.log_artifact(artifact, aliases=["best"])
        pathlib.Path("s.txt").write_text("saved")
        run.save("s.txt")
        print("said offline")
        run.alert("late", "but here")
    print(json.dumps([before, os.path.dirname(run.dir)]))
"""

READ = """
    import hashlib, json, pathlib, wandb
    from PIL import Image

    def sha256(path):
        return hashlib.sha256(pathlib.Path(path).read_bytes()).hexdigest()

    def paths(value):
        if isinstance(value, dict):
            if "path" in value and "sha256" in value:
                yield value["path"], value["sha256"]
            for part in value.values():
                yield from paths(part)

    def frame(artifact, name):
        return artifact.get(name).get_dataframe().to_dict("list")

    def increments(artifact):
        # Any of them stands for the whole.
        return frame(artifact, max(artifact.manifest.entries).removesuffix(".table.json"))

    api, seen = wandb.Api(), {}
    run = api.run("media/whole")
    summary, logged = run.summary._json_dict, {a.name: a for a in run.logged_artifacts()}
    seen["words"] = [run.state, run.notes, run.job_type]
    seen["console"] = [[line.number, line.level, line.content] for line in run.console_logs(per_page=2)]
    seen["timed"] = all(line.timestamp is not None for line in run.console_logs())
    seen["last"] = [line.content for line in run.console_logs(last=2)]
    events = run.history(stream="events", pandas=False)
    seen["system"] = [sum("system.cpu" in row for row in events) > 1, "system.cpu" in run.system_metrics]
    seen["summary"] = [summary["epoch"], summary["val/acc"]]
    seen["by epoch"] = run.history(keys=["val/acc"], x_axis="epoch", pandas=False)
    media = dict(paths(summary))
    seen["kinds"] = sorted({path.split("/")[1] for path in media})
    seen["differ"] = [p for p, sha in media.items() if sha256(run.file(p).download("got", exist_ok=True).name) != sha]
    with Image.open(f"got/{summary['image']['path']}") as image:
        seen["pixels"] = list(image.tobytes()) == list(range(192))
    with Image.open(f"got/{summary['image']['masks']['truth']['path']}") as image:
        seen["mask"] = sum(image.tobytes())
    seen["several"] = len({sha256(run.file(p).download("got").name) for p in summary["several"]["filenames"]})
    boxes = json.loads(pathlib.Path("got", summary["image"]["boxes"]["found"]["path"]).read_text())
    seen["box"] = [boxes["box_data"][0]["position"]["maxY"], boxes["class_labels"]]
    seen["page"] = pathlib.Path("got", summary["page"]["path"]).read_text()
    seen["histogram"] = [sum(summary["histogram"]["values"]), len(summary["histogram"]["bins"])]
    charts = json.loads(run.json_config)["_wandb"]["value"]["visualize"]
    seen["charts"] = {key: chart["panel_config"]["panelDefId"] for key, chart in charts.items()}
    seen["squares"] = frame(logged["run-whole-line_table:v0"], "line_table")
    fixed = frame(logged["run-whole-fixed:v0"], "fixed")
    fixed["image"] = [image and [image.image.width, image.image.height] for image in fixed["image"]]
    seen["fixed"] = {name: [None if x != x else x for x in column] for name, column in fixed.items()}
    seen["changing"] = [frame(logged[f"run-whole-changing:v{i}"], "changing")["v"] for i in range(3)]
    seen["growing"] = [increments(logged[f"run-whole-incr-growing:v{i}"])["v"] for i in range(4)]
    seen["size"] = run.file("kept/big.bin").size
    whole = [run.file("kept/big.bin").download("got").name, logged["big:v0"].download("big") + "/big.bin"]
    seen["whole"] = [sha256(path) == sha256("kept/big.bin") for path in whole]

    texts = run.files(pattern="kept/%.txt", per_page=2)
    seen["pattern"] = sorted(file.name for file in texts)
    seen["names"] = [file.name for file in run.files(["kept/b.txt", "absent"])]
    seen["paged"] = [len(list(run.files(per_page=3))) - len(run.files()), len(run.files()) > 9]
    pathlib.Path("kept/a.txt").write_text("anew")
    run.upload_file("kept/a.txt")
    seen["anew"] = run.file("kept/a.txt").download("got", replace=True).read()
    try:
        run.file("kept/a.txt").download("got")
    except wandb.errors.CommError as error:
        seen["refused"] = "already exists" in str(error)
    for file in run.files(pattern="kept/%.txt"):
        file.delete()
    seen["left"] = [file.name for file in api.run("media/whole").files(pattern="kept/%")]

    seen["preempted"] = api.run("media/preempted").state
    lines = api.run("media/plain").console_logs()
    seen["plain"] = [[str(line.timestamp)[:19], line.level, line.content] for line in lines]

    run = api.run("later/off")
    made = api.artifact("later/made:best")
    logged = {a.name: a for a in run.logged_artifacts()}
    growing = logged["run-off-incr-growing:v1"]
    part = max(growing.manifest.entries).removesuffix(".table.json")  # any increment stands for the whole
    tables = {"fixed": logged["run-off-fixed:v0"], part: growing, "inner": made}
    seen["synced"] = {
        "run": [run.state, run.tags, run.notes, run.lastHistoryStep, [line.content for line in run.console_logs()]],
        "artifact": [made.metadata, sorted(made.aliases), pathlib.Path(made.download(), "f.txt").read_text()],
        "tables": [a.get(name).get_dataframe().to_dict("list") for name, a in tables.items()],
        "file": run.file("s.txt").download("synced").read(),
        "image": run.file(run.summary["image"]["path"]).download("synced").name.endswith(".png"),
    }
    print(json.dumps(seen))
"""

# Lines as clients sent them before they had a structure.
PLAIN = ["2026-01-02T03:04:05.000001 plain", "ERROR 2026-01-02T03:04:06.000001 with { a brace"]


@pytest.fixture(scope="module")
def seen(live_server: LiveServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What the client reads of runs that logged everything, online and offline, and have ended."""
    folder = tmp_path_factory.mktemp("media")

    def python(code: str) -> Any:
        script = folder / "script.py"
        script.write_text(dedent(code))
        return json.loads(live_server.python(script, cwd=folder).splitlines()[-1])

    before, offline = python(LOG)
    live_server.run("wandb", "sync", offline, cwd=folder)
    post_console(live_server, "media/plain", PLAIN)
    return {"before": before, **python(READ)}


def post_console(live_server: LiveServer, run: str, lines: list[str]) -> None:
    request = urllib.request.Request(f"{live_server.base_url}/files/{live_server.user}/{run}/file_stream")
    request.add_header("Content-Type", "application/json")
    request.add_header("Authorization", "Basic " + base64.b64encode(f"api:{live_server.api_key}".encode()).decode())
    body = {"files": {"output.log": {"offset": 0, "content": lines}}}
    urllib.request.urlopen(request, json.dumps(body).encode(), timeout=300).close()


def alerts(live_server: LiveServer, run: str) -> list[tuple[str, ...]]:
    with closing(sqlite3.connect(live_server.data_dir / "server.db")) as db:
        sql = "SELECT title, text, severity FROM alerts JOIN runs ON runs.id = run_id WHERE runs.name = ?"
        return db.execute(sql, (run,)).fetchall()


def test_a_line_of_the_console_that_is_rewritten_is_one_line(seen: dict[str, Any]) -> None:
    assert seen["before"] == "progress 0%"
    assert seen["console"] == [
        [0, "info", "progress 100%"],
        [1, "info", "first"],
        [2, "info", "second ✓"],
        [3, "error", "wrong"],
    ]
    assert seen["timed"]
    assert seen["last"] == ["second ✓", "wrong"]


def test_notes_system_metrics_defined_metrics_and_alerts(live_server: LiveServer, seen: dict[str, Any]) -> None:
    assert seen["words"] == ["finished", "words", "job"]
    assert seen["system"] == [True, True]
    assert seen["summary"] == [3, {"max": 1, "mean": 0.5, "first": 0.25}]
    assert seen["by epoch"] == [{"epoch": i, "val/acc": acc} for i, acc in enumerate([0.25, 1, 0.5, 0.25])]
    assert alerts(live_server, "whole") == [("look", "here", "WARN")]


def test_media_come_back_as_they_were_logged(seen: dict[str, Any]) -> None:
    assert seen["kinds"] == ["audio", "html", "images", "metadata", "object3D", "table"]
    assert seen["differ"] == []
    assert (seen["pixels"], seen["mask"], seen["several"]) == (True, 8, 3)
    assert seen["box"] == [0.6, {"1": "yes"}]
    assert (seen["page"], seen["histogram"]) == ("<b>bold</b>", [100, 65])


def test_tables_and_charts_come_back_as_frames(seen: dict[str, Any]) -> None:
    assert seen["charts"] == {
        "line": "wandb/line/v0",
        "scatter": "wandb/scatter/v0",
        "bar": "wandb/bar/v0",
        "confusion": "wandb/confusion_matrix/v1",
    }
    assert seen["squares"] == {"x": [0, 1, 2, 3], "y": [0, 1, 4, 9]}
    assert seen["fixed"] == {"n": [1, 2], "text": ["é", None], "image": [[5, 2], None], "list": [[1, 2], []]}
    assert seen["changing"] == [["m0"], ["m0", "m1"], ["m0", "m1", "m2"]]
    assert seen["growing"] == [["i0"], ["i0", "i1"], ["i0", "i1", "i2"], ["i0", "i1", "i2", "resumed"]]


def test_files_are_found_replaced_and_deleted(seen: dict[str, Any]) -> None:
    assert (seen["size"], seen["whole"]) == (3 * 2**20 + 1, [True, True])
    assert seen["pattern"] == ["kept/a.txt", "kept/b.txt", "kept/c.txt"]
    assert seen["names"] == ["kept/b.txt"]
    assert seen["paged"] == [0, True]
    assert (seen["anew"], seen["refused"]) == ("anew", True)
    assert seen["left"] == ["kept/big.bin"]


def test_an_offline_run_with_tables_and_artifacts_is_synced(live_server: LiveServer, seen: dict[str, Any]) -> None:
    assert seen["synced"] == {
        "run": ["finished", ["t"], "n", 3, ["said offline"]],
        "artifact": [{"m": 1}, ["best", "latest"], "hello"],
        "tables": [{"a": [1, 2]}, {"k": [0, 1]}, {"b": [3]}],
        "file": "saved",
        "image": True,
    }
    assert alerts(live_server, "off") == [("late", "but here", "INFO")]


def test_a_run_that_fails_while_it_is_preempted_was_preempted(seen: dict[str, Any]) -> None:
    assert seen["preempted"] == "preempted"


def test_the_console_of_an_older_client_is_read_by_that_of_today(seen: dict[str, Any]) -> None:
    assert seen["plain"] == [
        ["2026-01-02 03:04:05", "info", "plain"],
        ["2026-01-02 03:04:06", "error", "with { a brace"],
    ]
