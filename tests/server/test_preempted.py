"""Preempted trials go to the head of the queue, and whichever agent asks next takes them up."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cola_sweep.server import dispatch
from cola_sweep.server.store import Store, agents, runs, sweeps
from cola_sweep.server.store.sweeps import Sweep
from tests.server.test_dispatch import ask, begin, end, find, join, make_sweep, state_of

EXIT = [{"type": "exit"}]


def grid(store: Store, cells: int, more: str = "") -> Sweep:
    return make_sweep(store, f"{{method: grid, {more} parameters: {{a: {{values: {list(range(cells))}}}}}}}")


def preempt(store: Store, agent: int) -> str:
    """The agent's next trial begins and is preempted, and the agent with it."""
    (command,) = ask(store, agent)
    begin(store, command["run_id"])
    end(store, command["run_id"], "preempted")
    return str(command["run_id"])


def fresh(store: Store, sweep: Sweep) -> Sweep:
    found = sweeps.by_id(store, sweep.id)
    assert found is not None
    return found


def kinds(commands: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(command["type"], command.get("run_id", "")) for command in commands]


def test_other_agents_take_them_up_oldest_first_before_anything_else(store: Store) -> None:
    sweep = grid(store, 9)
    gone, first, second, third = (join(store, sweep) for _ in range(4))
    lost = [ask(store, gone)[0]["run_id"], ask(store, first)[0]["run_id"]]
    queued = dispatch.enqueue(store, sweep, {"a": {"value": 7}})
    for name in reversed(lost):
        begin(store, name)
        end(store, name, "preempted")
    assert kinds(ask(store, second)) == [("resume", lost[0])]
    assert kinds(ask(store, third)) == [("resume", lost[1])]
    assert kinds(ask(store, join(store, sweep))) == [("run", queued.name)]
    assert find(store, lost[0]).agent_id == second


def test_they_come_before_failed_ones_and_beyond_the_cap(store: Store) -> None:
    sweep = make_sweep(store, "{method: random, run_cap: 2, parameters: {a: {min: 0.0, max: 1.0}, _retry: {value: 1}}}")
    one, other = join(store, sweep), join(store, sweep)
    failed = ask(store, one)[0]["run_id"]
    begin(store, failed)
    end(store, failed, "failed")
    lost = preempt(store, one)
    assert kinds(ask(store, other)) == [("resume", lost)]
    begin(store, lost)
    (again,) = ask(store, join(store, sweep))
    assert (again["type"], again["args"]) == ("run", {"a": again["args"]["a"], "_retry": {"value": 1}})
    assert runs.of_sweep(store, sweep.id)[0].args_json == runs.of_sweep(store, sweep.id)[-1].args_json


def test_one_of_many_agents_gets_it(store: Store) -> None:
    sweep = grid(store, 1)
    lost = preempt(store, join(store, sweep))
    waiting = [join(store, sweep) for _ in range(4)]
    with ThreadPoolExecutor(len(waiting)) as pool:
        answers = [commands for commands in pool.map(lambda agent: ask(store, agent), waiting) if commands]
    assert [kinds(commands) for commands in answers] == [[("resume", lost)]], "the rest wait whether it starts"


@pytest.mark.parametrize("more", ["", "_retry: {value: 1}, "])
def test_one_that_joined_by_itself_is_nobodys_and_keeps_no_agent_waiting(store: Store, more: str) -> None:
    sweep = make_sweep(store, f"{{method: grid, parameters: {{{more}a: {{values: [1]}}}}}}")
    agent = join(store, sweep)
    runs.create(store, sweep.project_id, "guest", state="preempted", display_name="g", sweep_id=sweep.id)
    (command,) = ask(store, agent)
    assert command["type"] == "run"
    begin(store, command["run_id"])
    end(store, command["run_id"], "finished")
    assert kinds(ask(store, agent)) == [("exit", "")]
    assert (find(store, "guest").state, fresh(store, sweep).state) == ("preempted", "FINISHED")


def test_it_may_be_preempted_again_and_again(store: Store) -> None:
    sweep = grid(store, 1)
    lost = {preempt(store, join(store, sweep)) for _ in range(5)}
    assert len(lost) == 1
    last = join(store, sweep)
    (command,) = ask(store, last)
    begin(store, command["run_id"])
    end(store, command["run_id"])
    assert ask(store, last) == EXIT
    assert (state_of(store, sweep), sweeps.run_count(store, sweep.id)) == ("FINISHED", 1)


@pytest.mark.parametrize("how", ["no more points", "--stop"])
def test_one_that_was_under_way_when_its_sweep_finished_is_still_taken_up(store: Store, how: str) -> None:
    sweep = grid(store, 1 if how == "no more points" else 9)
    busy, idle = join(store, sweep), join(store, sweep)
    name = ask(store, busy)[0]["run_id"]
    begin(store, name)
    if how == "--stop":
        dispatch.set_sweep_state(store, fresh(store, sweep), "FINISHED")
    assert ask(store, idle) == EXIT
    end(store, name, "preempted")
    late = join(store, sweep)
    assert kinds(ask(store, late)) == [("resume", name)]
    begin(store, name)
    end(store, name)
    assert ask(store, late) == EXIT
    assert state_of(store, sweep) == "FINISHED"


def test_a_canceled_sweep_gives_it_up_and_a_paused_one_keeps_it(store: Store) -> None:
    sweep = grid(store, 9)
    agent = join(store, sweep)
    lost = preempt(store, agent)
    dispatch.set_sweep_state(store, fresh(store, sweep), "PAUSED")
    assert ask(store, agent) == []
    dispatch.set_sweep_state(store, fresh(store, sweep), "CANCELED")
    assert ask(store, agent) == EXIT
    assert find(store, lost).state == "killed"


def test_one_that_falls_silent_while_it_is_preempted_is_taken_up_too(store: Store) -> None:
    sweep = grid(store, 1)
    agent = join(store, sweep)
    name = ask(store, agent)[0]["run_id"]
    begin(store, name)
    runs.update(store, name_id := find(store, name).id, state="preempting")
    agents.report(store, agent, set())
    with store.write() as db:
        db.execute("UPDATE assignments SET gone_at = '2000-01-01T00:00:00.000000' WHERE run_id = ?", (name_id,))
    assert kinds(ask(store, join(store, sweep))) == [("resume", name)]
