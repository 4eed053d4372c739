"""What must hold after every drill, read through the API: nothing lost, nothing twice, nobody left.

`examine` returns every complaint instead of raising the first: a drill that finds one fault shows them all.
"""

import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from cola_sweep.devices import free_memory
from tests.drills import served
from tests.drills.relay import Relay
from tests.drills.toy import METRIC, value
from tests.drills.world import PROJECT, World, wait_for

LEAVE_SECONDS = 120.0
SLACK = 64e6  # bytes of a GPU; a process that only looks at it takes several times as much
END_SECONDS = 2 * served.RUN_SILENCE  # where all who could tell were killed, silence alone ends a run or an agent
ENDED = {"finished", "failed", "crashed", "killed"}
FAILED = {"failed", "killed"}  # as its client said it, and not as it was given up
STATES = """query States($entity: String!, $project: String!, $sweep: String!) {
    project(name: $project, entityName: $entity) { sweep(sweepName: $sweep) {
        agents { edges { node { state } } } runs(first: 10000) { edges { node { state } } } } } }"""
READ = """query Audit($entity: String!, $project: String!, $sweep: String!) {
    project(name: $project, entityName: $entity) { sweep(sweepName: $sweep) {
        state agents { edges { node { state } } }
        runs(first: 10000, order: "+created_at") { edges { node {
            name state notes config history(samples: 1000000) } } } } } }"""


@dataclass
class Audit:
    """What was found: how many suggestions and rows were looked at, and what was wrong."""

    states: dict[str, int] = field(default_factory=dict)
    suggestions: int = 0
    rows: int = 0
    lost: int = 0
    complaints: list[str] = field(default_factory=list)


def examine(world: World, cells: int, *, retries: int = 0) -> Audit:
    """Look at a sweep whose agents have left, once nobody works there and the server had the time to notice.

    A trial whose agent was killed goes on by itself, and may be the last of all.

    Args:
        cells: points of its grid; each must be accounted for exactly once.
        retries: how often a failed one is tried again.
    """
    audit = Audit()
    try:
        wait_for(lambda: not world.left(), "everybody is gone", LEAVE_SECONDS)
    except TimeoutError:
        audit.complaints += [f"left behind: {command}" for command in world.left()]
    if not world.toy:
        audit.complaints += _device_memory(world.free)
    with suppress(TimeoutError):
        wait_for(lambda: _settled(world.ask(STATES)), "everything has ended", END_SECONDS)
    sweep = world.ask(READ)
    world.kill_server()
    world.start_server()
    if world.ask(READ) != sweep:
        audit.complaints.append("what is read is not what a killed server has kept")
    if sweep["state"] != "FINISHED":
        audit.complaints.append(f"the sweep is {sweep['state']}, not FINISHED")
    if running := [edge for edge in sweep["agents"]["edges"] if edge["node"]["state"] == "RUNNING"]:
        audit.complaints.append(f"{len(running)} agents are said to run")
    name, values = world.axis
    runs = [edge["node"] for edge in sweep["runs"]["edges"]]
    for run in runs:
        place = json.loads(run["config"])[name]["value"]
        run["cell"] = values.index(place) if place in values else place
    _suggestions(audit, runs, cells)
    _known(audit, runs, world.relay)
    if retries:
        _retries(audit, runs, retries)
    for run in runs:
        _rows(audit, run, world.relay.safe.get(run["name"], {}), toy=world.toy)
    return audit


def reported(world: World, said: Iterable[str]) -> list[str]:
    """Let `cola-sweep report` say what happened; what is wrong with that, such as a part of `said` that it lacks."""
    assert world.address is not None
    words = [sys.executable, "-m", "cola_sweep", "report", f"{world.address.user}/{PROJECT}/{world.sweep}"]
    done = subprocess.run(words, cwd=world.folder, env=world.env, capture_output=True, text=True)
    if done.returncode:
        return [f"the report ended with {done.returncode}: {done.stderr[-500:]}"]
    page = (world.folder / "reports" / world.sweep / "report.md").read_text()
    return [f"the report does not say {part!r}" for part in (world.sweep, *said) if part not in page]


def _device_memory(before: Mapping[str, int]) -> list[str]:
    """GPUs that have less free than before, though whoever took it is gone."""
    less = {gpu: before[gpu] - (free_memory(gpu) or 0) for gpu in before}
    return [f"GPU {gpu} has {taken / 1e6:.0f} MB less than before" for gpu, taken in less.items() if taken > SLACK]


def _settled(sweep: dict[str, Any]) -> bool:
    runs, agents = ({edge["node"]["state"] for edge in sweep[kind]["edges"]} for kind in ("runs", "agents"))
    return runs <= ENDED and "RUNNING" not in agents


def _suggestions(audit: Audit, runs: list[dict[str, Any]], cells: int) -> None:
    tried = defaultdict(list)
    for run in runs:
        audit.states[run["state"]] = audit.states.get(run["state"], 0) + 1
        tried[run["cell"]].append(run["state"])
        if run["state"] not in ENDED:
            audit.complaints.append(f"run {run['name']} is {run['state']} though all is over")
    audit.suggestions = len(runs)
    for cell in range(cells):
        if not tried[cell]:
            audit.complaints.append(f"cell {cell} was never tried")
        if tried[cell].count("finished") > 1:
            audit.complaints.append(f"cell {cell} was finished {tried[cell].count('finished')} times")
    if strange := tried.keys() - set(range(cells)):
        audit.complaints.append(f"cells that the grid has not: {sorted(strange)}")


def _known(audit: Audit, runs: list[dict[str, Any]], relay: Relay) -> None:
    """Whatever agents and clients were told of is there, and ended as they were told."""
    states = {run["name"]: run["state"] for run in runs}
    for name in sorted(relay.given - states.keys()):
        audit.complaints.append(f"run {name} was given to an agent and is not there")
    for name in sorted(relay.safe.keys() - states.keys()):
        audit.rows += len(relay.safe[name])
        audit.lost += len(relay.safe[name])
        audit.complaints.append(f"run {name} is not there, and {len(relay.safe[name])} of its lines are safe")
    if runs and not relay.given:
        audit.complaints.append("nobody was given anything")
    for name, code in relay.ended.items():
        state = states.get(name, "not there")
        if state not in (FAILED if code else {"finished"}):
            audit.complaints.append(f"run {name} ended with {code}, and is {state}")


def _retries(audit: Audit, runs: list[dict[str, Any]], times: int) -> None:
    """A point is tried until it is well, `times` times again at most, and each time names the run that it repeats.

    A run that logged nothing may have ended before it began, and is not counted by the server then.
    """
    of_cell = defaultdict(list)
    for run in runs:
        before = [name for name, begun in of_cell[run["cell"]] if begun]
        if before and not any(f"({name})" in (run["notes"] or "") for name in before):
            audit.complaints.append(f"run {run['name']} does not say what it repeats: {run['notes']}")
        of_cell[run["cell"]].append((run["name"], bool(run["history"])))
    states = {run["name"]: run["state"] for run in runs}
    for cell, tried in of_cell.items():
        well = [states[name] == "finished" for name, _ in tried]
        if any(well[:-1]):
            audit.complaints.append(f"cell {cell} was tried again though it was well")
        if not any(well) and len(tried) <= times:
            audit.complaints.append(f"cell {cell} was given up after {len(tried)} runs")
        if sum(begun for _, begun in tried) > times + 1:
            audit.complaints.append(f"cell {cell} was tried {len(tried)} times")


def _rows(audit: Audit, run: dict[str, Any], safe: dict[int, Any], *, toy: bool = True) -> None:
    """Every row that is safe is there, as it was sent, and every row that is there is one that the trial logs."""
    there = [json.loads(text) for text in run["history"]]
    texts = {json.dumps(row, sort_keys=True) for row in there}
    missing = [line for line, row in safe.items() if json.dumps(row, sort_keys=True) not in texts]
    audit.rows += len(safe)
    audit.lost += len(missing)
    if missing:
        audit.complaints.append(f"run {run['name']} lost lines {missing} of {len(safe)} that are safe")
    steps = [row["_step"] for row in there]
    if len(steps) != len(set(steps)):
        audit.complaints.append(f"run {run['name']} has a step twice")
    for row in there if toy else ():
        if "infinite" not in row and row.get(METRIC) != value(run["cell"], row["_step"]):
            audit.complaints.append(f"run {run['name']} has a row that it did not log: {row}")
