"""Sweeps with the client's own commands: agents side by side, and every command on a sweep's state."""

import json
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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

STUDY = Path(__file__).parents[2] / "cola_sweep" / "study.py"
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

    def make(config: str, objective: str = SCORE) -> str:
        (tmp_path / "train.py").write_text(TRAIN)
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


@pytest.mark.parametrize(
    ("objective", "rates", "told"),
    [
        ("metric: {name: last, goal: maximize}", "lr: {values: [2.0, 3.0]}", ["4", "6"]),
        (
            "metrics: [{name: last, goal: maximize}, {name: size, goal: minimize}]",
            "cell: {values: [{lr: {min: 3, max: 3}}, {lr: 2.0, b: {values: [1]}}]}",
            ["[4, 2]", "[6, 2]"],
        ),
    ],
    ids=["one metric", "several, over ranges that values bring"],
)
def test_our_study_searches_through_the_clients_scheduler(
    live_server: LiveServer, make_sweep: Sweep, start_agent: Callable[[str], Any], tmp_path: Path,
    objective: str, rates: str, told: list[str],
) -> None:  # fmt: skip
    # The scheduler reads the summary as it is: of `score`, {"max": ...}, it could make nothing.
    path = make_sweep(
        f"method: custom\nscheduler: {{engine: optuna, source: {STUDY}, search_space: space, optimizer: study}}\n"
        f"parameters: {{_search: {{value: {{seed: 3}}}}, {rates}, steps: {{value: 2}}, pause: {{value: 0}}}}\n",
        objective,
    )
    agent = start_agent(path)
    words = ("wandb", "sweep-scheduler", "--batch-size", "2", "--poll-interval", "1", path)
    said = live_server.run(*words, cwd=tmp_path, WANDB_SILENT="false").stderr
    assert sorted(re.findall(r"finished with value: (.+) and", said)) == told, said
    assert agent.wait(300) == 0
    found = show(live_server, path, tmp_path)
    assert (found["state"], found["agents"]) == ("FINISHED", ["FINISHED"])
    assert sorted(found["runs"].values()) == [["finished", rate, 2 * rate] for rate in (2, 3)]
