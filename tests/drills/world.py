"""What a drill acts in: a server that can die, a relay before it, stock agents, and every process they leave.

Reads /proc, so Linux alone. Whatever is started here has a word of its own in its environment, by which it is found
again whoever its parent is by then.
"""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cola_sweep import warm
from cola_sweep.devices import free_memory, visible_gpus
from cola_sweep.server import process
from tests.benchmarks.client import Client
from tests.drills.relay import Relay
from tests.drills.toy import METRIC
from tests.system.conftest import client_env

ROOT = Path(__file__).parents[2]
PROJECT = "drill"
MARK = "COLA_SWEEP_DRILL"
PATIENCE = 1200.0  # seconds for whatever comes by itself: only a drill that finds something takes so long
# The stock agent gives up after a few failures, and the client waits a minute: drills have many faults and less time.
PATIENT = {
    "WANDB_AGENT_DISABLE_FLAPPING": "true",
    "WANDB_AGENT_MAX_INITIAL_FAILURES": "1000",
    "WANDB_AGENT_KILL_DELAY": "3",
    "WANDB__FILE_STREAM_TRANSMIT_INTERVAL": "1",
    "WANDB__FILE_STREAM_RETRY_WAIT_MIN_SECONDS": "0.5",
    "WANDB__FILE_STREAM_RETRY_WAIT_MAX_SECONDS": "2",
    "WANDB__GRAPHQL_RETRY_WAIT_MIN_SECONDS": "0.5",
    "WANDB__GRAPHQL_RETRY_WAIT_MAX_SECONDS": "2",
    "WANDB_X_DISABLE_STATS": "true",
    "WANDB_DISABLE_GIT": "true",
    "WANDB_DISABLE_CODE": "true",
}
MAKE_SWEEP = """mutation Make($config: String!, $project: String) {
    upsertSweep(input: {config: $config, projectName: $project}) { sweep { name } } }"""


@dataclass
class World:
    """One server, one sweep at a time, any number of agents. `opened` makes one and clears it away.

    Attributes:
        axis: the parameter whose values are the cells of the sweep's grid, and these values.
        free: bytes of each GPU that were free before.
    """

    folder: Path
    word: str
    relay: Relay
    env: dict[str, str] = field(default_factory=dict)
    address: process.Address | None = None
    agents: list["subprocess.Popen[bytes]"] = field(default_factory=list)
    sweep: str = ""
    axis: tuple[str, list[Any]] = ("cell", [])
    free: dict[str, int] = field(default_factory=dict)
    _server: "subprocess.Popen[bytes] | None" = None
    _warm: "subprocess.Popen[bytes] | None" = None

    def start_server(self) -> None:
        """On the same folder as before; returns when it answers."""
        words = [sys.executable, "-m", "tests.drills.served", str(self.data_dir)]
        with (self.folder / "server.log").open("ab") as log:
            self._server = subprocess.Popen(words, cwd=ROOT, stdout=log, stderr=log)

        def answers() -> bool:
            assert self._server is not None
            assert self._server.poll() is None, f"the server ended: {self.said('server.log')}"
            found = process.find(self.data_dir)
            if found is None or found.pid != self._server.pid or not process.ready(found.base_url):
                return False
            self.address = found
            return True

        wait_for(answers, "the server answers")
        assert self.address is not None
        self.relay.upstream = int(self.address.base_url.rpartition(":")[2])

    def kill_server(self, number: int = signal.SIGKILL) -> None:
        """End the server without a word, or with a signal it can hear."""
        assert self._server is not None
        self._server.send_signal(number)
        self._server.wait()

    @property
    def server_pid(self) -> int:
        assert self._server is not None
        return self._server.pid

    def start_warm_server(self) -> None:
        """For toy trials of agents that start from now on; they outlive it."""
        self.env[warm.VARIABLE] = str(self.folder / "warm" / "socket")
        words = [sys.executable, "-m", "cola_sweep.warm_server", "--socket", self.env[warm.VARIABLE]]
        with (self.folder / "warm.log").open("ab") as log:
            self._warm = subprocess.Popen(
                [*words, "--preload", "wandb", "cola_sweep.endings"], cwd=self.folder, env=self.env,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True,
            )  # fmt: skip

    def kill_warm_server(self, number: int = signal.SIGKILL) -> None:
        """End it without a word, or with a signal it can hear: then it waits for its trials."""
        if self._warm is not None:
            self._warm.send_signal(number)
            self._warm.wait()

    @property
    def data_dir(self) -> Path:
        return self.folder / "data"

    def client(self, *, relayed: bool = False) -> Client:
        """Straight to the server, or through the relay, which notes what is told."""
        assert self.address is not None
        return Client(replace(self.address, base_url=self.env["WANDB_BASE_URL"]) if relayed else self.address)

    def ask(self, query: str) -> Any:
        """The sweep, as a query over `$entity`, `$project` and `$sweep` has it."""
        assert self.address is not None
        client = self.client()
        data, _ = client.graphql(query, entity=self.address.user, project=PROJECT, sweep=self.sweep)
        client.close()
        return data["project"]["sweep"]

    @property
    def agents_dir(self) -> Path:
        """Where agents run and their trials write."""
        return self.folder / "agents"

    @property
    def toy(self) -> bool:
        """Whether the sweep's trials are toys, whose rows are known."""
        return self.axis[0] == "cell"

    def make_sweep(self, cells: int, **parameters: Any) -> None:
        """A grid over so many toy trials; `parameters` are constants, see `toy`."""
        constants = {"rows": 5, "pause": 0.1, "ends": ["well"]} | parameters
        self.make_sweep_of("tests.drills.toy", ("cell", list(range(cells))), constants)

    def make_sweep_of(self, program: str, axis: tuple[str, list[Any]], constants: dict[str, Any]) -> None:
        """A grid over the values of one parameter, of trials that `python -m program` runs."""
        self.axis = axis
        config = {
            "method": "grid",
            "metric": {"name": METRIC, "goal": "maximize"},
            "command": [sys.executable, "-m", program],
            "parameters": {axis[0]: {"values": axis[1]}}
            | {name: {"value": value} for name, value in constants.items()},
        }
        client = self.client()
        made, _ = client.graphql(MAKE_SWEEP, config=json.dumps(config), project=PROJECT)
        client.close()
        self.sweep = made["upsertSweep"]["sweep"]["name"]

    def start_agents(self, count: int = 1, *words: str, **env: str) -> None:
        """Stock agents, or what else takes a sweep's path, at once; each with a folder and a session of its own."""
        assert self.address is not None
        path = f"{self.address.user}/{PROJECT}/{self.sweep}"
        command = [sys.executable, *(words or ("-m", "wandb", "agent")), path]
        for _ in range(count):
            folder = self.agents_dir / str(len(self.agents))
            folder.mkdir(parents=True)
            own = self.env | {"WANDB_DIR": str(folder)} | env
            with (self.folder / f"agent{len(self.agents)}.log").open("wb") as log:
                agent = subprocess.Popen(
                    command, cwd=folder, env=own, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                    start_new_session=True,
                )  # fmt: skip
            self.agents.append(agent)

    def agents_leave(self) -> None:
        """Wait until every agent has left by itself."""
        wait_for(self.over, "every agent leaves")

    def trials(self) -> dict[int, str]:
        """The processes of trials, clients and children too: the run's name by process id."""
        return {pid: env["WANDB_RUN_ID"] for pid, env in self._marked() if "WANDB_RUN_ID" in env}

    def processes(self, *words: str) -> list[int]:
        """The processes of trials whose command holds one of `words`."""
        return [pid for pid in self.trials() if any(word in _command(pid) for word in words)]

    def warm_server(self) -> int:
        """The process of the one warm server; its trials are forks of it, and look the same."""
        alike = {pid for pid, _ in self._marked() if "cola_sweep.warm_server" in _command(pid)}
        (server,) = [pid for pid in alike if _parent(pid) not in alike]
        return server

    def over(self) -> bool:
        """Whether every agent has left; it is an error if the server has."""
        assert self._server is not None
        assert self._server.poll() is None, f"the server ended: {self.said('server.log')}"
        return all(agent.poll() is not None for agent in self.agents)

    def left(self) -> list[str]:
        """Command lines of everything that was started here but the server and still lives."""
        return [f"{pid} {_command(pid)}" for pid, _ in self._marked()]

    def clear(self) -> None:
        """Kill whatever is left."""
        for pid, _ in self._marked():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for agent in self.agents:
            agent.wait()
        if self._warm is not None:
            self._warm.wait()
        if self._server is not None and self._server.poll() is None:
            self._server.kill()
            self._server.wait()
        self.relay.cut()

    def said(self, name: str) -> str:
        """The end of a log."""
        return (self.folder / name).read_text(errors="replace")[-3000:]

    def _marked(self) -> Iterator[tuple[int, dict[str, str]]]:
        mark = f"{MARK}={self.word}".encode()
        for environ in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                content = environ.read_bytes()
                if mark in content.split(b"\0"):
                    pairs = (pair.partition(b"=") for pair in content.split(b"\0") if pair)
                    yield int(environ.parent.name), {key.decode(): value.decode() for key, _, value in pairs}


@contextmanager
def opened(folder: Path) -> Iterator[World]:
    """A world with its server running; nothing of it lives afterwards."""
    folder.mkdir(parents=True, exist_ok=True)
    free = {gpu: free_memory(gpu) or 0 for gpu in visible_gpus(os.environ)}
    world = World(folder, secrets.token_hex(8), Relay(), free=free)
    try:
        world.start_server()
        assert world.address is not None
        mine = {
            MARK: world.word,
            "WANDB_BASE_URL": f"http://127.0.0.1:{world.relay.port}",
            "PYTHONPATH": str(ROOT),
            "COLA_SWEEP_HUB": "0",
            "OMP_NUM_THREADS": "1",
        }
        world.env = client_env(world.address, folder) | PATIENT | mine
        yield world
    finally:
        world.clear()


def wait_for(condition: Callable[[], bool], what: str, seconds: float = PATIENCE) -> None:
    """Ask until it is so.

    Raises:
        TimeoutError: it did not come to that.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
        time.sleep(0.1)


def _command(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    return "(gone)"


def _parent(pid: int) -> int:
    with suppress(OSError):
        return int(Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[1])
    return 0
