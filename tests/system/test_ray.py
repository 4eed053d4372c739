"""Agents as actors of a Ray cluster of several nodes on this machine; skipped where ray is not installed."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.conftest import LiveServer

ROOT = Path(__file__).parents[2]
TRAIN = """
import os, wandb
with wandb.init() as run:
    run.log({"score": run.config["a"], "device": os.environ.get("CUDA_VISIBLE_DEVICES", "none")})
"""
# Two nodes with a core, or a GPU, each, and agents that take half of one: the fifth waits until another has left. Ray
# counts the GPUs that it is told of, and hands out their numbers, whether they are there or not.
DRIVE = """
import os, sys
os.environ["RAY_raylet_start_wait_time_s"] = "180"  # of a machine that has much else to do
from ray.cluster_utils import Cluster
node = {"num_cpus": 1, "num_gpus": int(sys.argv[2])}
cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
cluster.add_node(**node)
cluster.wait_for_nodes()
os.environ["RAY_ADDRESS"] = cluster.address
from cola_sweep.cli import main
try:
    sys.exit(main(["agents", sys.argv[1], "--on", "ray", "--n", "5", "--per-device", "2", "--cold"]))
finally:
    cluster.shutdown()
"""
SHOW = """
import json, sys, wandb
sweep = wandb.Api().sweep(sys.argv[1])
agents = [agent.state for agent in sweep.agents()]
runs = sorted((run.config["a"], run.state, run.summary["device"]) for run in sweep.runs)
print(json.dumps([sweep.state, runs, agents]))
"""


@pytest.mark.parametrize("gpus", [0, 1])
def test_agents_share_a_sweep_on_the_nodes_of_a_cluster(live_server: LiveServer, tmp_path: Path, gpus: int) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    for name, text in (("train.py", TRAIN), ("drive.py", DRIVE), ("show.py", SHOW)):
        (tmp_path / name).write_text(text)
    (tmp_path / "sweep.yaml").write_text("{program: train.py, method: grid, parameters: {a: {values: [1, 2, 3, 4]}}}")
    made = live_server.run("wandb", "sweep", "-p", "ray", "sweep.yaml", cwd=tmp_path, WANDB_SILENT="false")
    path = re.findall(r"wandb agent (\S+)", made.stderr)[0]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    words = [sys.executable, "drive.py", path, str(gpus)]
    done = subprocess.run(
        words, cwd=tmp_path, env=live_server.env | {"PYTHONPATH": paths, "COLA_SWEEP_HUB": "0"}, timeout=500,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert live_server.api_key not in done.stdout + done.stderr
    state, runs, agents = json.loads(live_server.python(tmp_path / "show.py", path, cwd=tmp_path).splitlines()[-1])
    assert state == "FINISHED"
    assert runs == [[a, "finished", "0" if gpus else runs[0][2]] for a in (1, 2, 3, 4)]
    assert agents == ["FINISHED"] * 5
