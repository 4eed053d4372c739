"""`cola-sweep agents`: flags, the sweep, the pre-flight, and the place that is asked to start the agents."""

import os
import re
import socket
import subprocess
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest

from cola_sweep import agents, connection
from cola_sweep.agents import find, path_of
from cola_sweep.errors import UserError
from cola_sweep.launch import far, local
from tests.fake_sweep import FakeApi, FakeSweep

OURS = {"method": "grid", "program": "cola_sweep/train.py", "parameters": {"data": {"value": "/no/such/corpus"}}}


def words(**changes: Any) -> Namespace:
    given = {"sweep": "s1", "n": None, "per_device": None, "count": None, "cold": True, "on": "local", "slurm": []}
    return Namespace(**(given | changes))


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A server with two sweeps, of which one cannot run here; gives what places were asked for."""
    sweeps = [FakeSweep("ada/cola-sweep/s1"), FakeSweep("ada/cola-sweep/s2", config=OURS)]
    asked: list[dict[str, Any]] = []

    def run(sweep: str, **how: Any) -> int:
        asked.append({"sweep": sweep, **how})
        return 7

    monkeypatch.setenv("COLA_SWEEP_HUB", "0")
    monkeypatch.setattr(connection, "connect", lambda: FakeApi(sweeps, []))
    monkeypatch.setattr(local, "run", run)
    return asked


def test_the_sweep_is_found_and_its_agents_run_here(known: list[dict[str, Any]]) -> None:
    assert agents.main(words(n=2, count=3)) == 7
    (asked,) = known
    assert asked.pop("env") == dict(os.environ)
    assert asked == {"sweep": "ada/cola-sweep/s1", "n": 2, "per_device": None, "count": 3, "cold": True}


def test_what_trials_would_stumble_over_is_said_before_any_agent_starts(
    known: list[dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert agents.main(words(sweep="s2")) == 2
    assert known == []
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error")]
    assert errors == ["error: data /no/such/corpus: no such folder; use auto, hub, synthetic or a folder"]


def test_a_sweep_that_we_cannot_read_is_left_to_its_agents(tmp_path: Path) -> None:
    assert agents.preflight({"method": "theirs"}, {"WANDB_DIR": str(tmp_path)}) == 0


@pytest.mark.parametrize("word", ["partition", "=gpu", "partition="])
def test_slurms_parameters_have_name_and_value(word: str) -> None:
    assert agents.read_settings(["slurm_comment=a=b"]) == {"slurm_comment": "a=b"}
    with pytest.raises(UserError, match=r"^--slurm: got .*; must be NAME=VALUE"):
        agents.read_settings([word])


def test_slurms_parameters_are_for_slurm() -> None:
    with pytest.raises(UserError, match=r"^--slurm: got 'a=1'; is for --on slurm"):
        agents.main(words(slurm=["a=1"]))


def test_agents_elsewhere_are_told_the_server_and_the_key_and_nothing_of_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "server_address", lambda: "https://w.example")
    env = {"WANDB_API_KEY": "k" * 40, "PATH": "/bin", "COLA_SWEEP_WARM": "/run/w", "COLA_SWEEP_DATA": "/data/cola"}
    assert far.environment(env) == {
        "WANDB_API_KEY": "k" * 40, "WANDB_BASE_URL": "https://w.example", "COLA_SWEEP_DATA": "/data/cola",
    }  # fmt: skip
    for address in ("http://127.0.0.1:8080", "http://localhost", "http://[::1]:80"):
        with pytest.raises(UserError, match="other machines cannot reach it"):
            far.require_reachable(address)
    far.require_reachable("https://w.example")


def test_a_short_path_is_made_whole_before_any_agent_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    api = FakeApi([FakeSweep("ada/cola-sweep/s1")], [])
    monkeypatch.setattr(connection, "connect", lambda: api)
    assert path_of(find("s1")) == "ada/cola-sweep/s1"
    with pytest.raises(UserError, match=r"^sweep ada/cola-sweep/s2: does not exist; write the path"):
        find("s2")


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
