"""What agents are told, over a real store and a clock that the test moves."""

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cola_sweep.server import dispatch, states
from cola_sweep.server.store import Store, agents, projects, runs, streams, sweeps
from cola_sweep.server.store.runs import Run
from cola_sweep.server.store.sweeps import Sweep
from tests.server.conftest import Clock

GRID = "{method: grid, metric: {name: m, goal: maximize}, parameters: {a: {values: [1.0, 2.0]}}}"


def make_sweep(store: Store, config: str = GRID) -> Sweep:
    project = projects.ensure(store, "ada", "p")
    return sweeps.create(store, project.id, "s1", config=config, method="grid", state="PENDING", seed=0)


def join(store: Store, sweep: Sweep) -> int:
    return agents.create(store, sweep.id, f"agent{len(agents.of_sweep(store, sweep.id))}", "host").id


def ask(store: Store, agent: int, *live: str) -> list[dict[str, Any]]:
    return dispatch.heartbeat(store, agent, set(live))


def begin(store: Store, name: str) -> Run:
    """The run's own process speaks for the first time."""
    run = find(store, name)
    runs.update(store, run.id, state="running", heartbeat_at=store.now())
    return find(store, name)


def log(store: Store, name: str, *values: float, summary: dict[str, Any] | None = None) -> None:
    """The run's process logs values of the metric."""
    run = find(store, name)
    lines = [json.dumps({"m": value, "_step": i}) for i, value in enumerate(values)]
    streams.write_lines(store, run.id, "history", run.history_lines, lines)
    runs.update(store, run.id, heartbeat_at=store.now(), summary_json=json.dumps(summary or {"m": values[-1]}))
    dispatch.on_stream(store, find(store, name), {"files": {"wandb-history.jsonl": {}}})


def end(store: Store, name: str, state: str = "finished") -> None:
    runs.update(store, find(store, name).id, state=state, finished_at=store.now())


def find(store: Store, name: str) -> Run:
    project = projects.ensure(store, "ada", "p")
    run = runs.get(store, project.id, name)
    assert run is not None
    return run


def state_of(store: Store, sweep: Sweep) -> str:
    fresh = sweeps.by_id(store, sweep.id)
    assert fresh is not None
    return fresh.state


def test_a_grid_from_first_trial_to_exit(store: Store) -> None:
    sweep = make_sweep(store, GRID.replace("{method", "{program: train.py, method"))
    agent = join(store, sweep)
    (first,) = ask(store, agent)
    assert first == {"type": "run", "run_id": first["run_id"], "program": "train.py", "args": {"a": {"value": 1.0}}}
    assert state_of(store, sweep) == "RUNNING"
    run = begin(store, first["run_id"])
    assert (run.sweep_id, run.agent_id, run.config_json) == (sweep.id, agent, '{"a": {"value": 1.0}}')
    assert ask(store, agent, run.name) == [], "one trial at a time"
    end(store, run.name)
    (second,) = ask(store, agent)
    assert second["args"] == {"a": {"value": 2.0}}
    begin(store, second["run_id"])
    end(store, second["run_id"])
    assert ask(store, agent) == [{"type": "exit"}]
    assert state_of(store, sweep) == "FINISHED"
    assert [a.state for a in agents.of_sweep(store, sweep.id)] == ["FINISHED"]


def test_the_search_sees_what_was_issued_and_not_what_the_client_posted(store: Store) -> None:
    sweep = make_sweep(store)
    agent = join(store, sweep)
    for _ in range(2):
        (command,) = ask(store, agent)
        run = begin(store, command["run_id"])
        runs.update(store, run.id, config_json='{"a": {"value": 7}}')
        end(store, run.name)
    assert ask(store, agent) == [{"type": "exit"}]


def test_agents_asking_at_once_never_get_the_same_cell(store: Store) -> None:
    sweep = make_sweep(store, GRID.replace("[1.0, 2.0]", str(list(range(12)))))
    ids = [join(store, sweep) for _ in range(4)]

    def work(agent: int) -> list[int]:
        cells = []
        while True:
            commands = ask(store, agent)
            if commands == [{"type": "exit"}]:
                return cells
            for command in commands:
                cells.append(command["args"]["a"]["value"])
                begin(store, command["run_id"])
                end(store, command["run_id"])

    with ThreadPoolExecutor(len(ids)) as pool:
        given = [cell for cells in pool.map(work, ids) for cell in cells]
    assert sorted(given) == list(range(12))


def test_nested_parameters_stay_nested_under_one_value(store: Store) -> None:
    agent = join(
        store, make_sweep(store, "{method: grid, parameters: {o: {parameters: {lr: {value: 1}, b: {value: 2}}}}}")
    )
    assert ask(store, agent)[0]["args"] == {"o": {"value": {"lr": 1, "b": 2}}}


def test_an_agent_of_a_deleted_sweep_is_unknown(store: Store) -> None:
    with pytest.raises(dispatch.NoSuchAgent):
        ask(store, 99)


def test_a_canceled_sweep_stops_its_runs_before_it_lets_agents_go(store: Store, clock: Clock) -> None:
    sweep = make_sweep(store)
    agent = join(store, sweep)
    name = ask(store, agent)[0]["run_id"]
    begin(store, name)
    assert ask(store, agent, name) == []
    dispatch.set_sweep_state(store, sweep, "CANCELED")
    assert find(store, name).stop_reason == "the sweep was canceled"
    assert ask(store, agent, name) == ask(store, agent, name) == [{"type": "stop", "run_id": name}]
    assert ask(store, agent) == [], "the run may still say how it ended"
    clock.advance(states.GRACE + 1)
    assert ask(store, agent) == [{"type": "exit"}]
    assert find(store, name).state == "killed"


def test_a_paused_sweep_lets_trials_go_on_and_gives_none(store: Store) -> None:
    sweep = make_sweep(store)
    agent = join(store, sweep)
    name = ask(store, agent)[0]["run_id"]
    begin(store, name)
    dispatch.set_sweep_state(store, sweep, "PAUSED")
    assert ask(store, agent, name) == []
    end(store, name)
    assert ask(store, agent) == []
    fresh = sweeps.by_id(store, sweep.id)
    assert fresh is not None
    dispatch.set_sweep_state(store, fresh, "RUNNING")
    assert ask(store, agent)[0]["args"] == {"a": {"value": 2.0}}


def test_a_stopped_sweep_lets_the_trial_end(store: Store) -> None:
    sweep = make_sweep(store)
    agent = join(store, sweep)
    name = ask(store, agent)[0]["run_id"]
    begin(store, name)
    dispatch.set_sweep_state(store, sweep, "FINISHED")
    assert ask(store, agent, name) == []
    end(store, name)
    assert ask(store, agent) == [{"type": "exit"}]


def test_a_run_that_vanishes_has_crashed_and_its_late_end_counts(store: Store, clock: Clock) -> None:
    agent = join(store, make_sweep(store))
    name = ask(store, agent)[0]["run_id"]
    begin(store, name)
    ask(store, agent, name)
    ask(store, agent)
    clock.advance(states.GRACE - 1)
    dispatch.expire(store)
    assert find(store, name).state == "running"
    clock.advance(2)
    dispatch.expire(store)
    assert find(store, name).state == "crashed"
    assert find(store, name).finished_at == store.now()


def test_a_run_that_is_listed_again_has_not_vanished(store: Store, clock: Clock) -> None:
    sweep = make_sweep(store)
    agent = join(store, sweep)
    name = ask(store, agent)[0]["run_id"]
    begin(store, name)
    dispatch.set_sweep_state(store, sweep, "PAUSED")
    ask(store, agent)
    ask(store, agent, name)
    clock.advance(states.GRACE + 1)
    dispatch.expire(store)
    assert find(store, name).state == "running"


def test_a_trial_whose_answer_was_lost_goes_to_the_next_agent(store: Store, clock: Clock) -> None:
    sweep = make_sweep(store, GRID.replace("[1.0, 2.0]", "[1.0]"))
    gone, waiting = join(store, sweep), join(store, sweep)
    name = ask(store, gone)[0]["run_id"]
    clock.advance(states.START_LIMIT - 1)
    assert ask(store, waiting) == [], "the pending run may free its cell, so the sweep is not finished"
    assert state_of(store, sweep) == "RUNNING"
    clock.advance(2)
    (again,) = ask(store, waiting)
    assert again["args"] == {"a": {"value": 1.0}}
    assert again["run_id"] != name
    assert find(store, name).state == "crashed"


def test_a_slow_start_that_the_agent_reports_is_waited_for(store: Store, clock: Clock) -> None:
    agent = join(store, make_sweep(store))
    name = ask(store, agent)[0]["run_id"]
    for _ in range(10):
        clock.advance(states.START_LIMIT / 2)
        assert ask(store, agent, name) == []
    assert find(store, name).state == "pending"


def test_silence_ends_runs_and_agents_by_the_clock(store: Store, clock: Clock) -> None:
    sweep = make_sweep(store)
    busy, idle = join(store, sweep), join(store, sweep)
    name = ask(store, busy)[0]["run_id"]
    begin(store, name)
    alone = runs.create(store, sweep.project_id, "alone", state="running", display_name="x")
    preempting = runs.create(store, sweep.project_id, "moved", state="preempting", display_name="x")
    clock.advance(states.AGENT_SILENCE + 1)
    dispatch.expire(store)
    assert [a.state for a in agents.of_sweep(store, sweep.id)] == ["CRASHED", "FINISHED"]
    assert find(store, name).state == "running"
    clock.advance(states.RUN_SILENCE)
    dispatch.expire(store)
    assert [find(store, n).state for n in (name, alone.name, preempting.name)] == ["crashed", "crashed", "preempted"]
    ask(store, idle)
    assert [a.state for a in agents.of_sweep(store, sweep.id)] == ["CRASHED", "RUNNING"]


def test_a_run_that_was_killed_with_its_agent_for_not_stopping_is_not_waited_for(store: Store, clock: Clock) -> None:
    sweep = make_sweep(store, "{method: random, parameters: {a: {min: 0.0, max: 1.0}}}")
    agent, other = join(store, sweep), join(store, sweep)
    stopped, left = ask(store, agent)[0]["run_id"], ask(store, other)[0]["run_id"]
    begin(store, stopped), begin(store, left)
    runs.request_stop(store, find(store, stopped).id, "enough")
    assert ask(store, agent, stopped) == [{"type": "stop", "run_id": stopped}]  # and neither is heard of again
    clock.advance(states.STOPPED_SILENCE - 1)
    dispatch.expire(store)
    assert find(store, stopped).state == "running"
    clock.advance(2)
    dispatch.expire(store)
    assert [find(store, name).state for name in (stopped, left)] == ["killed", "running"]


def test_a_preempted_run_is_resumed_first(store: Store) -> None:
    agent = join(store, make_sweep(store))
    name = ask(store, agent)[0]["run_id"]
    begin(store, name)
    end(store, name, "preempted")
    (command,) = ask(store, agent)
    assert (command["type"], command["run_id"], command["args"]) == ("resume", name, {"a": {"value": 1.0}})
    assert find(store, name).state == "pending"


def test_run_cap_counts_what_started_or_may_start(store: Store, clock: Clock) -> None:
    config = "{method: random, run_cap: 1, parameters: {a: {min: 0.0, max: 1.0}}}"
    sweep = make_sweep(store, config)
    first, second = join(store, sweep), join(store, sweep)
    name = ask(store, first)[0]["run_id"]
    assert ask(store, second) == []
    clock.advance(states.START_LIMIT + 1)
    (replacement,) = ask(store, second)
    assert replacement["run_id"] != name
    begin(store, replacement["run_id"])
    assert ask(store, first) == [{"type": "exit"}]
    assert state_of(store, sweep) == "FINISHED"


def test_reaching_the_target_finishes_the_sweep(store: Store) -> None:
    sweep = make_sweep(store, GRID.replace("maximize", "maximize, target: 0.5"))
    agent = join(store, sweep)
    name = ask(store, agent)[0]["run_id"]
    begin(store, name)
    log(store, name, 0.4)
    assert state_of(store, sweep) == "RUNNING"
    log(store, name, 0.2, summary={"m": {"max": 0.5}})
    assert state_of(store, sweep) == "FINISHED"
    assert ask(store, agent, name) == [], "the run itself goes on"


def test_hyperband_stops_a_run_with_its_reason(store: Store) -> None:
    rule = "early_terminate: {type: hyperband, min_iter: 2, eta: 2, strict: true}, parameters"
    sweep = make_sweep(store, GRID.replace("parameters", rule))
    good, bad = join(store, sweep), join(store, sweep)
    ahead, behind = ask(store, good)[0]["run_id"], ask(store, bad)[0]["run_id"]
    for name in (ahead, behind):
        begin(store, name)
    log(store, ahead, 0.5, 0.6)
    log(store, behind, 0.1)
    assert ask(store, bad, behind) == []
    log(store, behind, 0.2)
    assert ask(store, bad, behind) == [{"type": "stop", "run_id": behind}]
    assert find(store, behind).stop_reason == "hyperband: 0.2 is behind 0.6 at rung 2"
    assert not find(store, ahead).stop_requested


def test_what_runs_reached_is_kept_and_made_anew_when_their_lines_or_the_rule_change(store: Store) -> None:
    rule = "early_terminate: {type: hyperband, min_iter: 2, eta: 2, strict: true}, parameters"
    sweep = make_sweep(store, GRID.replace("parameters", rule))
    for name, values in (("ahead", (0.5, 0.6)), ("behind", (0.1,))):
        runs.create(store, sweep.project_id, name, state="running", display_name=name, sweep_id=sweep.id)
        log(store, name, *values)
    # A client that sends its lines again may change them.
    streams.write_lines(store, find(store, "ahead").id, "history", 0, [json.dumps({"m": v}) for v in (0.5, 0.05)])
    log(store, "behind", 0.2)
    assert find(store, "behind").stop_reason == "hyperband: 0.2 is behind 0.5 at rung 2"
    streams.rewind(store, find(store, "ahead").id, -1)
    runs.update(store, find(store, "behind").id, stop_requested=0, stop_reason=None)
    log(store, "behind", 0.2)
    assert find(store, "behind").stop_reason is None, "nobody else is at the rung any longer"
    sweeps.update(store, sweep.id, config=sweep.config.replace("name: m", "name: other"))
    log(store, "ahead", 0.9, 0.9)
    log(store, "behind", 0.1)
    assert find(store, "behind").stop_reason is None, "nobody has logged the new metric"


def test_a_local_schedulers_runs_are_given_out_in_order(store: Store) -> None:
    sweep = make_sweep(store, "{scheduler: {engine: optuna}, metric: {name: m}}")
    agent = join(store, sweep)
    assert ask(store, agent) == []
    queued = [dispatch.enqueue(store, sweep, {"a": {"value": i}}, f"trial {i}") for i in range(2)]
    (command,) = ask(store, agent)
    assert (command["run_id"], command["args"]) == (queued[0].name, {"a": {"value": 0}})
    assert find(store, queued[1].name).display_name == "trial 1"
    assert json.loads(find(store, queued[1].name).config_json) == {"a": {"value": 1}}


def test_an_enqueued_run_waits_for_an_agent_as_long_as_it_takes(store: Store, clock: Clock) -> None:
    sweep = make_sweep(store)
    queued = dispatch.enqueue(store, sweep, {"a": {"value": 9}})
    clock.advance(states.START_LIMIT * 100)
    dispatch.expire(store)
    assert ask(store, join(store, sweep))[0]["run_id"] == queued.name


def test_a_cap_holds_for_queued_runs_and_the_rest_is_dropped(store: Store) -> None:
    sweep = make_sweep(store, "{scheduler: {engine: optuna}, metric: {name: m}, run_cap: 1}")
    agent = join(store, sweep)
    queued = [dispatch.enqueue(store, sweep, {"a": {"value": i}}).name for i in range(2)]
    ask(store, agent)
    begin(store, queued[0])
    end(store, queued[0])
    assert ask(store, agent) == [{"type": "exit"}]
    assert (state_of(store, sweep), find(store, queued[1]).state) == ("FINISHED", "killed")


@pytest.mark.parametrize("wanted", ["FINISHED", "CANCELED", "PAUSED"])
def test_a_sweep_that_is_over_drops_its_queue(store: Store, wanted: str) -> None:
    sweep = make_sweep(store)
    queued = dispatch.enqueue(store, sweep, {"a": {"value": 1.0}})
    dispatch.set_sweep_state(store, sweep, wanted)
    assert find(store, queued.name).state == ("pending" if wanted == "PAUSED" else "killed")


def test_prior_runs_teach_the_search(store: Store) -> None:
    sweep = make_sweep(store)
    prior = runs.create(store, sweep.project_id, "before", state="finished", display_name="x", heartbeat_at=store.now())
    runs.update(store, prior.id, config_json='{"a": {"value": 1}}')
    sweeps.add_prior_runs(store, sweep.id, [prior.id, prior.id])
    assert [run.name for run in sweeps.prior_runs(store, sweep.id)] == ["before"]
    assert ask(store, join(store, sweep))[0]["args"] == {"a": {"value": 2.0}}
    assert sweeps.run_count(store, sweep.id) == 1


def test_a_deleted_failed_run_frees_its_cell(store: Store) -> None:
    agent = join(store, make_sweep(store))
    name = ask(store, agent)[0]["run_id"]
    begin(store, name)
    end(store, name, "failed")
    runs.delete(store, find(store, name).id)
    assert ask(store, agent)[0]["args"] == {"a": {"value": 1.0}}


def test_the_search_goes_on_after_a_restart(store: Store) -> None:
    sweep = make_sweep(store, "{method: random, parameters: {a: {min: 0.0, max: 1.0}}}")
    told = []
    for _ in range(2):
        other = Store(store.path, store.clock)
        told.append(ask(other, join(other, sweep))[0]["args"])
        other.close()
    assert told[0] != told[1]
