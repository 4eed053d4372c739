"""The real wandb client's runs: logged, read back, resumed, changed, synced, stopped."""

import json
from pathlib import Path
from typing import Any

import pytest

from tests.system.conftest import LiveServer

LOG = """
import json
import numpy as np, wandb
with wandb.init(project="logged", config={"lr": 1e-5, "opt": {"name": "adam"}}, tags=["a"], group="g") as run:
    run.define_metric("loss", summary="min")
    for i in range(20):
        run.log({"loss": abs(10 - i), "valid/mcc.in": i, "odd": float("nan") if i == 3 else i, "n": {"x": 2 * i}})
    run.log({"image": wandb.Image(np.zeros((4, 4, 3), dtype=np.uint8))})
    print("words on the console")
    run.alert("title", "text")
run = wandb.Api().run(f"logged/{run.id}")
print(json.dumps({
    "id": run.id, "state": run.state, "config": run.config, "tags": run.tags,
    "group": run.group, "last": run.lastHistoryStep, "loss": dict(run.summary["loss"]), "name": run.name,
    "user": run.user.username, "few": [row["_step"] for row in run.history(samples=5, pandas=False)],
    "keys": run.history(keys=["loss", "n.x"], pandas=False)[:2],
    "odd": [str(row["odd"]) for row in run.history(keys=["odd"], pandas=False)[2:5]],
    "scan": [row["_step"] for row in run.scan_history(page_size=7)],
    "range": [row["loss"] for row in run.scan_history(keys=["loss"], min_step=5, max_step=8)],
    "files": {file.name: file.size for file in run.files()},
    "console": [line.content for line in run.console_logs()],
}))
"""
CHANGE = """
import json, sys, wandb
run = wandb.Api().run(f"logged/{sys.argv[1]}")
run.summary["extra"] = 3
run.config["added"] = [1]
run.tags.append("b")
run.display_name = "renamed"
run.update()
with wandb.init(project="logged", id=run.id, resume="must") as resumed:
    first = resumed.starting_step
    resumed.log({"loss": 77})
extra = wandb.Api().run(f"logged/{run.id}").summary["extra"]
with wandb.init(project="logged", fork_from=f"{run.id}?_step=2") as fork:
    fork.log({"loss": 55})
forked = [[row["_step"], row["loss"]] for row in wandb.Api().run(f"logged/{fork.id}").scan_history(["_step", "loss"])]
with wandb.init(project="logged", resume_from=f"{run.id}?_step=10") as rewound:
    rewound.log({"loss": 99})
run = wandb.Api().run(f"logged/{run.id}")
print(json.dumps({
    "first": first, "name": run.name, "tags": run.tags, "config": run.config, "extra": extra, "forked": forked,
    "loss": [row["loss"] for row in run.scan_history(keys=["loss"])],
}))
"""
RANK = """
import json, wandb
for i, mcc in enumerate([0.5, float("nan"), 0.7, None]):
    with wandb.init(project="ranked", config={"i": i}) as run:
        run.log({} if mcc is None else {"mcc": mcc})
def ranked(order, **filters):
    return [run.config["i"] for run in wandb.Api().runs("ranked", order=order, filters=filters, per_page=2)]
print(json.dumps({
    "max": ranked("-summary_metrics.mcc"), "min": ranked("+summary_metrics.mcc"), "new": ranked("-created_at"),
    "some": ranked("+config.i", **{"config.i": {"$gte": 2}}), "none": ranked(None, state="crashed"),
    "count": len(wandb.Api().runs("ranked", filters={"summary_metrics.mcc": {"$lt": 0.6}})),
}))
"""
OFFLINE = """
import json, os, wandb
with wandb.init(project="synced", mode="offline", config={"a": 1}) as run:
    for i in range(50):
        run.log({"x": i})
print(json.dumps([run.id, os.path.dirname(run.dir)]))
"""
SYNCED = """
import json, sys, wandb
run = wandb.Api().run(f"synced/{sys.argv[1]}")
print(json.dumps([run.state, run.config, [row["x"] for row in run.scan_history(keys=["x"])]]))
"""
DELETED = """
import json, wandb
api = wandb.Api()
with wandb.init(project="deleted") as run:
    run.log({"x": 1})
api.run(f"deleted/{run.id}").delete()
try:
    wandb.init(project="deleted", id=run.id)
    again = "began"
except wandb.errors.CommError:
    again = "refused"
made = api.create_run(project="deleted")
made.update_state("failed")
print(json.dumps([again, [run.state for run in wandb.Api().runs("deleted")], [p.name for p in api.projects()]]))
"""

SHARED = """
import json, os, subprocess, sys, wandb
env, child = dict(os.environ), len(sys.argv) > 1
settings = wandb.Settings(mode="shared", x_label="child" if child else "main", x_primary=not child)
settings.x_update_finish_state = not child
with wandb.init(project="shared", id="both", config={} if child else {"lr": 1}, settings=settings) as run:
    for i in range(3):
        run.log({"child" if child else "main": i})
    print("said by", settings.x_label)
    if not child:
        subprocess.run([sys.executable, __file__, "child"], env=env, check=True)
if not child:
    run = wandb.Api().run("shared/both")
    rows = list(run.scan_history())
    print(json.dumps({
        "state": run.state, "lr": run.config["lr"], "steps": [row["_step"] for row in rows],
        **{label: [row[label] for row in rows if label in row] for label in ("main", "child")},
        "summary": [run.summary["main"], run.summary["child"], run.summary["_step"]],
        "console": sorted([line.label, line.content] for line in run.console_logs()),
    }))
"""


@pytest.fixture
def python(live_server: LiveServer, tmp_path: Path) -> Any:
    """Run code with the client in reach; returns the JSON in the last line it prints."""

    def run(code: str, *words: str) -> Any:
        script = tmp_path / "script.py"
        script.write_text(code)
        return json.loads(live_server.python(script, *words, cwd=tmp_path).splitlines()[-1])

    return run


def test_what_a_run_logs_is_read_back_changed_resumed_and_rewound(live_server: LiveServer, python: Any) -> None:
    found = python(LOG)
    run_id, files = found.pop("id"), found.pop("files")
    assert found.pop("name").endswith("-1")
    assert found == {
        "state": "finished",
        "config": {"lr": 1e-5, "opt": {"name": "adam"}},
        "tags": ["a"],
        "group": "g",
        "last": 20,
        "loss": {"min": 0},
        "user": live_server.user,
        "few": [0, 5, 10, 15, 20],
        "keys": [{"_step": 0, "loss": 10, "n.x": 0}, {"_step": 1, "loss": 9, "n.x": 2}],
        "odd": ["2", "NaN", "4"],
        "scan": list(range(21)),
        "range": [5, 4, 3],
        "console": ["words on the console"],
    }
    assert {"config.yaml", "output.log", "wandb-summary.json", "wandb-metadata.json"} <= files.keys()
    assert any(name.startswith("media/images/image_20") and size > 0 for name, size in files.items())
    changed = python(CHANGE, run_id)
    assert changed == {
        "first": 21,
        "name": "renamed",
        "tags": ["a", "b"],
        "config": {"lr": 1e-5, "opt": {"name": "adam"}, "added": [1]},
        "extra": 3,
        "forked": [[0, 10], [1, 9], [2, 8], [3, 55]],
        "loss": [*range(10, -1, -1), 99],
    }


def test_runs_are_ordered_and_filtered(python: Any) -> None:
    assert python(RANK) == {
        "max": [2, 0, 1, 3],
        "min": [0, 2, 1, 3],
        "new": [3, 2, 1, 0],
        "some": [2, 3],
        "none": [],
        "count": 1,
    }


def test_an_offline_run_is_synced_twice_to_the_same_end(live_server: LiveServer, python: Any, tmp_path: Path) -> None:
    run_id, folder = python(OFFLINE)
    for _ in range(2):
        live_server.run("wandb", "sync", folder, "--no-skip-synced", cwd=tmp_path)
    assert python(SYNCED, run_id) == ["finished", {"a": 1}, list(range(50))]


def test_a_deleted_run_cannot_begin_again(python: Any) -> None:
    again, states, projects = python(DELETED)
    assert (again, states) == ("refused", ["failed"])
    assert "deleted" in projects


def test_processes_that_share_a_run_lose_nothing(python: Any) -> None:
    assert python(SHARED) == {
        "state": "finished",
        "lr": 1,
        "steps": list(range(6)),
        "main": [0, 1, 2],
        "child": [0, 1, 2],
        "summary": [2, 2, 5],
        "console": [["child", "said by child"], ["main", "said by main"]],
    }
