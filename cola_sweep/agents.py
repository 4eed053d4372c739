"""Several stock `wandb agent` processes on one machine, each with its share of it.

`cola-sweep agents ENTITY/PROJECT/ID --n 2` starts two agents, gives each its own GPU (or an equal share of the
cores), joins their output line by line, and ends them together. A warm server beside them forks their trials.
`--per-device K` lets up to K agents share a device, as many as its memory holds: the first trial shows how much one
takes. Imports of ours devices, the error, the hub's probe, warm and, when it runs, `connection`; the search stays with
the server, the trials with the agents.
"""

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Self

from cola_sweep import warm
from cola_sweep.devices import Room, free_memory, shares, usable_cores, visible_gpus
from cola_sweep.errors import UserError
from cola_sweep.hub import hub_answers

# The first interrupt lets running trials end, the second asks them to stop, the third kills: the stock agent's own
# three steps. SIGTERM, which it does not know, begins with the second: whoever sends it does not wait for long.
STEPS = (
    "waiting for running trials; interrupt again to stop them",
    "stopping trials; interrupt again to kill",
    "killing",
)
SIGNALS = (signal.SIGINT, signal.SIGTERM)
INTERRUPTED = tuple(128 + number for number in SIGNALS)  # exit codes, as a shell has them
# An agent whose parent is killed gets an interrupt from the kernel: it takes no new trial, and nobody reads its output.
LAUNCH = """
import ctypes, os, signal, sys
ctypes.CDLL(None).prctl(1, signal.SIGINT)  # PR_SET_PDEATHSIG
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.executable, [sys.executable, "-m", "wandb", *sys.argv[2:]])
"""
# A trial that runs this long has been through an epoch or will be long: what it took by then has to do.
PROBE_SECONDS = 300.0
POLL_SECONDS = 1.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("sweep", help="the path that `wandb sweep` printed: ENTITY/PROJECT/ID")
    parser.add_argument("--n", type=int, help="agents to start (default: 1, or as --per-device says)")
    parser.add_argument(
        "--per-device", type=int, metavar="K",
        help="at most so many agents on each GPU, or on the machine without one; "
        "those after the first start when a first trial has shown that memory is left for them",
    )  # fmt: skip
    parser.add_argument(
        "--count", type=int, help="trials each agent runs before it leaves (default: until the sweep ends)"
    )
    parser.add_argument("--cold", action="store_true", help="start each trial as a process of its own, imports and all")


def main(args: argparse.Namespace) -> int:
    """Run the agents to their end; see `run` for the exit code.

    Raises:
        UserError: a flag, the server or the sweep cannot be used.
    """
    require_positive("--n", args.n)
    require_positive("--per-device", args.per_device)
    require_positive("--count", args.count)
    hub_answers()  # one look for all trials, which inherit the answer
    env = dict(os.environ)  # now: what wandb adds when it connects is for this process alone
    sweep = sweep_path(args.sweep)
    return run(sweep, n=args.n, per_device=args.per_device, count=args.count, cold=args.cold, env=env)


def require_positive(flag: str, value: int | None) -> None:
    if value is not None and value < 1:
        raise UserError(flag, got=value, rule="must be at least 1", fix=f"write {flag} 1")


def sweep_path(sweep: str) -> str:
    """The whole path of a sweep that is there; an agent would look for it 20 s long, and each would complain."""
    from cola_sweep.connection import connect, find_sweep

    found = find_sweep(connect(), sweep)
    return f"{found.entity}/{found.project}/{found.id}"


def run(
    sweep: str,
    *,
    env: Mapping[str, str],
    n: int | None = None,
    per_device: int | None = None,
    count: int | None = None,
    cold: bool = False,
) -> int:
    """Start agents on `sweep` and wait for them and their trials.

    Args:
        n: how many; by default 1, or `per_device` on each device.
        per_device: most that share a device; the first of each starts at once, others where a first trial left room.
        count: trials for each.
        cold: without a warm server.

    Returns 0 when each ended well by itself, else the first other exit code; 128 + signal if only a signal ended them.
    """
    gpus = visible_gpus(env)
    devices: list[str | None] = [*gpus] or [None]
    n = n or (per_device or 1) * len(devices)
    if per_device is not None:
        n = min(n, per_device * len(devices))
    waiting = shares(n, env, gpus=gpus, cores=usable_cores())
    agents = _Agents(sweep, count)
    with warm_trials(waiting[0], cold=cold) as choice, _forwarded_signals(agents) as forwarded:
        first = n if per_device is None else min(n, len(devices))
        probes = [_Probe(gpu) for gpu in devices[:first]] if n > first else []
        for share in waiting[:first]:
            agents.start(share | choice)
        held = [[share | choice for share in waiting[first:][i :: len(devices)]] for i in range(len(probes))]
        while agents.running() and any(held) and not forwarded.exit_code:
            time.sleep(POLL_SECONDS)
            for i, probe in enumerate(probes):
                if held[i] and (more := probe.room(trials_of(agents.started[i].pid), len(held[i]))) is not None:
                    for share in held[i][:more]:
                        agents.start(share)
                    held[i] = []
        codes = agents.wait()
    return next((code if code > 0 else 128 - code for code in codes if code), forwarded.exit_code)


class _Agents:
    """The stock agents that were started, and the threads that join their output."""

    def __init__(self, sweep: str, count: int | None) -> None:
        self._words = ["agent", *(["--count", str(count)] if count else []), sweep]
        self._readers: list[threading.Thread] = []
        self._step = 0  # of the interrupts
        self.started: list[subprocess.Popen[str]] = []

    def start(self, env: Mapping[str, str]) -> None:
        """One more, unless they were interrupted."""
        if self._step:
            return
        command = [sys.executable, "-m", "wandb", *self._words]
        if sys.platform == "linux":
            command = [sys.executable, "-c", LAUNCH, str(os.getpid()), *self._words]
        agent = subprocess.Popen(
            command, env=env, text=True, errors="replace", bufsize=1,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            # A terminal's Ctrl-C must reach agents through us alone, or each would count it twice.
            start_new_session=True,
        )  # fmt: skip
        self.started.append(agent)
        self._readers.append(_relay(agent, f"agent {len(self.started)} | "))
        if self._step:  # meanwhile, perhaps before it was in the list
            self._tell(agent)

    def running(self) -> bool:
        return any(agent.poll() is None for agent in self.started)

    def wait(self) -> list[int]:
        """Their exit codes, when they and whatever trials a killed one left behind have ended."""
        codes = [agent.wait() for agent in self.started]
        for reader in self._readers:
            reader.join()
        return codes

    def interrupt(self, step: int) -> None:
        """Step 1: take no new trial; 2: stop trials; 3: kill. Trials hear it from here too: an agent may be dead."""
        self._step = step
        for agent in self.started:
            self._tell(agent)

    def _tell(self, agent: "subprocess.Popen[str]") -> None:
        if self._step > 1:
            for trial in trials_of(agent.pid):
                with suppress(ProcessLookupError):
                    os.kill(trial, signal.SIGTERM if self._step == 2 else signal.SIGKILL)
        if agent.poll() is None:
            agent.send_signal(signal.SIGINT if self._step < 3 else signal.SIGKILL)


class _Probe:
    """Watches the memory of a device while its first trial runs."""

    def __init__(self, gpu: str | None) -> None:
        self._gpu = gpu
        self._room: Room | None = None
        self._began: float | None = None
        if (free := free_memory(gpu)) is not None:
            self._room = Room(free, free)

    def room(self, trials: Sequence[int], wanted: int) -> int | None:
        """How many of `wanted` more agents fit, once that is known; None before. To be asked again and again."""
        free = free_memory(self._gpu)
        where = "the machine" if self._gpu is None else f"GPU {self._gpu}"
        if self._room is None or free is None:
            print(f"agents: no more on {where}: how much of its memory is free is unknown", flush=True)
            return 0
        self._room.sample(free)
        if trials and self._began is None:
            self._began = time.monotonic()
        if self._began is None or (trials and time.monotonic() < self._began + PROBE_SECONDS):
            return None
        more = min(wanted, self._room.more())
        print(
            f"agents: a trial takes {self._room.trial / 1e9:.1f} GB of {where}, {self._room.lowest / 1e9:.1f} GB are "
            f"left beside it: {more} more of {wanted}",
            flush=True,
        )
        return more


@contextmanager
def warm_trials(env: Mapping[str, str], *, cold: bool) -> Iterator[dict[str, str]]:
    """A warm server while the block runs; gives what its trials need in their environment besides `env`."""
    if cold or sys.platform != "linux":
        yield {warm.VARIABLE: "0"}
        return
    with tempfile.TemporaryDirectory(prefix="cola-sweep-") as folder:
        path = str(Path(folder, "warm"))
        server = subprocess.Popen(
            [sys.executable, "-m", "cola_sweep.warm_server", "--socket", path, "--until-eof"], env=dict(env), text=True,
            errors="replace", stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
        reader = _relay(server, "")
        try:
            yield {warm.VARIABLE: path}
        finally:
            server.terminate()  # were this process killed, its stdin would end, and it with that
            server.wait()
            reader.join()
            assert server.stdin
            server.stdin.close()


def trials_of(agent: int) -> list[int]:
    """Trials that an agent started and that still run, whether or not it does itself: it leads their session, and each
    leads a group of its own. None where there is no `/proc`."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            pid = int(stat.parent.name)
            state, _, group, session, *_ = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(session) == agent and int(group) == pid != agent and state != "Z":
                found.append(pid)
    return found


def _relay(process: "subprocess.Popen[str]", label: str) -> threading.Thread:
    """Pass on what a process says, line by line, until nobody can say any more."""

    def relay() -> None:
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                print(f"{label}{line.rstrip()}", flush=True)

    thread = threading.Thread(target=relay)
    thread.start()
    return thread


class _forwarded_signals:
    """While open, SIGINT and SIGTERM go to all agents and their trials, in the three steps."""

    def __init__(self, agents: _Agents) -> None:
        self._agents = agents
        self._step = 0
        self.exit_code = 0

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._forward) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _forward(self, number: int, _frame: object) -> None:
        self.exit_code = 128 + number
        self._step = min(max(self._step + 1, 2 if number == signal.SIGTERM else 1), len(STEPS))
        print(f"agents: {STEPS[self._step - 1]}", file=sys.stderr, flush=True)
        self._agents.interrupt(self._step)
