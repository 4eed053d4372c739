"""Trials that fail: tried again as the sweep says, and agents whose machine is at fault sent away."""

import json
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.server import dispatch, failed, states
from cola_sweep.server.search import placed, suggest
from cola_sweep.server.search.trials import ATTEMPTS, Trial, to_repeat
from cola_sweep.server.store import Store, agents, runs, streams
from cola_sweep.server.store.runs import Run
from cola_sweep.server.store.sweeps import Sweep
from cola_sweep.space import read_mapping
from tests.server.conftest import Clock
from tests.server.test_dispatch import ask, begin, end, find, join, make_sweep, state_of

EXIT = [{"type": "exit"}]


def grid(store: Store, *, retry: int = 0, cells: int = 2, **more: Any) -> Sweep:
    parameters = {"a": {"values": list(range(cells))}} | ({"_retry": {"value": retry}} if retry else {})
    return make_sweep(store, json.dumps({"method": "grid", "parameters": parameters, **more}))


def start(store: Store, agent: int) -> Run:
    """The agent is given a trial, which begins."""
    (command,) = ask(store, agent)
    assert command["type"] == "run"
    return begin(store, command["run_id"])


def cell(run: Run) -> int:
    return int(json.loads(run.args_json or "")["a"]["value"])


def step(store: Store, run: Run) -> None:
    streams.write_lines(store, run.id, "history", 0, ['{"m": 1, "_step": 0}'])


def fail(store: Store, run: Run, why: str = "OSError: disk full") -> None:
    runs.update(store, run.id, summary_json=json.dumps({"failure": why}), exitcode=1)
    end(store, run.name, "failed")


def agent_of(store: Store, agent: int) -> agents.Agent:
    found = agents.by_id(store, agent)
    assert found is not None
    return found


def test_a_failed_trial_is_a_new_run_of_the_same_point_that_says_why(store: Store) -> None:
    agent = join(store, grid(store, retry=1))
    first = start(store, agent)
    fail(store, first)
    again = start(store, agent)
    assert (cell(again), again.id != first.id) == (0, True)
    assert again.notes == f"again after {first.display_name} ({first.name}) failed: OSError: disk full"
    assert find(store, first.name).state == "failed", "with all that it logged"


@pytest.mark.parametrize("times", [0, 1, 3])
def test_it_is_tried_so_often_and_then_given_up(store: Store, times: int) -> None:
    sweep = grid(store, retry=times, cells=1)
    agent = join(store, sweep)
    for _ in range(times + 1):
        fail(store, start(store, agent))
    assert ask(store, agent) == EXIT
    assert state_of(store, sweep) == "FINISHED"


@pytest.mark.parametrize("state", ["failed", "crashed"])
def test_what_crashed_is_tried_again_too_and_what_was_stopped_is_not(store: Store, state: str) -> None:
    agent = join(store, grid(store, retry=1))
    end(store, start(store, agent).name, state)
    again = start(store, agent)
    runs.request_stop(store, again.id, "by hand")
    end(store, again.name, "killed")
    assert cell(start(store, agent)) == 1


def test_another_agent_tries_it_where_there_is_one_and_nobody_idles_over_that(store: Store, clock: Clock) -> None:
    sweep = grid(store, retry=1, cells=3)
    unlucky, other = join(store, sweep), join(store, sweep)
    lost = start(store, unlucky)
    fail(store, lost)
    assert cell(start(store, unlucky)) == 1, "a fresh point for the one that failed"
    again = start(store, other)
    assert cell(again) == 0
    fail(store, again)
    assert cell(start(store, other)) == 2


def test_the_last_failure_is_tried_by_whoever_is_left(store: Store) -> None:
    sweep = grid(store, retry=1, cells=2)
    unlucky, other = join(store, sweep), join(store, sweep)
    busy = start(store, other)
    fail(store, start(store, unlucky))
    assert cell(start(store, unlucky)) == 1, "the other is busy, and the space has no more points"
    end(store, busy.name)


def test_one_agent_waits_for_the_trials_that_may_fail_and_the_rest_may_go(store: Store) -> None:
    sweep = grid(store, retry=1, cells=1)
    busy, spare, more = (join(store, sweep) for _ in range(3))
    run = start(store, busy)
    assert ask(store, more) == EXIT, "another is idle"
    assert ask(store, spare) == []
    assert state_of(store, sweep) == "RUNNING"
    fail(store, run)
    again = start(store, spare)
    assert cell(again) == 0
    end(store, again.name)
    assert ask(store, spare) == EXIT
    assert state_of(store, sweep) == "FINISHED"


def test_without_retries_nobody_waits_for_a_running_trial(store: Store) -> None:
    sweep = grid(store, cells=1)
    busy, idle = join(store, sweep), join(store, sweep)
    start(store, busy)
    assert ask(store, idle) == EXIT


def test_a_cap_counts_points_and_not_the_times_they_were_tried(store: Store) -> None:
    sweep = make_sweep(store, "{method: random, run_cap: 2, parameters: {a: {min: 0.0, max: 1.0}, _retry: {value: 2}}}")
    agent = join(store, sweep)
    for _ in range(2):
        fail(store, start(store, agent))
    end(store, start(store, agent).name)
    end(store, start(store, agent).name)
    assert ask(store, agent) == EXIT
    points = Counter(run.args_json for run in runs.of_sweep(store, sweep.id))
    assert sorted(points.values()) == [1, 3]


@given(st.lists(st.sampled_from(["complete", "failed", "unstarted"]), max_size=40), st.integers(0, 2))
def test_any_outcomes_leave_each_cell_done_or_tried_often_enough(outcomes: list[Any], times: int) -> None:
    spec = read_mapping({"method": "grid", "parameters": {"a": {"values": [1, 2, 3]}}})
    trials: list[Trial] = []
    for outcome in [*outcomes, *["complete"] * 20]:
        if points := to_repeat(trials, times):
            params: Any = trials[points[0][-1]].params
        elif suggestion := suggest(spec, trials, 0):
            params = suggestion.params
        else:
            break
        trials.append(placed(spec, params, outcome))
    by_cell = {value: [trial.state for trial in trials if trial.params["a"] == value] for value in (1, 2, 3)}
    for ends in by_cell.values():
        assert ends.count("complete") <= 1
        assert ends.count("complete") == 1 or ends.count("failed") == times + 1 or ends.count("unstarted") >= ATTEMPTS
        assert ends.count("failed") <= times + 1


def two_agents(store: Store, cells: int = 9) -> tuple[Sweep, int, int]:
    """A sweep with an agent whose trial has come to its first step, and another."""
    sweep = grid(store, cells=cells)
    good, bad = join(store, sweep), join(store, sweep)
    step(store, start(store, good))
    return sweep, good, bad


def test_an_agent_whose_trials_fail_alike_at_the_start_is_told_to_go_and_burns_nothing(store: Store) -> None:
    sweep, good, bad = two_agents(store)
    lost = []
    for _ in range(failed.FAULTS):
        lost.append(start(store, bad))
        fail(store, lost[-1])
    assert ask(store, bad) == EXIT
    assert ask(store, bad) == EXIT, "also where the first answer was lost"
    reason = agent_of(store, bad).exit_reason
    assert reason is not None
    assert reason.endswith("while others go on: OSError: disk full")
    for run in lost:
        assert find(store, run.name).notes == f"not counted, its agent was told to leave: {reason}"
    assert state_of(store, sweep) == "RUNNING"
    end(store, runs.of_sweep(store, sweep.id)[0].name)
    rest = []
    while (commands := ask(store, good)) != EXIT:
        rest.append(cell(begin(store, commands[0]["run_id"])))
        end(store, commands[0]["run_id"])
    assert rest == list(range(1, 9)), "the two points that it failed are tried elsewhere"
    assert state_of(store, sweep) == "FINISHED"


def test_why_an_agent_left_can_be_asked_for(store: Store, request: pytest.FixtureRequest) -> None:
    _, _, bad = two_agents(store)
    agents.dismiss(store, bad, "the last 2 trials ended alike")
    ask_server = request.getfixturevalue("ask")
    query = """{ project(name: "p", entityName: "ada") { sweep(sweepName: "s1") {
        agents { edges { node { exitReason } } } } } }"""
    edges = ask_server(query)["project"]["sweep"]["agents"]["edges"]
    assert [edge["node"]["exitReason"] for edge in edges] == [None, "the last 2 trials ended alike"]


def test_a_capped_sweep_does_not_count_them(store: Store) -> None:
    sweep = grid(store, cells=9, run_cap=3)
    good, bad = join(store, sweep), join(store, sweep)
    step(store, start(store, good))
    for _ in range(2):
        fail(store, start(store, bad))
    assert ask(store, bad) == EXIT
    late = join(store, sweep)
    for _ in range(2):
        end(store, start(store, late).name)
    assert ask(store, late) == EXIT


def test_a_trial_that_never_spoke_is_a_failure_like_another(store: Store, clock: Clock) -> None:
    _, _, bad = two_agents(store)
    for _ in range(failed.FAULTS):
        assert ask(store, bad)[0]["type"] == "run"
        vanish(store, bad, clock)
    assert ask(store, bad) == EXIT
    assert (agent_of(store, bad).exit_reason or "").endswith("it ended without a word")


def vanish(store: Store, agent: int, clock: Clock) -> None:
    """The agent's trial is gone from its list for longer than the grace."""
    agents.report(store, agent, set())
    clock.advance(states.GRACE + 1)
    dispatch.expire(store)


@pytest.mark.parametrize("case", ["different reasons", "a step", "alone", "elsewhere too", "stopped", "one only"])
def test_what_may_be_the_trials_own_fault_sends_nobody_away(store: Store, case: str) -> None:
    sweep, good, bad = two_agents(store)
    if case == "alone":
        agents.set_state(store, good, "CRASHED")
    if case == "elsewhere too":
        fail(store, start(store, join(store, sweep)))
    for number in range(1 if case == "one only" else failed.FAULTS):
        run = start(store, bad)
        if case == "a step":
            step(store, run)
        if case == "stopped":
            runs.request_stop(store, run.id, "by hand")
        fail(store, run, f"OSError {number}" if case == "different reasons" else "OSError: disk full")
    assert ask(store, bad)[0]["type"] == "run"
    assert agent_of(store, bad).exit_reason is None


@pytest.mark.parametrize(
    ("summary", "console", "exitcode", "expected"),
    [
        ({"failure": "TrialFailed: out of memory\nmore"}, [], 1, "TrialFailed: out of memory"),
        ({"failure": 0.5}, ["ERROR 2026-11-23T12:00:00 ValueError: x", "2026-11-23T12:00:01 bye"], 1, "ValueError: x"),
        ({}, ['{"ts": "t", "content": "KeyError: k", "level": "error"}', "ERROR   "], 1, "KeyError: k"),
        ({}, ["2026-11-23T12:00:00 fine"], 7, "exit code 7"),
        ({}, [], None, "it ended without a word"),
    ],
)
def test_the_reason_is_the_runs_own_word_or_its_last_line_of_error(
    store: Store, summary: dict[str, Any], console: list[str], exitcode: int | None, expected: str
) -> None:
    run = start(store, join(store, grid(store)))
    streams.write_lines(store, run.id, "console", 0, console)
    runs.update(store, run.id, summary_json=json.dumps(summary), exitcode=exitcode)
    assert failed.reason(store, find(store, run.name)) == expected
