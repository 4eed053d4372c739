"""What agents share on one machine: GPUs, or cores and memory; and how many trials fit beside each other.

Imports nothing of ours, and no torch: it asks `nvidia-smi` and `/proc`.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

MEMINFO = Path("/proc/meminfo")
CGROUP = Path("/sys/fs/cgroup")
# Kept free beside the trials of a device: what they peak at differs with batch size and checkpoint.
RESERVE = 0.1


def shares(n: int, env: Mapping[str, str], *, gpus: Sequence[str], cores: int) -> list[dict[str, str]]:
    """The environment of each of `n` agents: one GPU each, in turn, or `cores // n` threads.

    >>> [share["CUDA_VISIBLE_DEVICES"] for share in shares(3, {}, gpus=["0", "1"], cores=8)]
    ['0', '1', '0']
    >>> [share["OMP_NUM_THREADS"] for share in shares(3, {}, gpus=[], cores=8)]
    ['2', '2', '2']
    """
    # The agent starts trials as `python`, by name: it must be this environment's.
    path = os.pathsep.join([str(Path(sys.executable).parent), env.get("PATH", os.defpath)])
    common = {**env, "PATH": path, "PYTHONUNBUFFERED": "1"}
    # Above one thread a core, agents slow each other down: what the user set is kept.
    common.setdefault("OMP_NUM_THREADS", str(max(1, cores // n)))
    return [common | ({"CUDA_VISIBLE_DEVICES": gpus[i % len(gpus)]} if gpus else {}) for i in range(n)]


def visible_gpus(env: Mapping[str, str]) -> list[str]:
    """Names of the GPUs this process may use, without importing torch."""
    if "CUDA_VISIBLE_DEVICES" in env:
        return [name for name in env["CUDA_VISIBLE_DEVICES"].split(",") if name.strip() not in ("", "-1")]
    listing = _nvidia_smi("-L") or ""
    return [str(i) for i, line in enumerate(line for line in listing.splitlines() if line.startswith("GPU "))]


def usable_cores() -> int:
    """Cores this process may run on; fewer than the machine has, under a scheduler or in a container with a quota."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    try:
        quota, period = (int(word) for word in (CGROUP / "cpu.max").read_text().split())
    except (OSError, ValueError):
        return cores  # no container, or one without a quota
    return max(1, min(cores, quota // period))


def free_memory(gpu: str | None) -> int | None:
    """Bytes that are free on a GPU, or without one in the machine or this process's container; None if unknown."""
    if gpu is not None:
        free = _nvidia_smi("--query-gpu=memory.free", "--format=csv,noheader,nounits", "-i", gpu)
        try:
            return int(free or "") * 2**20
        except ValueError:
            return None
    try:
        lines = MEMINFO.read_text().splitlines()
        available = next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    try:
        limit, used = (int((CGROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):
        return available  # no container, or one without a limit
    return min(available, limit - used)


def _nvidia_smi(*words: str) -> str | None:
    try:
        done = subprocess.run(["nvidia-smi", *words], capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


@dataclass
class Room:
    """The memory of a device before its first trial, and at the trial's peak, in bytes."""

    before: int
    lowest: int

    def sample(self, free: int) -> None:
        self.lowest = min(self.lowest, free)

    @property
    def trial(self) -> int:
        """What a trial takes at its peak: all of it, with the context on the GPU, not what its allocator counts."""
        return max(self.before - self.lowest, 1)

    def more(self) -> int:
        """Trials that fit beside the first.

        >>> Room(before=80, lowest=70).more()
        6
        """
        return max(0, int((self.lowest - RESERVE * self.before) // self.trial))
