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
    run.log({"score": run.config["a"], "worker": os.getppid()})
"""
# Two nodes with a core each, and agents that take half a core: three do not fit on one.
DRIVE = """
import os, sys
os.environ["RAY_raylet_start_wait_time_s"] = "180"  # of a machine that has much else to do
from ray.cluster_utils import Cluster
cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
cluster.add_node(num_cpus=1)
cluster.wait_for_nodes()
os.environ["RAY_ADDRESS"] = cluster.address
from cola_sweep.cli import main
try:
    sys.exit(main(["agents", sys.argv[1], "--on", "ray", "--n", "3", "--per-device", "2", "--cold"]))
finally:
    cluster.shutdown()
"""
SHOW = """
import json, sys, wandb
sweep = wandb.Api().sweep(sys.argv[1])
agents = [agent.state for agent in sweep.agents()]
print(json.dumps([sweep.state, sorted((run.config["a"], run.state) for run in sweep.runs), agents]))
"""


def test_agents_share_a_sweep_on_the_nodes_of_a_cluster(live_server: LiveServer, tmp_path: Path) -> None:
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    for name, text in (("train.py", TRAIN), ("drive.py", DRIVE), ("show.py", SHOW)):
        (tmp_path / name).write_text(text)
    (tmp_path / "sweep.yaml").write_text("{program: train.py, method: grid, parameters: {a: {values: [1, 2, 3, 4]}}}")
    made = live_server.run("wandb", "sweep", "-p", "ray", "sweep.yaml", cwd=tmp_path, WANDB_SILENT="false")
    path = re.findall(r"wandb agent (\S+)", made.stderr)[0]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    words = [sys.executable, "drive.py", path]
    done = subprocess.run(
        words, cwd=tmp_path, env=live_server.env | {"PYTHONPATH": paths, "COLA_SWEEP_HUB": "0"}, timeout=500,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert live_server.api_key not in done.stdout + done.stderr
    state, runs, agents = json.loads(live_server.python(tmp_path / "show.py", path, cwd=tmp_path).splitlines()[-1])
    assert (state, runs) == ("FINISHED", [[a, "finished"] for a in (1, 2, 3, 4)])
    assert agents == ["FINISHED"] * 3
