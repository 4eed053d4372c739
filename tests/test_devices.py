"""What agents share: devices, threads, memory; `nvidia-smi` is a stand-in."""

import os
import sys
from pathlib import Path

import pytest

from cola_sweep import devices
from cola_sweep.devices import Room, free_memory, shares, usable_cores, visible_gpus


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


@pytest.fixture
def nvidia_smi(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A stand-in that prints a file of the words' first letters: `-L`, or `--query-gpu=...`."""
    program = tmp_path / "nvidia-smi"
    program.write_text(f"""#!/bin/sh
echo "$@" > {tmp_path}/asked
case "$1" in -L) cat {tmp_path}/L;; *) cat {tmp_path}/free;; esac
""")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    return tmp_path


def test_gpus_are_counted_by_nvidias_own_tool(nvidia_smi: Path) -> None:
    (nvidia_smi / "L").write_text("GPU 0: H100 (UUID: a)\n  MIG 1g.10gb\nGPU 1: H100 (UUID: b)\n")
    assert visible_gpus({}) == ["0", "1"]


@pytest.mark.parametrize(("said", "free"), [("81000\n", 81000 * 2**20), ("[N/A]\n", None), ("", None)])
def test_free_memory_of_a_gpu(nvidia_smi: Path, said: str, free: int | None) -> None:
    (nvidia_smi / "free").write_text(said)
    assert free_memory("GPU-b") == free
    assert (nvidia_smi / "asked").read_text().split()[-2:] == ["-i", "GPU-b"]


def test_free_memory_of_a_machine_is_the_containers_where_that_is_less(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(devices, "CGROUP", tmp_path)
    assert free_memory(None) is None
    (tmp_path / "meminfo").write_text("MemTotal: 9000 kB\nMemFree: 1 kB\nMemAvailable:    4000 kB\n")
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("1000000\n")
    assert free_memory(None) == 4000 * 1024
    (tmp_path / "memory.max").write_text("3000000\n")
    assert free_memory(None) == 2_000_000


@pytest.mark.parametrize(
    ("quota", "cores"),
    [("max 100000", 8), ("250000 100000", 2), ("50000 100000", 1), ("900000 100000", 8), ("", 8)],
)
def test_a_containers_quota_is_as_many_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, quota: str, cores: int
) -> None:
    monkeypatch.setattr(devices, "CGROUP", tmp_path)
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(8)), raising=False)
    assert usable_cores() == 8
    (tmp_path / "cpu.max").write_text(f"{quota}\n")
    assert usable_cores() == cores


@pytest.mark.parametrize(
    ("before", "lowest", "more"), [(80, 70, 6), (80, 40, 0), (80, 80, 72), (16, 6, 0), (16, 12, 2)]
)
def test_as_many_more_trials_as_fit_with_a_tenth_to_spare(before: int, lowest: int, more: int) -> None:
    room = Room(before, before)
    for free in (before, lowest, before):
        room.sample(free)
    assert room.more() == more
