"""Trials that ended badly: why, which of them are tried again, and which agent's machine is at fault.

An agent is at fault when its newest trials ended one after the other before their first step, for the same reason,
while another agent's trials go on and none of them ended so. Its trials then count as not issued.
"""

import json
import logging
from collections.abc import Sequence

from cola_sweep.server.console_lines import console_line
from cola_sweep.server.search.trials import Trial, to_repeat
from cola_sweep.server.store import Store, agents, runs, streams
from cola_sweep.server.store.agents import Agent
from cola_sweep.server.store.runs import Outline, Run

log = logging.getLogger(__name__)

# Trials in a row that ended before their first step. The stock agent itself gives up at its third within a minute.
FAULTS = 2
# What is read of other agents' failures, and of a console, for their reason.
_FAILURES, _LINES = 50, 20


def reason(store: Store, run: Run) -> str:
    """How a run ended, in a line: as it said itself, else its last line of error, else its exit code."""
    summary = json.loads(run.summary_json)
    for key in ("failure", "stopped"):  # of this project's trials
        if isinstance(summary.get(key), str):
            return str(summary[key]).split("\n")[0]
    lines = [console_line(text) for _, text in streams.console_tail(store, run.id, _LINES)]
    errors = [line["line"].strip() for line in lines if line["level"] == "error" and line["line"]]
    if said := [line for line in errors if line]:
        return said[-1]
    return "it ended without a word" if run.exitcode is None else f"exit code {run.exitcode}"


def to_try_again(
    store: Store, agent: Agent, known: Sequence[Outline], told: Sequence[Trial], times: int, *, own: bool
) -> Run | None:
    """The failed run whose point an agent is to try again, or None; the longest waiting first.

    Args:
        told: what the search is told of each of `known`.
        times: how often a point is tried again.
        own: also one that has failed with this agent, though others are there.
    """
    points = to_repeat(told, times)
    if points and not own and agents.running(store, agent.sweep_id) - {agent.id}:
        points = [failed for failed in points if agent.id not in {known[place].agent_id for place in failed}]
    newest = min((known[failed[-1]].id for failed in points), default=0)
    return runs.by_id(store, newest)


def dismissed(store: Store, agent: Agent) -> bool:
    """Whether an agent has to leave because of its machine; the first time, agent and runs are told why."""
    if agent.exit_reason:
        return True
    cause = _fault(store, agent)
    if cause is None:
        return False
    text = f"the last {FAULTS} trials of this agent ended before their first step, while others go on: {cause}"
    log.warning("agent %s on %s leaves: %s", agent.name, agent.host, text)
    agents.dismiss(store, agent.id, text)
    for run_id in agents.ended_runs(store, agent.id, FAULTS):
        _note(store, run_id, f"not counted, its agent was told to leave: {text}")
    return True


def note_of_retry(store: Store, run: Run, failed: Run) -> None:
    """Let a run say what it repeats, and why."""
    _note(store, run.id, f"again after {failed.display_name} ({failed.name}) {failed.state}: {reason(store, failed)}")


def _fault(store: Store, agent: Agent) -> str | None:
    """The reason for which the agent's newest trials ended, if it is its machine's."""
    newest = [run for run_id in agents.ended_runs(store, agent.id, FAULTS) if (run := runs.by_id(store, run_id))]
    if len(newest) < FAULTS or not all(map(_failed_early, newest)):
        return None
    reasons = {reason(store, run) for run in newest}
    if len(reasons) > 1 or not agents.others_at_work(store, agent.sweep_id, agent.id):
        return None
    elsewhere = agents.failed_elsewhere(store, agent.sweep_id, agent.id, _FAILURES)
    seen = {reason(store, run) for run_id in elsewhere if (run := runs.by_id(store, run_id))}
    return None if reasons & seen else reasons.pop()


def _failed_early(run: Run) -> bool:
    return run.state in ("failed", "crashed") and run.last_step is None and not run.stop_requested


def _note(store: Store, run_id: int, text: str) -> None:
    if run := runs.by_id(store, run_id):
        runs.update(store, run.id, notes="\n".join(filter(None, (run.notes, text))))
