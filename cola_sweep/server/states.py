"""How sweeps, runs and agents move from state to state. Pure; times are seconds, the clock is the caller's.

Sweep:  PENDING -> RUNNING -> FINISHED, with PAUSED between, CANCELED at any time; a resume reopens.
Run:    pending -> running -> finished | failed | killed | preempted, as the run itself tells; crashed where it did not.
Agent:  RUNNING -> FINISHED (told to exit, or left with nothing open) | CRASHED.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Literal

# A client's heartbeat comes each 30 s; W&B too calls a run crashed after five minutes of silence.
RUN_SILENCE = 300.0
# Nobody waits for one that was told to stop: three heartbeats missed, and it has, or it was killed for not doing so.
STOPPED_SILENCE = 90.0
# An agent asks each 5 s.
AGENT_SILENCE = 60.0
# The last lines of a run may arrive after the heartbeat that no longer lists it. Less than the time to the next one.
GRACE = 4.0
# How long a run may take from being handed to an agent to its first word, if the agent says nothing of it.
START_LIMIT = 180.0

OPEN_SWEEP = frozenset({"PENDING", "RUNNING", "PAUSED"})
# What may be asked of a sweep in a state. The first four are the commands of `wandb sweep`: --pause, --resume
# (which the client lets reopen any sweep), --stop, --cancel; the rest are how a local scheduler ends.
_ENDS = frozenset({"FINISHED", "CANCELED", "ERROR", "CRASHED", "FLAPPING"})
_MOVES = {
    "PENDING": {"PAUSED", "RUNNING"} | _ENDS,
    "RUNNING": {"PAUSED", "RUNNING"} | _ENDS,
    "PAUSED": {"PAUSED", "RUNNING"} | _ENDS,
}
_REOPEN = {"RUNNING"}

OPEN_RUN = frozenset({"pending", "running", "preempting"})


class IllegalMove(ValueError):
    """A state that cannot follow the present one."""


def moved(state: str, wanted: str) -> str:
    """The state of a sweep that is asked to be `wanted`; asking for what is so changes nothing.

    Raises:
        IllegalMove: it cannot.
    """
    wanted = wanted.upper()
    if wanted == state or wanted in _MOVES.get(state, _REOPEN):
        return wanted
    raise IllegalMove(f"a sweep that is {state} cannot become {wanted}")


@dataclass(frozen=True)
class Answer:
    """What an agent is told: `stop` each of `runs`, `exit`, `wait`, or `next`: a trial, if the search has one."""

    verb: Literal["stop", "exit", "wait", "next"]
    runs: tuple[str, ...] = ()


def answer(state: str, reported: Collection[str], stopping: Collection[str]) -> Answer:
    """What to tell an agent that reports these live runs of a sweep in `state`.

    Args:
        stopping: runs that were asked to stop.

    The agent kills its runs when it is told to exit, so it is told to stop them first and given the time;
    and a new run waits for the old one to end.
    """
    told = sorted(reported if state == "CANCELED" else set(reported) & set(stopping))
    if told:
        return Answer("stop", tuple(told))
    if reported or state == "PAUSED":
        return Answer("wait")
    return Answer("next" if state in OPEN_SWEEP else "exit")


def completed(state: str, exitcode: int, *, stopping: bool) -> str:
    """The state of a run that said it is complete; one that failed because it was stopped did not fail."""
    if exitcode == 0:
        return "finished"
    if stopping:  # also of one that took the agent's SIGTERM for a preemption: it is not to be taken up again
        return "killed"
    return "preempted" if state in ("preempting", "preempted") else "failed"  # the latter when it says so again


def lost(state: str, *, stopping: bool) -> str:
    """The state of a run whose process is gone without having said how it ended."""
    if stopping:
        return "killed"
    return "preempted" if state == "preempting" else "crashed"


def departed(*, has_open_runs: bool) -> str:
    """The state of an agent that has fallen silent: it crashed, unless it had nothing left to do."""
    return "CRASHED" if has_open_runs else "FINISHED"
