"""A sweep whose search runs in `wandb controller`, on its user's machine."""

import json

import pytest

from cola_sweep.server import controller
from cola_sweep.server.graphql import Refused
from cola_sweep.server.store import Store, sweeps
from tests.server.test_dispatch import ask, begin, end, join, make_sweep


def test_a_local_controller_schedules_and_stops(store: Store) -> None:
    sweep = make_sweep(store, "{controller: {type: local}, method: random, parameters: {a: {value: 1}}}")
    agent = join(store, sweep)
    assert ask(store, agent) == [], "the server proposes nothing by itself"
    entry = {"id": "x", "data": {"args": {"a": {"value": 3}}}}
    for _ in range(2):  # what is scheduled twice is made once
        controller.obey(store, sweeps.by_id(store, sweep.id) or sweep, json.dumps({"schedule": [entry]}))
    (command,) = ask(store, agent)
    assert command["args"] == {"a": {"value": 3}}
    fresh = sweeps.by_id(store, sweep.id)
    assert fresh is not None
    assert json.loads(fresh.scheduler or "") == {"scheduled": [{"id": "x", "runid": command["run_id"]}]}
    begin(store, command["run_id"])
    controller.obey(store, fresh, json.dumps({"earlystop": [command["run_id"], "unknown"]}))
    assert ask(store, agent, command["run_id"]) == [{"type": "stop", "run_id": command["run_id"]}]
    end(store, command["run_id"], "killed")
    controller.obey(store, fresh, json.dumps({"schedule": [{"id": "y", "data": {"args": None}}]}))
    assert ask(store, agent) == [{"type": "exit"}]
    with pytest.raises(Refused):
        controller.obey(store, fresh, '{"schedule": [1]}')
