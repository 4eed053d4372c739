"""Who does what next: answers to agents, early stops, and the end of what has gone silent.

What is issued is issued in one transaction, so that no two agents get the same trial, and a server that is killed
in between has either issued a trial or not.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

from cola_sweep.retries import retries
from cola_sweep.server import early_stop, failed, names, states, trials
from cola_sweep.server.ledger import Ledger, ledger
from cola_sweep.server.questions import Found, Question, settle
from cola_sweep.server.search import suggest
from cola_sweep.server.store import Store, agents, runs, sweeps
from cola_sweep.server.store.agents import Agent
from cola_sweep.server.store.database import iso
from cola_sweep.server.store.runs import Run
from cola_sweep.server.store.sweeps import Sweep
from cola_sweep.space import SweepSpec

Command = dict[str, Any]


class NoSuchAgent(LookupError):
    """The agent's sweep was deleted."""


def heartbeat(store: Store, agent_id: int, reported: Collection[str]) -> list[Command]:
    """The commands for an agent that has these runs alive; an empty list means wait.

    Raises:
        NoSuchAgent: there is none of that id.
    """

    def attempt(found: Found | None) -> list[Command] | Question:
        with store.write():
            agent = agents.by_id(store, agent_id)
            sweep = sweeps.by_id(store, agent.sweep_id) if agent else None
            if agent is None or sweep is None:
                raise NoSuchAgent(f"no agent {agent_id}")
            agents.set_state(store, agent.id, "RUNNING", heartbeat=True)
            sweeps.update(store, sweep.id, heartbeat_at=store.now())
            agents.report(store, agent.id, set(reported))
            expire(store)
            return _answer(store, agent, sweep, reported, found)

    return settle(attempt) or []


def on_stream(store: Store, run: Run, body: Mapping[str, Any]) -> None:
    """Judge a sweep's run on what it has just logged: stop it early, or end the sweep at its target."""
    sweep = sweeps.by_id(store, run.sweep_id) if run.sweep_id is not None else None
    spec = trials.spec_of(sweep.config) if sweep else None
    files = body.get("files") or {}
    if sweep is None or spec is None or spec.metric is None:
        return
    if trials.reaches(spec.metric, trials.metric_value(run.summary_json, spec.metric)):
        _finish(store, sweep)
    if "wandb-history.jsonl" in files and run.state in states.OPEN_RUN and not run.stop_requested:
        early_stop.judge(store, run, spec)


def expire(store: Store) -> None:
    """End the runs and agents that are gone, by the store's clock, as far as they could have been heard."""
    with store.write():
        now, since = store.clock(), store.heard_since()

        def lately(seconds: float) -> agents.Span:
            # A time to come was noted before the clock was put back.
            return agents.Span(iso(now - seconds), iso(now + seconds)) if since <= now - seconds else agents.EVER

        gone = {
            *agents.silent_runs(store, lately(states.RUN_SILENCE)),
            *agents.silent_runs(store, lately(states.STOPPED_SILENCE), stopping=True),
            *agents.vanished_runs(store, lately(states.GRACE)),
            *agents.unstarted_runs(store, lately(states.START_LIMIT)),
        }
        for run_id in sorted(gone):
            if run := runs.by_id(store, run_id):
                state = states.lost(run.state, stopping=bool(run.stop_requested))
                runs.update(store, run.id, state=state, finished_at=store.now())
        for agent in agents.silent(store, lately(states.AGENT_SILENCE)):
            has_open_runs = agents.has_open_runs(store, agent.id)
            agents.set_state(store, agent.id, states.departed(has_open_runs=has_open_runs))


def set_sweep_state(store: Store, sweep: Sweep, wanted: str) -> None:
    """Pause, resume, stop or cancel a sweep; an end drops what is queued, a cancel asks open runs to stop too.

    Raises:
        states.IllegalMove: the sweep's state does not allow it.
    """
    state = states.moved(sweep.state, wanted)
    with store.write():
        sweeps.update(store, sweep.id, state=state)
        if state not in states.OPEN_SWEEP:
            _drop_queue(store, sweep)
        if state == "CANCELED":
            for run in runs.of_sweep(store, sweep.id):
                if run.state in states.OPEN_RUN:
                    runs.request_stop(store, run.id, "the sweep was canceled")
                elif run.state == "preempted":
                    runs.update(store, run.id, state="killed")


def enqueue(
    store: Store, sweep: Sweep, config: Mapping[str, Any], display_name: str | None = None, number: int | None = None
) -> Run:
    """Make a run of a sweep that waits for an agent.

    Args:
        config: arguments as on the wire, `{"lr": {"value": 1e-5}}`.
        number: how many runs the sweep has had, with this one, if it is known already.
    """
    with store.write():
        number = number or runs.next_number(store, sweep.project_id, sweep.id)
        run = runs.create_pending(
            store,
            sweep.project_id,
            names.run_id(),
            sweep_id=sweep.id,
            display_name=display_name or names.display_name(number, sweep=True),
            args=config,
        )
        # Until the client posts its own, the run's config is what it was issued: searches elsewhere read it.
        runs.update(store, run.id, config_json=json.dumps(config))
    return run


def _answer(
    store: Store, agent: Agent, sweep: Sweep, reported: Collection[str], found: Found | None
) -> list[Command] | Question:
    stopping = {name for name in reported if (r := runs.get(store, sweep.project_id, name)) and r.stop_requested}
    answer = states.answer(sweep.state, reported, stopping)
    if answer.verb == "next":
        return _exit(store, agent) if failed.dismissed(store, agent) else _next(store, agent, sweep, found)
    if answer.verb == "exit":
        # What was under way when its sweep was finished, or stopped, comes to its end, elsewhere if need be.
        queued = _queued(store, sweep) if sweep.state == "FINISHED" else None
        if queued is not None and queued.state == "preempted":
            return _issue(store, agent, sweep, trials.spec_of(sweep.config), queued)
        return _exit(store, agent)
    return [{"type": "stop", "run_id": name} for name in answer.runs]


def _exit(store: Store, agent: Agent) -> list[Command]:
    if agents.has_open_runs(store, agent.id):
        # A run of its own is gone without a word, and ends here after the grace: the sweep leaves none behind.
        return []
    agents.set_state(store, agent.id, "FINISHED")
    return [{"type": "exit"}]


def _next(store: Store, agent: Agent, sweep: Sweep, found: Found | None) -> list[Command] | Question:
    """The next trial as a command; `exit` and a finished sweep if there is none; nothing if there may be one later.

    A question, if the search computes for long and its answer was not `found` yet.
    """
    spec = trials.spec_of(sweep.config)
    kept = ledger(store, sweep)
    if returned := agents.returned_runs(store, sweep.id):
        kept = kept.without(returned)
    queued = _queued(store, sweep)
    if queued is not None and queued.state == "preempted":
        return _issue(store, agent, sweep, spec, queued)
    searched = spec is not None and spec.controller != "local" and not spec.engine
    times = retries(spec) if spec is not None and searched else 0
    if times and (commands := _retry(store, agent, sweep, kept, own=False)):
        return commands
    if not _capped(spec, kept, by_point=times > 0):
        if queued is not None:
            return _issue(store, agent, sweep, spec, queued)
        if spec is None or not searched:
            return []
        number = runs.next_number(store, sweep.project_id, sweep.id)
        told, of = [*kept.trials.values(), *kept.prior], (sweep.name, sweep.config, number)
        if spec.method != "bayes":
            found = Found(of, suggest(spec, told, sweep.seed, number - 1, kept.taken.keys))
        elif found is None or found.of != of:
            return Question(of, spec, told, sweep.seed, number - 1, set(kept.taken.keys))
        if suggestion := found.suggestion:
            run = enqueue(store, sweep, trials.wrapped(suggestion.params), number=number)
            return _issue(store, agent, sweep, spec, run)
    if times and (commands := _retry(store, agent, sweep, kept, own=True)):
        return commands
    known = kept.outlines.values()
    if any(run.state == "pending" and run.agent_id is not None for run in known):
        # One of these may never start, and give its place back.
        return []
    if times and any(run.state in states.OPEN_RUN for run in known):
        # One of these may fail: one agent waits to try it again, and it is not this one if another does already.
        return _exit(store, agent) if agents.running(store, sweep.id, idle=True) - {agent.id} else []
    _finish(store, sweep)
    return _exit(store, agent)


def _queued(store: Store, sweep: Sweep) -> Run | None:
    """The run that waits for an agent; one that was preempted before all others."""
    return runs.by_id(store, agents.queued_run(store, sweep.id) or 0)


def _retry(store: Store, agent: Agent, sweep: Sweep, kept: Ledger, *, own: bool) -> list[Command]:
    """A trial that failed, again: as a run of its own, so that what the first one logged stays as it is."""
    spec = trials.spec_of(sweep.config)
    assert spec is not None
    known, told = list(kept.outlines.values()), list(kept.trials.values())
    again = failed.to_try_again(store, agent, known, told, retries(spec), own=own)
    if again is None or again.args_json is None:
        return []
    run = enqueue(store, sweep, json.loads(again.args_json))
    failed.note_of_retry(store, run, again)
    return _issue(store, agent, sweep, spec, run)


def _capped(spec: SweepSpec | None, kept: Ledger, *, by_point: bool) -> bool:
    """Whether as many runs as the sweep may have were given out; `by_point`, all runs of a point count as one."""
    if spec is None or spec.run_cap is None:
        return False
    given = {kept.trials[row].key for row in kept.given} if by_point else kept.given
    return len(given) >= spec.run_cap


def _finish(store: Store, sweep: Sweep) -> None:
    sweeps.set_state(store, sweep.id, "FINISHED", only_from=states.OPEN_SWEEP)
    _drop_queue(store, sweep)


def _drop_queue(store: Store, sweep: Sweep) -> None:
    """End the runs that still wait for an agent: a sweep that is over has none to give."""
    for run_id in agents.unassigned_runs(store, sweep.id):
        runs.update(store, run_id, state="killed", finished_at=store.now())


def _issue(store: Store, agent: Agent, sweep: Sweep, spec: SweepSpec | None, run: Run | None) -> list[Command]:
    assert run is not None
    assert run.args_json is not None
    again = run.state == "preempted"
    if again:
        runs.update(store, run.id, state="pending", finished_at=None)
    agents.assign(store, agent.id, run.id)
    sweeps.set_state(store, sweep.id, "RUNNING", only_from={"PENDING"})
    return [
        {
            "type": "resume" if again else "run",
            "run_id": run.name,
            "program": (spec.program if spec else None) or "",
            "args": json.loads(run.args_json),
        }
    ]
