"""Several stock `wandb agent` processes on this machine, each with its share of it.

Each has its own GPU, or an equal share of the cores; their output is joined line by line, and they are ended together.
A warm server beside them forks their trials. Imports of ours devices, interrupts and warm; the search stays with the
server, the trials with the agents.
"""

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

from cola_sweep import warm
from cola_sweep.devices import Room, free_memory, shares, usable_cores, visible_gpus
from cola_sweep.launch.interrupts import Interrupts

# The first interrupt lets running trials end, the second asks them to stop, the third kills: the stock agent's own
# three steps. SIGTERM, which it does not know, begins with the second: whoever sends it does not wait for long.
STEPS = (
    "waiting for running trials; interrupt again to stop them",
    "stopping trials; interrupt again to kill",
    "killing",
)
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
    with warm_trials(waiting[0], cold=cold) as choice, Interrupts(agents.hear) as interrupts:
        first = n if per_device is None else min(n, len(devices))
        probes = [_Probe(gpu) for gpu in devices[:first]] if n > first else []
        for share in waiting[:first]:
            agents.start(share | choice)
        held = [[share | choice for share in waiting[first:][i :: len(devices)]] for i in range(len(probes))]
        while agents.running() and any(held) and not interrupts.exit_code:
            time.sleep(POLL_SECONDS)
            for i, probe in enumerate(probes):
                if held[i] and (more := probe.room(trials_of(agents.started[i].pid), len(held[i]))) is not None:
                    for share in held[i][:more]:
                        agents.start(share)
                    held[i] = []
        codes = agents.wait()
    return next((code if code > 0 else 128 - code for code in codes if code), interrupts.exit_code)


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
        seen: set[int] = set()
        for reader in self._readers:
            while reader.is_alive():
                reader.join(POLL_SECONDS)
                seen = self._end_what_trials_left(seen)
        return [agent.wait() for agent in self.started]

    def _end_what_trials_left(self, seen: set[int]) -> set[int]:
        """Kill what outlived its trial since the last look: it would hold memory, and the agents' output, for ever."""
        left = {pid for agent in self.started for pid in left_by_trials(agent.pid)}
        for pid in left & seen:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return left

    def hear(self, number: int) -> None:
        """A signal: the next of the three steps."""
        step = min(max(self._step + 1, 2 if number == signal.SIGTERM else 1), len(STEPS))
        self._step = step  # before the line: who reads it may answer in the midst of this
        print(f"agents: {STEPS[step - 1]}", file=sys.stderr, flush=True)
        self.interrupt(step)

    def interrupt(self, step: int) -> None:
        """Step 1: take no new trial; 2: stop trials; 3: kill. Trials hear it from here too: an agent may be dead."""
        self._step = max(step, self._step)
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
    """A warm server while the block runs, unless `env` names one; gives what its trials need beside `env`."""
    if cold or sys.platform != "linux":
        yield {warm.VARIABLE: "0"}
        return
    if warm.VARIABLE in env:
        yield {}
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
    return [pid for pid, group in _groups(agent).items() if pid == group]


def left_by_trials(agent: int) -> list[int]:
    """Processes in the groups of trials that have ended; none that leads a session, as wandb's own process does."""
    groups = _groups(agent)
    return [pid for pid, group in groups.items() if group not in groups]


def _groups(agent: int) -> dict[int, int]:
    """The group of each process in an agent's session that is not in the agent's own."""
    found = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            state, _, group, session, *_ = stat.read_text(errors="replace").rpartition(")")[2].split()
            if int(session) == agent != int(group) and state != "Z":
                found[int(stat.parent.name)] = int(group)
    return found


def _relay(process: "subprocess.Popen[str]", label: str) -> threading.Thread:
    """Pass on what a process says, line by line, until nobody can say any more."""

    def relay() -> None:
        assert process.stdout
        with process.stdout as lines:
            for line in lines:
                # The line and its end in one write: another agent's line would come between two.
                print(f"{label}{line.rstrip()}\n", end="", flush=True)

    thread = threading.Thread(target=relay)
    thread.start()
    return thread
