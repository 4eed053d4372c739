"""Single faults: each does one harm to a world, at a place that the dice choose, and says in a word what it was.

A fault that finds nothing to harm (no trial runs just now) says None, and is not counted.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from tests.drills.world import World

Harm = Callable[[World, random.Random], str | None]
BALLAST = "ballast"


def kill_trial(world: World, dice: random.Random) -> str | None:
    """The trial's own process: what it had not handed to the client's is gone."""
    return _kill(world.processes("tests.drills.toy"), dice, "trial killed")


def kill_client(world: World, dice: random.Random) -> str | None:
    """The client's process beside the trial, with what it had not sent."""
    return _kill(world.processes("wandb-core"), dice, "client killed")


def kill_agent(world: World, dice: random.Random) -> str | None:
    """An agent; its trial goes on, and another agent takes its place."""
    agent = dice.choice([agent for agent in world.agents if agent.poll() is None])
    agent.kill()
    agent.wait()
    world.start_agents()
    return "agent killed"


def kill_server(world: World, dice: random.Random) -> str | None:
    """It is away for a while, and comes back on the same folder."""
    world.kill_server()
    time.sleep(dice.uniform(0, 2))
    world.start_server()
    return "server killed"


def kill_warm_server(world: World, dice: random.Random) -> str | None:
    """What forks the trials, whose own go on; another takes its place, and may be killed before it is ready."""
    world.kill_warm_server()
    world.start_warm_server()
    return "warm server killed"


def lose_messages(world: World, dice: random.Random) -> str | None:
    """For two seconds, one in three requests does not arrive, or is done without its answer arriving."""
    world.relay.lost = lambda path: dice.choice(["request", "answer", None, None, None, None])
    time.sleep(2)
    world.relay.lost = lambda path: None
    return "messages lost"


def jump(world: World, dice: random.Random) -> str | None:
    """The server's clock is set, by up to a day, to the past or the future."""
    seconds = dice.choice([-1, 1]) * dice.choice([60, 3600, 86400])
    fresh = world.data_dir / "clock.new"
    fresh.write_text(str(seconds))
    fresh.replace(world.data_dir / "clock")
    return f"clock set {'ahead' if seconds > 0 else 'back'}"


def fill_disk(world: World, dice: random.Random) -> str | None:
    """No byte is left under the server's folder for some seconds."""
    with full(world.data_dir):
        time.sleep(dice.uniform(1, 4))
    return "disk full"


def fill_trial_disk(world: World, dice: random.Random) -> str | None:
    """No byte is left where agents and trials write, for some seconds."""
    with full(world.agents_dir):
        time.sleep(dice.uniform(1, 4))
    return "trial disk full"


DEATHS: list[Harm] = [kill_trial, kill_client, kill_agent, kill_warm_server, kill_server, lose_messages]


@contextmanager
def full(folder: Path) -> Iterator[None]:
    """The small disk that `folder` is, without room."""
    path = folder / BALLAST
    with path.open("wb", buffering=0) as ballast, suppress(OSError):
        while True:
            ballast.write(bytes(4096))
    try:
        yield
    finally:
        path.unlink()


@contextmanager
def stopped(pids: list[int]) -> Iterator[None]:
    """Processes that stand still for as long as the block takes."""
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def _kill(pids: list[int], dice: random.Random, what: str) -> str | None:
    if not pids:
        return None
    with suppress(ProcessLookupError):
        os.kill(dice.choice(pids), signal.SIGKILL)
    return what
