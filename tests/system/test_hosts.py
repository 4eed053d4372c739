"""Two machines and a server between which the network is cut and healed, as network namespaces of this machine.

    COLA_SWEEP_DRILLS=1 python -m pytest tests/system/test_hosts.py

Each namespace has a cable (a veth pair) to a bridge, which the server listens at. Needs root and `ip`, and to be asked
for: it makes networks on the machine.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cola_sweep.server import process
from tests.system.conftest import client_env
from tests.system.test_sweeps import wait_for

NET = "10.213.77"
HOSTS = ("here", "there")
BRIDGE = "cs-bridge"
CUT_SECONDS = 12.0
TRAIN = """
import os, pathlib, time, wandb
with wandb.init() as run:
    for step in range(60):
        run.log({"score": step, "host": os.environ["HOST"]})
        pathlib.Path(os.environ["HOST"]).touch()
        time.sleep(0.5)
"""
SHOW = """
import json, sys, wandb
sweep = wandb.Api().sweep(sys.argv[1])
print(json.dumps([sweep.state, [
    [run.config["a"], run.state, [(row["_step"], row["host"]) for row in run.scan_history()]] for run in sweep.runs
]]))
"""


def ip(*words: str, check: bool = True) -> "subprocess.CompletedProcess[bytes]":
    return subprocess.run(["ip", *words], check=check, capture_output=True)


@pytest.fixture
def hosts() -> Iterator[None]:
    """The bridge, and a namespace for each host."""
    if os.environ.get("COLA_SWEEP_DRILLS", "0") == "0":
        pytest.skip("a drill: COLA_SWEEP_DRILLS=1 runs it")
    if os.geteuid() != 0 or shutil.which("ip") is None:
        pytest.skip("needs root and ip")
    if ip("link", "add", BRIDGE, "type", "bridge", check=False).returncode:
        pytest.skip("this machine lets nobody make networks")
    try:
        ip("addr", "add", f"{NET}.1/24", "dev", BRIDGE)
        ip("link", "set", BRIDGE, "up")
        for number, host in enumerate(HOSTS, 2):
            ip("netns", "add", f"cs-{host}")
            ip("link", "add", f"cs-{host}", "type", "veth", "peer", "name", "eth0", "netns", f"cs-{host}")
            ip("link", "set", f"cs-{host}", "master", BRIDGE, "up")
            ip("-n", f"cs-{host}", "addr", "add", f"{NET}.{number}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", f"cs-{host}", "link", "set", device, "up")
        yield
    finally:
        for host in HOSTS:
            ip("netns", "del", f"cs-{host}", check=False)
        ip("link", "del", BRIDGE, check=False)


def test_a_host_that_is_cut_off_for_a_while_loses_no_row_and_no_cell(hosts: None, tmp_path: Path) -> None:
    data_dir = tmp_path / "server"
    serve = [sys.executable, "-m", "cola_sweep.server", "--background", "--port", "0", "--data-dir", str(data_dir)]
    subprocess.run([*serve, "--host", f"{NET}.1", "--allow-remote"], check=True, timeout=120)
    address = process.find(data_dir)
    assert address is not None
    env = client_env(address, tmp_path) | {"WANDB_SILENT": "false"}
    for name, text in (("train.py", TRAIN), ("show.py", SHOW)):
        (tmp_path / name).write_text(text)
    (tmp_path / "sweep.yaml").write_text("{program: train.py, method: grid, parameters: {a: {values: [1, 2]}}}")
    words = [sys.executable, "-m", "wandb"]
    made = subprocess.run([*words, "sweep", "-p", "hosts", "sweep.yaml"], env=env, cwd=tmp_path, capture_output=True)
    path = re.findall(rb"wandb agent (\S+)", made.stderr)[0].decode()
    agents: list[subprocess.Popen[bytes]] = []
    try:
        for host in HOSTS:
            with (tmp_path / f"{host}.log").open("wb") as log:
                enter = ["ip", "netns", "exec", f"cs-{host}", *words, "agent", path]
                agents.append(subprocess.Popen(enter, env=env | {"HOST": host}, cwd=tmp_path, stdout=log, stderr=log))
        wait_for(lambda: all((tmp_path / host).exists() for host in HOSTS), 240)
        ip("link", "set", "cs-there", "down")
        time.sleep(CUT_SECONDS)  # what is drilled: so long nothing passes
        ip("link", "set", "cs-there", "up")
        assert [agent.wait(240) for agent in agents] == [0, 0]
        shown = subprocess.run(
            [sys.executable, "show.py", path], env=env, cwd=tmp_path, capture_output=True, check=True, timeout=120
        )
    finally:
        for agent in agents:
            with suppress(ProcessLookupError):
                agent.kill()
            agent.wait()
        process.stop(data_dir)
    state, runs = json.loads(shown.stdout.splitlines()[-1])
    assert (state, sorted(a for a, _, _ in runs)) == ("FINISHED", [1, 2])
    assert {end for _, end, _ in runs} == {"finished"}
    assert {host for _, _, rows in runs for _, host in rows} == set(HOSTS)
    for _, _, rows in runs:
        assert [step for step, _ in rows] == list(range(60))
