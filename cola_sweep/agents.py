"""Several stock `wandb agent` processes on one machine, each with its share of it.

`cola-sweep agents ENTITY/PROJECT/ID --n 2` starts two agents, gives each its own GPU (or an equal
share of the cores), joins their output line by line, and ends them together. Imports of ours the
error, the hub's probe and, when it runs, `connection`; the search stays with the server, the trials with the agents.
"""

import argparse
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from cola_sweep.errors import UserError
from cola_sweep.hub import hub_answers

# The first interrupt lets running trials end, the second asks them to stop, the third kills:
# the stock agent's own three steps.
STEPS = (
    "waiting for running trials; interrupt again to stop them",
    "stopping trials; interrupt again to kill",
    "killing",
)
SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = tuple(128 + number for number in SIGNALS)  # exit codes, as a shell has them


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", help="the path that `wandb sweep` printed: ENTITY/PROJECT/ID")
    parser.add_argument("--n", type=int, default=1, help="agents to start (default: 1)")
    parser.add_argument(
        "--count", type=int, help="trials each agent runs before it leaves (default: until the sweep ends)"
    )


def main(args: argparse.Namespace) -> int:
    """Run the agents to their end; see `run` for the exit code.

    Raises:
        UserError: a flag, the server or the sweep cannot be used.
    """
    require_positive("--n", args.n)
    require_positive("--count", args.count)
    hub_answers()  # one look for all trials, which inherit the answer
    env = dict(os.environ)  # now: what wandb adds when it connects is for this process alone
    return run(sweep_path(args.sweep), n=args.n, count=args.count, env=env)


def require_positive(flag: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise UserError(flag, got=value, rule="must be at least 1", fix=f"write {flag} 1")


def sweep_path(sweep: str) -> str:
    """The whole path of a sweep that is there; an agent would look for it 20 s long, and each would complain."""
    from cola_sweep.connection import connect, find_sweep

    found = find_sweep(connect(), sweep)
    return f"{found.entity}/{found.project}/{found.id}"


def run(sweep: str, *, n: int, env: Mapping[str, str], count: int | None = None) -> int:
    """Start `n` agents on `sweep` and wait for them.

    Returns 0 when each ended well by itself, else the first other exit code; 128 + signal if only a signal ended them.
    """
    command = [sys.executable, "-m", "wandb", "agent", *(["--count", str(count)] if count else []), sweep]
    agents: list[subprocess.Popen[str]] = []
    with _forwarded_signals(agents) as forwarded:
        for share in shares(n, env, gpus=visible_gpus(env), cores=usable_cores()):
            agent = subprocess.Popen(
                command, env=share, text=True, errors="replace", bufsize=1,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                # A terminal's Ctrl-C must reach agents through us alone, or each would count it twice.
                start_new_session=True,
            )  # fmt: skip
            agents.append(agent)
        readers = [threading.Thread(target=_relay, args=(i, agent)) for i, agent in enumerate(agents, 1)]
        for reader in readers:
            reader.start()
        codes = [agent.wait() for agent in agents]
    for reader in readers:
        reader.join()
    return next((code if code > 0 else 128 - code for code in codes if code), forwarded.exit_code)


def shares(n: int, env: Mapping[str, str], *, gpus: list[str], cores: int) -> list[dict[str, str]]:
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
    try:
        listing = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True, timeout=20, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return []
    return [str(i) for i, line in enumerate(line for line in listing.splitlines() if line.startswith("GPU "))]


def usable_cores() -> int:
    """Cores this process may run on; fewer than the machine has, under a scheduler or a container."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _relay(number: int, agent: "subprocess.Popen[str]") -> None:
    assert agent.stdout
    with agent.stdout as lines:
        for line in lines:
            print(f"agent {number} | {line.rstrip()}", flush=True)


class _forwarded_signals:
    """While open, SIGINT and SIGTERM go to every agent, which counts them: its third step kills its trials."""

    def __init__(self, agents: list["subprocess.Popen[str]"]) -> None:
        self._agents = agents
        self._received = 0
        self.exit_code = 0

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._forward) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _forward(self, number: int, _frame: object) -> None:
        self.exit_code = 128 + number
        self._received = min(self._received + 1, len(STEPS))
        print(f"agents: {STEPS[self._received - 1]}", file=sys.stderr, flush=True)
        for agent in self._agents:
            if agent.poll() is None:
                agent.send_signal(number)
