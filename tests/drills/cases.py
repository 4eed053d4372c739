"""The drills: each runs a sweep of toy trials in a world that it harms, and returns what it did to it.

It ends when every agent has left by itself. What is true of all of them afterwards `audit` examines; what the runs may
have become each says itself.
"""

import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Barrier, Thread

from cola_sweep.packaged import PACKAGED, packaged_folder
from cola_sweep.server import failed
from tests.benchmarks.client import HEARTBEAT
from tests.drills import harm, served
from tests.drills.audit import ENDED
from tests.drills.toy import FAULT
from tests.drills.world import PROJECT, World, wait_for

Faults = Counter[str]
LONGER_THAN_ANY_SILENCE = max(served.RUN_SILENCE, served.AGENT_SILENCE, served.START_LIMIT) + 3
MINUTE = 63
# The stock client took 56 minutes for it on a busy machine, one core nearly its own.
GIGABYTE_SECONDS = 7200.0
UNREAD = "its encoder cannot be read"
RETRIES = 2
SAID = (
    "metric never logged", "metric never finite", "failed: RuntimeError: as it was told",
    "failed: TrialFailed: out of memory", "killed",
)  # fmt: skip
MAKE_AGENT = """mutation Join($sweep: String!, $project: String!) {
    createAgent(input: {sweep: $sweep, projectName: $project, host: "drill"}) { agent { id } } }"""
RUNS = """query Runs($entity: String!, $project: String!, $sweep: String!) {
    project(name: $project, entityName: $entity) { sweep(sweepName: $sweep) {
        runs(first: 1000) { edges { node { id state summaryMetrics } } } } } }"""
AGENTS = """query Agents($entity: String!, $project: String!, $sweep: String!) {
    project(name: $project, entityName: $entity) { sweep(sweepName: $sweep) {
        agents { edges { node { exitReason } } } } } }"""
STOP = "mutation Stop($id: ID!) { stopRun(input: {id: $id}) { success } }"


@dataclass(frozen=True)
class Drill:
    """One kind of trouble.

    Attributes:
        act: does it, given the world, the dice and the number of trials.
        short, long: how many trials the sweep has in either form.
        states: what runs may have become.
        small_disk: which folder of the world has to be a disk that can be filled.
        report: whether the report is made in the short form too.
        said: what the report has to say of the trials that it leaves out.
        retries: how often its sweep has a failed trial tried again.
    """

    act: Callable[[World, random.Random, int], Faults]
    short: int
    long: int
    states: frozenset[str] = frozenset({"finished"})
    small_disk: str = ""
    report: bool = False
    said: tuple[str, ...] = ()
    retries: int = 0


def deaths(world: World, dice: random.Random, cells: int) -> Faults:
    """Trials, clients, agents, the server and the warm one are killed at random moments; messages are lost."""
    world.make_sweep(cells, rows=20, pause=0.2)
    world.start_warm_server()
    world.start_agents(3)
    faults = _harmed(world, dice, harm.DEATHS, cells + cells // 2)
    world.kill_warm_server(signal.SIGTERM)
    return faults


def clocks(world: World, dice: random.Random, cells: int) -> Faults:
    """The server's clock jumps while trials run: nobody has died of that."""
    world.make_sweep(cells, rows=20, pause=0.2)
    world.start_agents(2)
    return _harmed(world, dice, [harm.jump], cells * 2, after=nobody_died)


def full_disk(world: World, dice: random.Random, cells: int) -> Faults:
    """The server's disk is full again and again: what it refuses comes again."""
    world.make_sweep(cells, rows=20, pause=0.2)
    world.start_agents(2)
    return _harmed(world, dice, [harm.fill_disk], cells)


def full_trial_disk(world: World, dice: random.Random, cells: int) -> Faults:
    """The disk under agents and trials is full again and again: a trial may fail of it, and the next is well."""
    world.make_sweep(cells, rows=20, pause=0.2)
    world.start_agents(2)
    wait_for(lambda: bool(world.relay.safe), "a trial has logged")  # an agent that cannot start says so, and ends
    return _harmed(world, dice, [harm.fill_trial_disk], cells)


def tried_again(world: World, dice: random.Random, cells: int) -> Faults:
    """A trial in three always fails, one the first time, in a sweep that has failed trials tried again."""
    ends = ["fails once", "well", "fails"]
    world.make_sweep(cells, rows=10, ends=ends, folder=str(world.folder), _retry=RETRIES)
    world.start_agents(2)
    faults = _harmed(world, dice, [harm.kill_agent, harm.kill_server, harm.lose_messages], cells // 2)
    return faults + Counter({f"a trial {end}": sum(ends[c % 3] == end for c in range(cells)) for end in ends[::2]})


def at_fault(world: World, dice: random.Random, cells: int) -> Faults:
    """A machine on which no trial comes to its first step: its agent is told to leave, and others do its work."""
    world.make_sweep(cells, rows=10, pause=0.3)
    world.start_agents()
    wait_for(lambda: bool(world.relay.safe), "a trial has logged")
    world.start_agents(1, **{FAULT: "1"})
    world.agents_leave()
    left = [edge["node"]["exitReason"] for edge in world.ask(AGENTS)["agents"]["edges"]]
    assert [bool(reason) and reason.endswith("no such library") for reason in left] == [False, True], f"left: {left}"
    states = Counter(run["state"] for run in _runs(world))
    assert states == {"finished": cells, "failed": failed.FAULTS}, f"runs are {dict(states)}"
    return Counter({"machine at fault": 1})


def silence(world: World, dice: random.Random, cells: int) -> Faults:
    """Nobody is heard for longer than anyone may be silent: the port is closed, the server stands still, trials do."""
    faults: Faults = Counter()
    world.make_sweep(cells, rows=150, pause=0.5)
    world.start_agents(cells)
    wait_for(lambda: len(world.relay.safe) == cells, "every trial has logged")
    world.relay.cut()
    time.sleep(LONGER_THAN_ANY_SILENCE if cells < 6 else MINUTE)
    world.relay.heal()
    faults["port closed"] += 1
    time.sleep(5)
    with harm.stopped([world.server_pid]):
        time.sleep(LONGER_THAN_ANY_SILENCE)
    faults["server stopped"] += 1
    nobody_died(world)
    time.sleep(3)
    with harm.stopped([*world.trials(), *(agent.pid for agent in world.agents)]):
        time.sleep(LONGER_THAN_ANY_SILENCE)
    faults["agents and trials stopped"] += 1
    world.agents_leave()
    return faults


def bad_trials(world: World, dice: random.Random, cells: int) -> Faults:
    """Each trial does wrong in its own way; the one that hangs is stopped by its user when the others are through."""
    ends = ["well", "logs nothing", "logs NaN", "fails", "takes memory", "forks", "prints", "hangs"]
    world.make_sweep(cells, ends=ends, megabytes=2 if cells == len(ends) else 1000)
    # Through ours: the stock agent alone ends nothing that a trial leaves behind.
    world.start_agents(1, "-m", "cola_sweep", "agents", "--cold", "--n", "2")
    hanging = sum(ends[cell % len(ends)] == "hangs" for cell in range(cells))

    def stop_hanging() -> bool:
        runs = _runs(world)
        left = [run for run in runs if run["state"] not in ENDED]
        if len(runs) == cells and len(left) <= hanging:
            client = world.client()
            for run in left:
                client.graphql(STOP, id=run["id"])
            client.close()
        return world.over()

    wait_for(stop_hanging, "the sweep ends", GIGABYTE_SECONDS)
    return Counter({f"a trial {end}": 1 for end in ends if end != "well"})


def checkpoints(world: World, dice: random.Random, cells: int) -> Faults:
    """Real trials, forked by a warm server: the weights of one in three are cut off; then that server is killed."""
    folders = [_checkpoint(world.folder / f"checkpoint{cell}", whole=cell % 3 > 0) for cell in range(cells)]
    small = {"data": "synthetic", "train_limit": 64, "valid_limit": 64, "epochs": 2, "max_length": 16}
    world.make_sweep_of("cola_sweep.train", ("checkpoint", [f"{folder}[:1]" for folder in folders]), small)
    world.start_agents(1, "-m", "cola_sweep", "agents")
    wait_for(lambda: len(world.relay.safe) == 2, "the second good trial has logged")
    os.kill(world.warm_server(), signal.SIGKILL)
    world.agents_leave()
    unread = [run for run in _runs(world) if run["state"] == "failed"]
    assert len(unread) == (cells + 2) // 3, f"{len(unread)} trials failed"
    for run in unread:
        assert UNREAD in run["summaryMetrics"], f"no reason is kept: {run['summaryMetrics']}"
    return Counter({"a checkpoint cut off": len(unread), "warm server killed": 1})


def together(world: World, dice: random.Random, cells: int) -> Faults:
    """Agents that join and ask at the same instant; one in four dies before it begins what it was given."""
    world.make_sweep(cells)
    assert world.address is not None
    barrier, user, given = Barrier(16), world.address.user, Counter[str]()

    def work(number: int) -> None:
        client = world.client(relayed=True)
        made, _ = client.graphql(MAKE_AGENT, sweep=world.sweep, project=PROJECT)
        opaque = made["createAgent"]["agent"]["id"]
        barrier.wait()
        while True:
            data, _ = client.graphql(HEARTBEAT, id=opaque, metrics="{}", runState="{}")
            commands = json.loads(data["agentHeartbeat"]["commands"])
            for command in commands:
                if command["type"] == "exit":
                    return
                given["issued"] += 1
                if number % 4 == 0:
                    given["agent gone"] += 1
                    return
                part = {"offset": 0, "content": []}
                body = {"files": {"wandb-history.jsonl": part}, "complete": True, "exitcode": 0}
                client.post(f"/files/{user}/{PROJECT}/{command['run_id']}/file_stream", body)
            if not commands:
                time.sleep(0.5)

    threads = [Thread(target=work, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return Counter({"agents at once": 16, "agent gone with a trial": given["agent gone"]})


DRILLS = {
    "silence": Drill(silence, 2, 6),
    "deaths": Drill(deaths, 6, 40, frozenset({"finished", "crashed", "failed"})),
    "clocks": Drill(clocks, 4, 24),
    "full-disk": Drill(full_disk, 4, 24, small_disk="data"),
    "full-trial-disk": Drill(full_trial_disk, 4, 24, frozenset({"finished", "failed", "crashed"}), small_disk="agents"),
    "tried-again": Drill(tried_again, 3, 12, frozenset({"finished", "crashed", "failed"}), retries=RETRIES),
    "at-fault": Drill(at_fault, 6, 12, frozenset({"finished", "failed"})),
    "checkpoints": Drill(checkpoints, 3, 9, frozenset({"finished", "failed"}), said=(UNREAD,)),
    "bad-trials": Drill(
        bad_trials, 8, 14, frozenset({"finished", "failed", "killed", "crashed"}), report=True, said=SAID
    ),
    "together": Drill(together, 64, 640, frozenset({"finished", "crashed"})),
}


def nobody_died(world: World) -> None:
    """The server has had the time to end what it takes for dead, and took nobody for it."""
    time.sleep(3 * served.TICK_SECONDS)
    states = Counter(run["state"] for run in _runs(world))
    assert not states["crashed"], f"{states['crashed']} runs were taken for dead"


def _harmed(
    world: World,
    dice: random.Random,
    kinds: list[harm.Harm],
    wanted: int,
    after: Callable[[World], object] = lambda world: None,
) -> Faults:
    """Harm the world at random moments, each kind in turn, until that many faults are done or all is over."""
    faults: Faults = Counter()
    turns = [kind for _ in range(wanted) for kind in dice.sample(kinds, len(kinds))]
    for kind in turns[:wanted]:
        time.sleep(dice.uniform(1, 4))
        if world.over():
            break
        if done := kind(world, dice):
            faults[done] += 1
            after(world)
    world.agents_leave()
    return faults


def _checkpoint(folder: Path, *, whole: bool) -> Path:
    """The packaged checkpoint again, under another name; unless `whole`, without most of its weights."""
    folder.mkdir()
    for file in packaged_folder(PACKAGED).iterdir():
        if file.suffix == ".safetensors" and not whole:
            (folder / file.name).write_bytes(file.read_bytes()[: 2**20])
        else:
            (folder / file.name).symlink_to(file)
    return folder


def _runs(world: World) -> list[dict[str, str]]:
    return [edge["node"] for edge in world.ask(RUNS)["runs"]["edges"]]
