"""Agents as actors of Ray: what is refused; a whole sweep on a cluster is in tests/system."""

import os
import subprocess
import sys

import pytest

from cola_sweep.errors import UserError
from cola_sweep.launch import ray as launch


def test_without_ray_it_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"run pip install 'cola-sweep\[ray\]'"):
        launch.run("e/p/s", env={})


def test_a_nodes_warm_server_knows_what_its_agents_know(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[dict[str, str]] = []
    monkeypatch.setattr(os, "environ", {"PATH": "/bin"})
    monkeypatch.setattr(subprocess, "Popen", lambda words, **how: started.append(dict(os.environ)))
    launch.WarmServer({"COLA_SWEEP_HUB": "0", "HF_HOME": "/models"})
    assert started == [{"PATH": "/bin", "COLA_SWEEP_HUB": "0", "HF_HOME": "/models", "HF_HUB_OFFLINE": "1"}]


def test_a_node_with_another_version_says_so() -> None:
    with pytest.raises(RuntimeError, match=r"on this node and 0\.0\.1 where it was started"):
        launch.Agent([], {}, "0.0.1")
