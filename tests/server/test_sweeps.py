"""Sweeps and agents as the client asks for them."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from starlette.testclient import TestClient

from cola_sweep.server import ids
from cola_sweep.server.context import Context
from cola_sweep.server.store import Store, runs, sweeps
from tests.server.conftest import Clock

Ask = Callable[..., dict[str, Any]]

GRID = (
    "method: grid\nmetric: {name: m}\nparameters:\n  a: {values: [1, 2, 3]}\n  n: {parameters: {b: {values: [x, y]}}}\n"
)

# The newest of the wordings that the client tries in turn, with every input.
UPSERT = """
mutation UpsertSweep($id: ID, $config: String, $description: String, $entityName: String, $projectName: String,
    $controller: JSONString, $launchScheduler: JSONString, $templateVariableValues: JSONString,
    $scheduler: JSONString, $state: String, $priorRunsFilters: JSONString, $displayName: String) {
  upsertSweep(input: {id: $id, config: $config, description: $description, entityName: $entityName,
      projectName: $projectName, controller: $controller, launchScheduler: $launchScheduler,
      templateVariableValues: $templateVariableValues, scheduler: $scheduler, state: $state,
      priorRunsFilters: $priorRunsFilters, displayName: $displayName}) {
    sweep { id name state project { id name entity { id name } } }
    configValidationWarnings
  }
}"""

READ = """
query($sweep: String!, $specs: [JSONString!]!) { project(name: "p") { totalSweeps sweep(sweepName: $sweep) {
  id name method state description config displayName createdAt heartbeatAt updatedAt earlyStopJobRunning bestLoss
  controller scheduler runCount runCountExpected controllerRunName priorRuns { edges { node { id name } } }
  runs { edges { node { name state config exitcode heartbeatAt shouldStop failed stopped running summaryMetrics
    sampledHistory(specs: $specs) } } }
  agents { edges { node { id name host state totalRuns createdAt heartbeatAt } } }
} } }"""

JOIN = """mutation CreateAgent($host: String!, $sweep: String!) {
  createAgent(input: {host: $host, projectName: "p", entityName: null, sweep: $sweep}) { agent { id } } }"""

HEARTBEAT = """mutation Heartbeat($id: ID!, $metrics: JSONString, $runState: JSONString) {
  agentHeartbeat(input: {id: $id, metrics: $metrics, runState: $runState}) { agent { id } commands } }"""

ENQUEUE = """mutation EnqueueSweepRun($id: ID!, $config: JSONString!, $displayName: String) {
  enqueueSweepRun(input: {id: $id, config: $config, displayName: $displayName}) { id runQueueItemId } }"""


def make(ask: Ask, config: str = GRID, **more: Any) -> dict[str, Any]:
    given = {"config": config, "projectName": "p", "templateVariableValues": "null", "id": None, **more}
    return ask(UPSERT, **given)["upsertSweep"]  # type: ignore[no-any-return]


def read(ask: Ask, name: str) -> dict[str, Any]:
    # A bare text where a list is declared, as the client sends it.
    return ask(READ, sweep=name, specs="{}")["project"]["sweep"]  # type: ignore[no-any-return]


def join(ask: Ask, name: str) -> str:
    return ask(JOIN, host="h", sweep=name)["createAgent"]["agent"]["id"]  # type: ignore[no-any-return]


def beat(ask: Ask, agent: str, *live: str) -> list[dict[str, Any]]:
    answer = ask(HEARTBEAT, id=agent, metrics="{}", runState=json.dumps(dict.fromkeys(live, True)))
    return json.loads(answer["agentHeartbeat"]["commands"])  # type: ignore[no-any-return]


def refusal(client: TestClient, query: str, **variables: Any) -> str:
    """The message of an operation that must fail, with HTTP 200."""
    answer = client.post("/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200
    (error,) = answer.json()["errors"]
    return error["message"]  # type: ignore[no-any-return]


def test_a_new_sweep_makes_its_project_and_waits(ask: Ask) -> None:
    made = make(ask, description="why", displayName="mine")
    assert made["configValidationWarnings"] == []
    assert made["sweep"]["project"]["name"] == "p"
    sweep = read(ask, made["sweep"]["name"])
    expected = {"state": "PENDING", "method": "grid", "config": GRID, "description": "why", "displayName": "mine"}
    expected |= {"runCount": 0, "runCountExpected": 6, "bestLoss": None, "runs": {"edges": []}}
    assert {key: sweep[key] for key in expected} == expected


def test_a_seed_in_the_file_decides_the_search_and_another_option_is_refused(ask: Ask, client: TestClient) -> None:
    config = "method: random\nparameters: {lr: {min: 0.0, max: 1.0}, _search: {value: {seed: %d}}}"

    def drawn(seed: int) -> Any:
        agent = join(ask, make(ask, config % seed)["sweep"]["name"])
        return beat(ask, agent)[0]["args"]["lr"]["value"]

    assert drawn(1) == drawn(1) != drawn(2)
    message = refusal(client, UPSERT, config=(config % 1).replace("seed:", "sampler:"), projectName="p")
    assert message.startswith("parameters._search.value.sampler: got 1; a search by the server has a seed alone")


@pytest.mark.parametrize("method", ["random", "bayes"])
def test_a_search_without_end_expects_no_count(ask: Ask, method: str) -> None:
    name = make(ask, GRID.replace("grid", method))["sweep"]["name"]
    assert read(ask, name)["runCountExpected"] is None


def test_a_wrong_sweep_is_refused_in_one_line(ask: Ask, client: TestClient) -> None:
    message = refusal(client, UPSERT, config=GRID.replace("[1, 2, 3]", "[]"), projectName="p")
    assert message.startswith("parameters.a.values: got []; must be a list with at least one value")
    assert refusal(client, UPSERT, projectName="p") == "a new sweep needs a config"
    assert ask('{ project(name: "p") { totalSweeps } }')["project"] is None, "nothing half-made"


def test_doubtful_configs_are_warned_of(ask: Ask) -> None:
    assert make(ask, GRID + "runcap: 3\n")["configValidationWarnings"] == [
        "runcap: got 3; no such key of a sweep; did you mean run_cap?"
    ]


OURS = "program: cola_sweep/train.py\ncommand: [python, -m, cola_sweep.train]\nmethod: random\n"


def test_a_sweep_of_our_trials_keeps_their_rules_all_of_them_at_once(ask: Ask, client: TestClient) -> None:
    config = OURS + "metric: {name: val/mcc}\nparameters: {lrr: {value: 1}, seed: {vales: [1]}, epochs: {value: 0}}\n"
    lines = refusal(client, UPSERT, config=config, projectName="p").splitlines()
    assert [line.split(":")[0] for line in lines] == [
        "parameters.seed.vales",
        "parameters.lrr",
        "parameters.epochs",
        "metric.name",
    ]
    assert make(ask, OURS + "parameters: {lr: {min: 0.1, max: 0.2}}\n")["configValidationWarnings"] == [
        "method: got 'random'; without run_cap this search has no end; add run_cap: 20"
    ]


def test_state_moves_by_id(ask: Ask, client: TestClient) -> None:
    sweep = make(ask)["sweep"]
    for state in ("PAUSED", "RUNNING", "FINISHED", "RUNNING", "CANCELED"):
        assert ask(UPSERT, id=sweep["id"], state=state, projectName="p")["upsertSweep"]["sweep"]["state"] == state
    message = refusal(client, UPSERT, id=sweep["id"], state="PAUSED")
    assert message == "a sweep that is CANCELED cannot become PAUSED"
    assert refusal(client, UPSERT, id="U3dlZXA6OTk=", state="PAUSED") == "there is no such sweep"


def test_an_update_leaves_what_it_does_not_name(ask: Ask) -> None:
    sweep = make(ask, displayName="first")["sweep"]
    ask(UPSERT, id=sweep["id"], config=json.dumps({"method": "random", "parameters": {"a": {"value": 1}}}))
    changed = read(ask, sweep["name"])
    assert (changed["method"], changed["displayName"], changed["state"]) == ("random", "first", "PENDING")
    # The local controller posts the same config in other words.
    make(ask, '{"parameters": {"a": {"value": 1}}, "method": "random"}', id=sweep["id"], displayName="second")
    again = read(ask, sweep["name"])
    assert (again["config"], again["displayName"]) == (changed["config"], "second")


def test_what_a_sweep_was_before_it_was_changed_is_kept(ask: Ask, context: Context) -> None:
    sweep = make(ask)["sweep"]
    wider = GRID.replace("3]", "3, 4]")
    assert wider != GRID
    for config in (wider, wider + "\n# the same in other words", GRID):
        ask(UPSERT, id=sweep["id"], config=config)
    kept = [config for _, config in sweeps.former_configs(context.store, ids.decode(sweep["id"], "Sweep"))]
    assert kept == [GRID, wider]


def test_prior_runs_are_attached(ask: Ask) -> None:
    ask('mutation { upsertBucket(input: {name: "r1", modelName: "p"}) { bucket { id } } }')
    filters = json.dumps({"$or": [{"name": "r1"}, {"name": "none"}]})
    sweep = read(ask, make(ask, priorRunsFilters=filters)["sweep"]["name"])
    assert [edge["node"]["name"] for edge in sweep["priorRuns"]["edges"]] == ["r1"]
    assert (sweep["runCountExpected"], sweep["runCount"]) == (6, 0)


def test_an_agent_gets_a_trial_and_the_sweep_shows_it(ask: Ask) -> None:
    name = make(ask)["sweep"]["name"]
    agent = join(ask, name)
    (command,) = beat(ask, agent)
    assert (command["type"], command["args"]) == ("run", {"a": {"value": 1}, "n": {"value": {"b": "x"}}})
    sweep = read(ask, name)
    (run,) = [edge["node"] for edge in sweep["runs"]["edges"]]
    assert (sweep["state"], run["name"], run["state"]) == ("RUNNING", command["run_id"], "pending")
    assert json.loads(run["config"]) == command["args"]
    assert (run["shouldStop"], run["failed"], run["running"], run["summaryMetrics"]) == (False, False, False, "{}")
    (shown,) = [edge["node"] for edge in sweep["agents"]["edges"]]
    assert (shown["id"], shown["state"], shown["totalRuns"], shown["host"]) == (agent, "RUNNING", 1, "h")
    query = """query($s: String!, $a: String!) { project(name: "p") { sweep(sweepName: $s) { agent(agentName: $a) {
        id runs(first: 1) { edges { cursor node { name } } pageInfo { endCursor hasNextPage } } } } } }"""
    found = ask(query, s=name, a=shown["name"])["project"]["sweep"]["agent"]
    assert (found["id"], [e["node"]["name"] for e in found["runs"]["edges"]]) == (agent, [run["name"]])


def test_the_run_that_begins_is_the_one_issued(ask: Ask) -> None:
    name = make(ask)["sweep"]["name"]
    (command,) = beat(ask, join(ask, name))
    query = """mutation($n: String!, $s: String!) {
      upsertBucket(input: {name: $n, modelName: "p", sweep: $s, host: "h"}) {
        inserted bucket { sweepName state sweep { name } } } }"""
    answer = ask(query, n=command["run_id"], s=name)["upsertBucket"]
    assert answer["inserted"] is False
    assert answer["bucket"] == {"sweepName": name, "state": "running", "sweep": {"name": name}}


def test_agents_that_cannot_be_served_are_told_so(ask: Ask, client: TestClient) -> None:
    make(ask)
    assert refusal(client, JOIN, host="h", sweep="none").endswith("/p/none")
    unknown = client.post("/graphql", json={"query": HEARTBEAT, "variables": {"id": "QWdlbnQ6OTk=", "runState": "{}"}})
    assert unknown.status_code == 404
    agent = join(ask, make(ask)["sweep"]["name"])
    assert refusal(client, HEARTBEAT, id=agent, runState="[]") == "runState is not a JSON object"


def test_sweeps_of_a_project_newest_first_by_page_and_filter(ask: Ask) -> None:
    names = [make(ask)["sweep"]["name"] for _ in range(3)]
    query = """query GetSweeps($filters: JSONString, $cursor: String, $perPage: Int = 50) { project(name: "p") {
        totalSweeps sweeps(after: $cursor, first: $perPage, filters: $filters) {
          pageInfo { endCursor hasNextPage } edges { node { name } } } } }"""

    def page(**variables: Any) -> tuple[list[str], dict[str, Any]]:
        found = ask(query, **variables)["project"]
        assert found["totalSweeps"] == 3
        return [edge["node"]["name"] for edge in found["sweeps"]["edges"]], found["sweeps"]["pageInfo"]

    first, info = page(filters="{}", perPage=2)
    rest, last = page(filters="{}", perPage=2, cursor=info["endCursor"])
    assert (first + rest, info["hasNextPage"], last["hasNextPage"]) == (names[::-1], True, False)
    assert page(filters=json.dumps({"name": names[1]}))[0] == [names[1]]


def test_best_loss_is_the_best_of_the_goal(ask: Ask, store: Store) -> None:
    name = make(ask, GRID.replace("{name: m}", "{name: m, goal: maximize}"))["sweep"]["name"]
    for value in ({"max": 0.5}, 0.7, "NaN"):
        (command,) = beat(ask, join(ask, name))
        project = read(ask, name)
        assert project["runCount"] > 0
        row = store.one("SELECT id FROM runs WHERE name = ?", (command["run_id"],))
        assert row is not None
        runs.update(store, row[0], state="finished", summary_json=json.dumps({"m": value}), heartbeat_at=store.now())
    assert read(ask, name)["bestLoss"] == 0.7


def test_a_local_controller_writes_its_schedule(ask: Ask, client: TestClient) -> None:
    sweep = make(ask, GRID + "controller: {type: local}\n")["sweep"]
    orders = {"schedule": [{"id": "a", "data": {"args": {"a": {"value": 2}}}}]}
    make(ask, GRID + "controller: {type: local}\n", id=sweep["id"], controller=json.dumps(orders))
    shown = read(ask, sweep["name"])
    (scheduled,) = json.loads(shown["scheduler"])["scheduled"]
    assert json.loads(shown["controller"]) == orders
    assert beat(ask, join(ask, sweep["name"]))[0]["run_id"] == scheduled["runid"]
    assert "local controller" in refusal(client, UPSERT, id=sweep["id"], controller="[]")


def test_a_local_scheduler_enqueues_and_reads(ask: Ask, client: TestClient, clock: Clock) -> None:
    sweep = make(ask, "scheduler: {engine: optuna}\nmetric: {name: m}\n")["sweep"]
    assert read(ask, sweep["name"])["controllerRunName"]
    config = json.dumps({"a": {"value": 5}})
    first = ask(ENQUEUE, id=sweep["id"], config=config, displayName="trial 0")["enqueueSweepRun"]["id"]
    second = ask(ENQUEUE, id=sweep["id"], config=config)["enqueueSweepRun"]["id"]
    poll = """query($s: String!, $first: Int!, $cursor: String, $specs: [JSONString!]!) { project(name: "p") {
        sweep(sweepName: $s) { state runs(first: $first, after: $cursor) { ...P } } } }
      fragment P on RunConnection { edges { node { id name state config summaryMetrics sampledHistory(specs: $specs) } }
        pageInfo { endCursor hasNextPage } }"""
    page = ask(poll, s=sweep["name"], first=1, specs=["{}"])["project"]["sweep"]["runs"]
    rest = ask(poll, s=sweep["name"], first=1, specs=["{}"], cursor=page["pageInfo"]["endCursor"])["project"]
    found = [e["node"] for e in page["edges"] + rest["sweep"]["runs"]["edges"]]
    assert [(n["name"], n["state"], n["config"]) for n in found] == [(n, "pending", config) for n in (first, second)]
    assert refusal(client, ENQUEUE, id=sweep["id"], config='{"a": 5}').startswith("config must be an object")
    assert refusal(client, ENQUEUE, id=sweep["id"], config="{").startswith("config is not JSON")
    ask('mutation($id: ID!) { upsertSweep(input: {id: $id, state: "FINISHED"}) { sweep { id } } }', id=sweep["id"])
    assert refusal(client, ENQUEUE, id=sweep["id"], config=config) == "the sweep is FINISHED: resume it first"
