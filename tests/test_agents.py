"""Agents on one machine: shares, joined output, exit codes, signals; the agent itself is a stand-in."""

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from cola_sweep import connection
from cola_sweep.agents import run, shares, sweep_path, visible_gpus
from cola_sweep.errors import UserError
from tests.fake_sweep import FakeApi, FakeSweep

# Says who it is and how it ends; `wait` makes it a trial that runs until it is asked twice to stop.
STAND_IN = """
import os, signal, sys, threading
sweep = sys.argv[-1]
asked = threading.Semaphore(0)
signal.signal(signal.SIGINT, lambda *_: asked.release())
print("args", *sys.argv[1:], "threads", os.environ["OMP_NUM_THREADS"], flush=True)
if sweep == "wait":
    asked.acquire(); print("asked once", flush=True)
    asked.acquire(); print("asked twice", flush=True)
sys.exit(3 if sweep == "fails" else 0)
"""


@pytest.fixture
def stand_in(tmp_path: Path) -> dict[str, str]:
    """An environment in which `python -m wandb` is the stand-in."""
    (tmp_path / "wandb.py").write_text(STAND_IN)
    return {**os.environ, "PYTHONPATH": str(tmp_path), "OMP_NUM_THREADS": "1"}


def test_each_agent_gets_its_device_and_this_environments_python() -> None:
    first, second = shares(2, {"PATH": "/bin"}, gpus=["GPU-a", "GPU-b"], cores=4)
    assert (first["CUDA_VISIBLE_DEVICES"], second["CUDA_VISIBLE_DEVICES"]) == ("GPU-a", "GPU-b")
    assert first["PATH"].split(os.pathsep)[0] == str(Path(sys.executable).parent)
    assert first["OMP_NUM_THREADS"] == "2"


def test_more_agents_than_cores_still_get_a_thread_and_a_users_choice_is_kept() -> None:
    assert {share["OMP_NUM_THREADS"] for share in shares(5, {}, gpus=[], cores=2)} == {"1"}
    assert shares(2, {"OMP_NUM_THREADS": "7"}, gpus=[], cores=2)[1]["OMP_NUM_THREADS"] == "7"


def test_gpus_hidden_by_the_user_stay_hidden() -> None:
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "1,3"}) == ["1", "3"]
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": ""}) == []
    assert visible_gpus({"CUDA_VISIBLE_DEVICES": "-1"}) == []


def test_output_is_joined_by_agent(stand_in: dict[str, str], capfd: pytest.CaptureFixture[str]) -> None:
    assert run("e/p/s", n=2, count=3, env=stand_in) == 0
    lines = sorted(capfd.readouterr().out.splitlines())
    assert lines == [f"agent {i} | args agent --count 3 e/p/s threads 1" for i in (1, 2)]


def test_a_failing_agent_gives_its_exit_code(stand_in: dict[str, str]) -> None:
    assert run("fails", n=2, env=stand_in) == 3


def test_interrupts_reach_the_agents_one_by_one(stand_in: dict[str, str]) -> None:
    main = "import os; from cola_sweep.agents import run; raise SystemExit(run('wait', n=1, env=os.environ))"
    child = subprocess.Popen([sys.executable, "-c", main], env=stand_in, text=True, stdout=subprocess.PIPE, bufsize=1)
    assert child.stdout
    assert "args" in child.stdout.readline()
    child.send_signal(signal.SIGINT)
    assert "asked once" in child.stdout.readline()
    child.send_signal(signal.SIGINT)
    assert "asked twice" in child.stdout.readline()
    assert child.wait(timeout=20) == 130
    child.stdout.close()


def test_a_short_path_is_made_whole_before_any_agent_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi([FakeSweep("ada/cola-sweep/s1")], [])
    monkeypatch.setattr(connection, "connect", lambda: api)
    assert sweep_path("s1") == "ada/cola-sweep/s1"
    with pytest.raises(UserError, match=r"^sweep ada/cola-sweep/s2: does not exist; write the path"):
        sweep_path("s2")


def test_a_server_that_does_not_run_is_one_line_and_starts_no_agent(tmp_path: Path) -> None:
    with socket.socket() as held:  # bound, not listening: connections are refused
        held.bind(("127.0.0.1", 0))
        env = os.environ | {"WANDB_BASE_URL": f"http://127.0.0.1:{held.getsockname()[1]}", "COLA_SWEEP_HUB": "0"}
        done = subprocess.run(
            [sys.executable, "-m", "cola_sweep", "agents", "e/p/s"], env=env, cwd=tmp_path, capture_output=True,
            text=True,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (2, "")
    assert re.fullmatch(r"error: http://127.*the W&B server does not answer.*\n", done.stderr)
