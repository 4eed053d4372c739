"""Runs: making, changing, resuming, rewinding and listing them, as the client asks for it."""

import json
import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cola_sweep.server import ids, query, run_lists
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Answer, HttpRefusal, execute
from cola_sweep.server.resolvers import resolvers
from cola_sweep.server.store import Store, artifacts, files, projects, runs, streams, sweeps, users
from cola_sweep.server.store.runs import Run
from tests.server.conftest import Clock

Ask = Callable[..., Any]

# As wandb-core sends it: every variable is always there, most of them null.
UPSERT = """
mutation UpsertBucket($id: String, $name: String, $project: String, $entity: String, $groupName: String,
    $description: String, $displayName: String, $notes: String, $commit: String, $config: JSONString, $host: String,
    $program: String, $repo: String, $jobType: String, $state: String, $sweep: String, $tags: [String!],
    $summaryMetrics: JSONString) {
  upsertBucket(input: {id: $id, name: $name, modelName: $project, entityName: $entity, groupName: $groupName,
      description: $description, displayName: $displayName, notes: $notes, commit: $commit, config: $config,
      host: $host, jobProgram: $program, jobRepo: $repo, jobType: $jobType, state: $state, sweep: $sweep, tags: $tags,
      summaryMetrics: $summaryMetrics}) {
    bucket { id name displayName description config sweepName historyLineCount state tags notes group jobType
      summaryMetrics project { id name entity { id name } } }
    inserted
  }
}
"""
VARIABLES = (
    "id name project entity groupName description displayName notes commit config host program repo jobType state "
    "sweep tags summaryMetrics"
)
RESUME = """
query RunResumeStatus($project: String, $entity: String, $name: String!) {
  model(name: $project, entityName: $entity) {
    id name entity { id name }
    bucket(name: $name, missingOk: true) {
      id name summaryMetrics displayName logLineCount historyLineCount eventsLineCount historyTail eventsTail config
      tags notes wandbConfig(keys: ["t"])
    }
  }
}
"""
REWIND = """
mutation RewindRun($runName: String!, $entity: String, $project: String, $metricName: String!, $metricValue: Float!) {
  rewindRun(input: {runName: $runName, entityName: $entity, projectName: $project, metricName: $metricName,
      metricValue: $metricValue}) {
    rewoundRun { id name historyLineCount state project { name entity { name } } }
  }
}
"""
RUNS = """
query Runs($project: String!, $entity: String!, $cursor: String, $perPage: Int = 50, $order: String,
    $filters: JSONString) {
  project(name: $project, entityName: $entity) {
    runCount(filters: $filters)
    runs(filters: $filters, after: $cursor, first: $perPage, order: $order) {
      edges { node { name } cursor } pageInfo { endCursor hasNextPage }
    }
  }
}
"""


def answer(context: Context, text: str, **variables: Any) -> Answer:
    return execute(resolvers, text, variables, context=context)


@pytest.fixture
def context(context: Context) -> Context:
    return replace(context, user=users.add(context.store, "ada"))


@pytest.fixture
def ask(context: Context) -> Ask:
    def ask(text: str, **variables: Any) -> Any:
        found = answer(context, text, **variables)
        assert not found.errors, found.errors
        return found.data

    return ask


@pytest.fixture
def upsert(ask: Ask) -> Ask:
    def upsert(name: str | None = "r1", **variables: Any) -> Any:
        nulls = dict.fromkeys(VARIABLES.split())
        return ask(UPSERT, **nulls | {"name": name, "project": "p"} | variables)["upsertBucket"]

    return upsert


def stored(context: Context, name: str = "r1") -> Run:
    run = runs.find(context.store, "ada", "p", name)
    assert run is not None
    return run


def make_sweep(context: Context, name: str = "s1") -> int:
    project = projects.ensure(context.store, "ada", "p")
    return sweeps.create(context.store, project.id, name, config="{}", method="grid", state="RUNNING", seed=0).id


def log(context: Context, run: Run, *rows: dict[str, Any]) -> None:
    streams.write_lines(context.store, run.id, "history", 0, [json.dumps(row) for row in rows])


class TestUpsert:
    def test_a_new_run_is_made_with_its_project(self, upsert: Ask, context: Context) -> None:
        config = '{"lr": {"value": 0.1}}'
        made = upsert(config=config, host="box", program="train.py", tags=["b", "a", "b"], groupName="g", jobType="j")
        bucket = made["bucket"]
        assert made["inserted"]
        assert bucket["displayName"].endswith("-1")
        assert (bucket["state"], bucket["config"], bucket["tags"]) == ("running", config, ["b", "a"])
        assert (bucket["group"], bucket["jobType"], bucket["historyLineCount"]) == ("g", "j", 0)
        assert (bucket["project"]["name"], bucket["project"]["entity"]["name"]) == ("p", "ada")
        assert (stored(context).host, stored(context).program, stored(context).user_name) == ("box", "train.py", "ada")

    def test_null_leaves_everything_alone(self, upsert: Ask, context: Context) -> None:
        upsert(config='{"a": {"value": 1}}', notes="n", displayName="mine", tags=["t"], summaryMetrics='{"x": 1}')
        before = stored(context)
        assert not upsert()["inserted"]
        assert stored(context) == before

    def test_the_config_is_replaced_not_merged(self, upsert: Ask) -> None:
        upsert(config='{"a": {"value": 1}}')
        assert upsert(config='{"b": {"value": 2}}')["bucket"]["config"] == '{"b": {"value": 2}}'

    def test_a_fork_begins_with_the_history_of_its_source(self, upsert: Ask, context: Context) -> None:
        upsert("source")
        source = stored(context, "source")
        log(context, source, {"_step": 0, "x": 1}, {"_step": 4, "x": 2}, {"_step": 5, "x": 3})
        config = json.dumps({"_wandb": {"value": {"branch_point": {"run_id": "source", "step": 4}}}})
        for _ in range(2):  # the second time because the answer was lost
            assert upsert("fork", config=config, host="h")["bucket"]["historyLineCount"] == 2
        fork = stored(context, "fork")
        assert streams.history_rows(context.store, fork.id) == [{"_step": 0, "x": 1}, {"_step": 4, "x": 2}]
        assert (json.loads(fork.summary_json)["x"], fork.last_step) == (2, 4)
        assert stored(context, "source").history_lines == 3

    @pytest.mark.parametrize("step", [math.nan, math.inf, 1e300, "4"])
    def test_a_fork_at_no_step_is_none(self, upsert: Ask, context: Context, step: object) -> None:
        upsert("r1")
        log(context, stored(context), {"_step": 0})
        config = json.dumps({"_wandb": {"value": {"branch_point": {"run_id": "r1", "step": step}}}})
        assert upsert("fork", config=config, host="h")["bucket"]["historyLineCount"] == 0

    def test_a_fork_of_nothing_is_refused_and_not_made(self, context: Context) -> None:
        config = json.dumps({"_wandb": {"value": {"branch_point": {"run_id": "gone", "step": 4}}}})
        variables = dict.fromkeys(VARIABLES.split()) | {"name": "fork", "project": "p", "config": config}
        (error,) = answer(context, UPSERT, **variables).errors
        assert "no run 'gone'" in error["message"]
        assert runs.find(context.store, "ada", "p", "fork") is None

    def test_a_second_run_has_the_next_number_also_after_a_deletion(self, upsert: Ask, context: Context) -> None:
        upsert("r1")
        runs.delete(context.store, stored(context).id)
        assert upsert("r2")["bucket"]["displayName"].endswith("-2")

    @pytest.mark.parametrize("name", ["\ud800", 2**70, [1]])
    def test_a_name_that_no_column_takes_is_refused(self, context: Context, name: object) -> None:
        text = "mutation M($input: Any) { upsertBucket(input: $input) { inserted } }"
        (error,) = answer(context, text, input={"modelName": "p", "name": name}).errors
        assert error["message"].startswith("input.name must be ")

    def test_a_run_without_name_gets_one(self, upsert: Ask) -> None:
        assert len(upsert(None)["bucket"]["name"]) == 8

    def test_a_pending_sweep_run_is_adopted(self, upsert: Ask, context: Context) -> None:
        sweep = make_sweep(context)
        project = projects.ensure(context.store, "ada", "p")
        runs.create_pending(
            context.store, project.id, "r1", sweep_id=sweep, display_name="calm-sweep-1", args={"lr": {"value": 5.0}}
        )
        bucket = upsert(sweep="s1", host="box", config='{"lr": {"value": 5}}')["bucket"]
        assert (bucket["sweepName"], bucket["state"], bucket["displayName"]) == ("s1", "running", "calm-sweep-1")
        assert stored(context).args_json == '{"lr": {"value": 5.0}}'

    def test_a_new_run_of_a_sweep_is_named_after_it(self, upsert: Ask, context: Context) -> None:
        make_sweep(context)
        upsert("other")
        bucket = upsert(sweep="s1")["bucket"]
        assert bucket["sweepName"] == "s1"
        assert bucket["displayName"].endswith("-sweep-1")

    def test_a_run_of_a_sweep_that_is_not_there_is_a_plain_run(self, upsert: Ask) -> None:
        assert upsert(sweep="none")["bucket"]["sweepName"] is None

    @pytest.mark.parametrize("state", ["pending", "running"])
    def test_api_makes_runs_in_the_state_it_says(self, upsert: Ask, state: str) -> None:
        assert upsert(state=state)["bucket"]["state"] == state

    def test_a_deleted_run_is_410(self, upsert: Ask, context: Context, ask: Ask) -> None:
        opaque = upsert()["bucket"]["id"]
        ask("mutation D($id: ID!) { deleteRun(input: {id: $id}) { clientMutationId } }", id=opaque)
        for variables in ({}, {"id": opaque}):
            with pytest.raises(HttpRefusal) as refusal:
                upsert(**variables)
            assert refusal.value.status == 410

    @pytest.mark.parametrize("given", [{"config": "{"}, {"config": "[]"}, {"summaryMetrics": "3"}, {"id": "nonsense"}])
    def test_what_cannot_be_is_refused_and_makes_no_run(self, context: Context, given: dict[str, str]) -> None:
        found = answer(context, UPSERT, name="r1", project="p", **given)
        assert found.errors
        assert runs.find(context.store, "ada", "p", "r1") is None

    def test_update_by_id_changes_a_run_and_not_its_state(self, upsert: Ask, context: Context) -> None:
        made = upsert(host="box")["bucket"]
        log(context, stored(context), {"_step": 0})
        runs.update(context.store, stored(context).id, state="finished", exitcode=0)
        changed = upsert(None, project=None, id=made["id"], displayName="new", notes="why", tags=["t"], config="{}")
        assert not changed["inserted"]
        assert changed["bucket"] == {
            **made, "displayName": "new", "notes": "why", "tags": ["t"], "state": "finished", "historyLineCount": 1,
        }  # fmt: skip
        assert upsert(None, id=made["id"], summaryMetrics='{"x": 1}')["bucket"]["summaryMetrics"] == '{"x": 1}'


class TestBeginningAgain:
    @pytest.mark.parametrize("state", ["finished", "killed", "preempted"])
    def test_without_resuming_an_ended_run_begins_anew(self, upsert: Ask, context: Context, state: str) -> None:
        upsert(host="box")
        log(context, stored(context), {"_step": 0}, {"_step": 1})
        runs.update(context.store, stored(context).id, state=state, exitcode=0, summary_json='{"x": 1}')
        assert upsert(host="box")["bucket"]["historyLineCount"] == 0
        run = stored(context)
        assert (run.state, run.exitcode, run.history_lines, run.last_step, run.summary_json) == (
            "running", None, 0, None, "{}",
        )  # fmt: skip
        assert streams.history_rows(context.store, run.id) == []

    @pytest.mark.parametrize("resumed", [True, False])
    def test_a_stop_ends_with_the_run_that_it_ended(self, upsert: Ask, context: Context, resumed: bool) -> None:
        made = upsert(host="box")["bucket"]
        named = {"id": made["id"]} if resumed else {}
        runs.request_stop(context.store, stored(context).id, "asked for by a user")
        upsert(**named, host="box")
        assert stored(context).stop_requested == 1, "it has not ended: the stop may still be on its way"
        runs.update(context.store, stored(context).id, state="killed")
        upsert(**named, config="{}")
        assert stored(context).stop_requested == 1, "no process took it up"
        upsert(**named, host="box")
        assert (stored(context).stop_requested, stored(context).stop_reason) == (0, None)

    def test_a_run_that_still_runs_keeps_its_lines(self, upsert: Ask, context: Context) -> None:
        upsert(host="box")
        log(context, stored(context), {"_step": 0}, {"_step": 1})
        assert upsert(host="box")["bucket"]["historyLineCount"] == 0
        assert stored(context).history_lines == 2

    def test_resuming_finds_everything(self, upsert: Ask, ask: Ask, context: Context) -> None:
        config = '{"lr": {"value": 1}, "_wandb": {"value": {"t": {"3": 1}, "m": []}}}'
        made = upsert(host="box", config=config, tags=["t"], notes="n")["bucket"]
        run = stored(context)
        log(context, run, {"_step": 0}, {"_step": 7})
        streams.write_lines(context.store, run.id, "console", 0, ["a", "b", "c"])
        streams.write_lines(context.store, run.id, "events", 0, ['{"_runtime": 12}'])
        runs.update(context.store, run.id, state="finished", summary_json='{"_step": 7}')
        found = ask(RESUME, project="p", entity="ada", name="r1")["model"]
        bucket = found["bucket"]
        assert found["entity"]["name"] == "ada"
        assert (bucket["historyLineCount"], bucket["eventsLineCount"], bucket["logLineCount"]) == (2, 1, 3)
        assert json.loads(json.loads(bucket["historyTail"])[-1]) == {"_step": 7}
        assert json.loads(bucket["wandbConfig"]) == {"t": {"3": 1}}
        assert (bucket["summaryMetrics"], bucket["config"]) == ('{"_step": 7}', config)
        assert upsert(id=made["id"], host="box")["bucket"]["historyLineCount"] == 2
        assert stored(context).history_lines == 2

    def test_a_pending_run_has_not_begun(self, ask: Ask, context: Context) -> None:
        project = projects.ensure(context.store, "ada", "p")
        runs.create_pending(context.store, project.id, "r1", sweep_id=make_sweep(context), display_name="x")
        bucket = ask(RESUME, project="p", entity="ada", name="r1")["model"]["bucket"]
        assert bucket["wandbConfig"] == "{}"

    def test_what_is_not_there_is_null(self, ask: Ask, upsert: Ask) -> None:
        assert ask(RESUME, project="none", entity="ada", name="r1") == {"model": None}
        upsert()
        assert ask(RESUME, project="p", entity="ada", name="none")["model"]["bucket"] is None

    def test_rewinding_drops_what_came_after(self, upsert: Ask, ask: Ask, context: Context) -> None:
        upsert(host="box")
        log(context, stored(context), *({"_step": i, "loss": 9 - i} for i in range(6)), {"_step": 6, "late": 1})
        runs.update(context.store, stored(context).id, state="finished", exitcode=0)
        found = ask(REWIND, runName="r1", entity="ada", project="p", metricName="_step", metricValue=3.0)
        rewound = found["rewindRun"]["rewoundRun"]
        assert (rewound["historyLineCount"], rewound["state"]) == (4, "running")
        run = stored(context)
        assert (run.last_step, json.loads(run.summary_json)) == (3, {"_step": 3, "loss": 6})
        assert "late" not in json.loads(run.keys_json)
        assert upsert(host="box")["bucket"]["historyLineCount"] == 0
        assert stored(context).history_lines == 4

    @pytest.mark.parametrize(
        "given", [{"metricName": "loss"}, {"runName": "none"}, {"metricValue": math.nan}, {"metricValue": math.inf}]
    )
    def test_a_rewind_that_cannot_be_is_refused(self, upsert: Ask, context: Context, given: dict[str, Any]) -> None:
        upsert()
        variables = {"runName": "r1", "entity": "ada", "project": "p", "metricName": "_step", "metricValue": 1}
        (error,) = answer(context, REWIND, **variables | given).errors
        assert "the server failed" not in error["message"]


class TestChanges:
    def test_stopping(self, upsert: Ask, ask: Ask) -> None:
        stop = "mutation StopRun($id: ID!) { stopRun(input: {id: $id}) { success } }"
        status = '{ project(entityName: "ada", name: "p") { run(name: "r1") { stopped shouldStop state } } }'
        opaque = upsert()["bucket"]["id"]
        assert ask(status)["project"]["run"] == {"stopped": False, "shouldStop": False, "state": "running"}
        assert ask(stop, id=opaque) == {"stopRun": {"success": True}}
        assert ask(status)["project"]["run"] == {"stopped": True, "shouldStop": True, "state": "running"}

    @pytest.mark.parametrize("state", sorted(runs.ENDED))
    def test_a_run_that_has_ended_is_not_stopped(self, upsert: Ask, ask: Ask, context: Context, state: str) -> None:
        opaque = upsert()["bucket"]["id"]
        runs.update(context.store, stored(context).id, state=state)
        ask("mutation StopRun($id: ID!) { stopRun(input: {id: $id}) { success } }", id=opaque)
        assert not stored(context).stop_requested

    def test_the_first_reason_to_stop_is_kept(self, upsert: Ask, context: Context) -> None:
        upsert()
        runs.request_stop(context.store, stored(context).id, "first")
        runs.request_stop(context.store, stored(context).id, "second")
        assert stored(context).stop_reason == "first"

    STATE = "mutation U($input: UpdateRunStateInput!) { updateRunState(input: $input) { success } }"

    @pytest.mark.parametrize(
        ("before", "after", "allowed"),
        [
            ("running", "pending", True),
            ("failed", "pending", True),
            ("crashed", "pending", True),
            ("preempted", "pending", True),
            ("pending", "failed", True),
            ("running", "failed", True),
            ("finished", "pending", False),
            ("finished", "failed", False),
            ("running", "finished", False),
            ("running", "killed", False),
        ],
    )
    def test_states_that_a_user_sets(
        self, upsert: Ask, context: Context, before: str, after: str, allowed: bool
    ) -> None:
        opaque = upsert()["bucket"]["id"]
        runs.update(context.store, stored(context).id, state=before)
        found = answer(context, self.STATE, input={"id": opaque, "state": after})
        assert (not found.errors) is allowed
        assert allowed or "invalid state transition" in found.errors[0]["message"]
        assert stored(context).state == (after if allowed else before)

    def test_the_state_of_a_sweep_run_is_not_the_users(self, upsert: Ask, context: Context) -> None:
        make_sweep(context)
        opaque = upsert(sweep="s1")["bucket"]["id"]
        assert answer(context, self.STATE, input={"id": opaque, "state": "failed"}).errors

    def test_a_deleted_run_is_gone(self, upsert: Ask, ask: Ask, context: Context) -> None:
        opaque = upsert()["bucket"]["id"]
        run = stored(context)
        log(context, run, {"_step": 0})
        ask("mutation D($id: ID!) { deleteRun(input: {id: $id}) { clientMutationId } }", id=opaque)
        found = ask(RUNS, project="p", entity="ada")["project"]
        assert (found["runCount"], found["runs"]["edges"]) == (0, [])
        assert streams.history_rows(context.store, run.id) == []

    @pytest.mark.parametrize("with_artifacts", [True, False])
    def test_files_go_with_a_deleted_run_and_artifacts_if_asked(
        self, upsert: Ask, ask: Ask, context: Context, with_artifacts: bool
    ) -> None:
        opaque = upsert()["bucket"]["id"]
        run = stored(context)
        path = context.blobs.run_file(run.id, "a/b.txt")
        path.parent.mkdir(parents=True)
        path.write_text("text")
        files.record(context.store, run.id, "a/b.txt", 4, "x")
        create = "mutation C($input: CreateArtifactInput!) { createArtifact(input: $input) { artifact { id } } }"
        given = {"entityName": "ada", "projectName": "p", "runName": "r1", "digest": "d"}
        given |= {"artifactTypeName": "model", "artifactCollectionName": "m"}
        artifact = ids.decode(ask(create, input=given)["createArtifact"]["artifact"]["id"], "Artifact")
        delete = """
            mutation D($id: ID!, $all: Boolean) {
              deleteRun(input: {id: $id, deleteArtifacts: $all}) { clientMutationId }
            }"""
        ask(delete, id=opaque, all=with_artifacts)
        assert not path.exists()
        assert files.count(context.store, run.id) == 0
        assert (artifacts.by_id(context.store, artifact) is None) is with_artifacts
        ask(delete, id=opaque, all=True)
        assert artifacts.by_id(context.store, artifact) is None

    def test_a_run_that_never_was_is_not_deleted(self, context: Context) -> None:
        text = "mutation D($id: ID!) { deleteRun(input: {id: $id}) { clientMutationId } }"
        assert answer(context, text, id=ids.encode("Run", 99)).errors

    def test_an_alert_is_kept(self, upsert: Ask, ask: Ask, context: Context) -> None:
        upsert()
        text = """
            mutation A($severity: AlertSeverity = INFO) {
              notifyScriptableRunAlert(input: {entityName: "ada", projectName: "p", runName: "r1", title: "T",
                text: "loss rose", severity: $severity, waitDuration: 60}) { success }
            }"""
        assert ask(text) == {"notifyScriptableRunAlert": {"success": True}}
        assert ask(text, severity="WARN") == {"notifyScriptableRunAlert": {"success": True}}
        found = runs.alerts(context.store, stored(context).id)
        assert [(alert["title"], alert["text"], alert["severity"]) for alert in found] == [
            ("T", "loss rose", "INFO"),
            ("T", "loss rose", "WARN"),
        ]


class TestLists:
    @pytest.fixture
    def project(self, context: Context, clock: Clock) -> projects.Project:
        project = projects.ensure(context.store, "ada", "p")
        sweep = make_sweep(context)
        for i, summary in enumerate(({"m": 0.5}, {"m": float("nan")}, {}, {"m": {"max": 0.7}}, {"m": 0.6})):
            clock.advance(i % 2)
            run = runs.create(context.store, project.id, f"r{i}", state="running", display_name=f"calm-owl-{i}")
            columns = {"summary_json": json.dumps(summary), "config_json": json.dumps({"i": {"value": i % 3}})}
            runs.update(context.store, run.id, **columns, sweep_id=sweep if i != 4 else None)
        return project

    @pytest.mark.parametrize(
        ("order", "names"),
        [
            (None, ["r0", "r1", "r2", "r3", "r4"]),
            ("+created_at", ["r0", "r1", "r2", "r3", "r4"]),
            ("-created_at", ["r3", "r4", "r1", "r2", "r0"]),
            ("-summary_metrics.m", ["r3", "r4", "r0", "r1", "r2"]),
            ("+summary_metrics.m", ["r0", "r4", "r3", "r1", "r2"]),
            ("-config.i.value", ["r2", "r1", "r4", "r0", "r3"]),
            ("name", ["r0", "r1", "r2", "r3", "r4"]),
        ],
    )
    @pytest.mark.parametrize("size", [1, 2, 5, 50])
    def test_pages_follow_the_order(
        self, ask: Ask, project: projects.Project, order: str | None, names: list[str], size: int
    ) -> None:
        seen, cursor, more = [], None, True
        while more:
            found = ask(RUNS, project="p", entity="ada", order=order, cursor=cursor, perPage=size)["project"]["runs"]
            seen += [edge["node"]["name"] for edge in found["edges"]]
            cursor, more = found["edges"][-1]["cursor"], found["pageInfo"]["hasNextPage"]
            assert cursor == found["pageInfo"]["endCursor"]
        assert seen == names

    def test_the_best_run_of_a_sweep(self, ask: Ask, project: projects.Project) -> None:
        filters = json.dumps({"$and": [{"sweep": "s1"}]})
        for order, best in (("-summary_metrics.m", "r3"), ("+summary_metrics.m", "r0")):
            found = ask(RUNS, project="p", entity="ada", perPage=1, filters=filters, order=order)["project"]
            assert [edge["node"]["name"] for edge in found["runs"]["edges"]] == [best]
            assert found["runCount"] == 4

    def test_filters_and_their_count_agree(self, ask: Ask, project: projects.Project) -> None:
        for condition, names in (
            ({"config.i": 0}, ["r0", "r3"]),
            ({"name": {"$in": ["r1", "r9"]}}, ["r1"]),
            ({"sweep": "s1", "summary_metrics.m": {"$gt": 0.4}}, ["r0"]),
            ({"state": "finished"}, []),
        ):
            found = ask(RUNS, project="p", entity="ada", filters=json.dumps(condition))["project"]
            assert [edge["node"]["name"] for edge in found["runs"]["edges"]] == names
            assert found["runCount"] == len(names)

    @pytest.mark.parametrize("root", sorted(query.ROOTS))
    def test_every_root_can_be_filtered_and_ordered_by(
        self, context: Context, project: projects.Project, root: str
    ) -> None:
        there, gone = (json.dumps({"$or": [{root: {"$exists": wanted}}]}) for wanted in (True, False))
        both = [run_lists.connection(context.store, project.id, filters=f, order=f"-{root}") for f in (there, gone)]
        counts = [run_lists.count(context.store, project.id, f) for f in (there, gone)]
        assert [len(found["edges"]) for found in both] == counts
        assert sum(counts) == len(runs.select(context.store, project.id))

    @pytest.mark.parametrize("given", [{"filters": "{"}, {"filters": '{"a": {"$x": 1}}'}, {"cursor": "???"}])
    def test_what_cannot_be_understood_is_refused(
        self, context: Context, project: projects.Project, given: dict[str, str]
    ) -> None:
        assert answer(context, RUNS, project="p", entity="ada", **given).errors

    def test_a_page_goes_on_though_its_last_run_was_deleted(self, context: Context, project: projects.Project) -> None:
        for order in ("+created_at", "-summary_metrics.m"):
            first = run_lists.connection(context.store, project.id, order=order, first=2)
            rest = run_lists.connection(context.store, project.id, order=order, after=first["pageInfo"]["endCursor"])
            runs.delete(context.store, first["edges"][-1]["node"].id)
            again = run_lists.connection(context.store, project.id, order=order, after=first["pageInfo"]["endCursor"])
            assert again == rest

    def test_lists_are_narrowed_by_those_who_ask_for_a_sweep(self, context: Context, project: projects.Project) -> None:
        narrowed = run_lists.connection(
            context.store, project.id, only={"sweep": {"s1"}, "name": {"r1", "r2", "r3", "r4"}}, first=2
        )
        assert [edge["node"].name for edge in narrowed["edges"]] == ["r1", "r2"]
        assert narrowed["pageInfo"]["hasNextPage"]


SUMMARIES = st.none() | st.sampled_from([1, 1.0, True, "text", "NaN", [], {"min": 3}, {"last": 2}]) | st.floats()


@settings(max_examples=30, deadline=None)
@given(
    values=st.lists(SUMMARIES, max_size=7),
    size=st.integers(1, 4),
    order=st.sampled_from(["+summary_metrics.m", "-summary_metrics.m", "-created_at", "created_at"]),
    ages=st.lists(st.integers(0, 2), min_size=7, max_size=7),
)
def test_pages_cover_each_run_once(
    values: list[Any], size: int, order: str, ages: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    clock = Clock()
    store = Store(tmp_path_factory.mktemp("pages") / "server.db", clock)
    try:
        project = projects.ensure(store, "ada", "p")
        for i, (value, age) in enumerate(zip(values, ages, strict=False)):
            clock.now = float(age)
            run = runs.create(store, project.id, f"r{i}", state="running", display_name="x")
            runs.update(store, run.id, summary_json=json.dumps({"m": value}))
        whole = run_lists.connection(store, project.id, order=order)["edges"]
        paged: list[Any] = []
        cursor, more = None, True
        while more:
            found = run_lists.connection(store, project.id, order=order, first=size, after=cursor)
            paged += found["edges"]
            cursor, more = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
    finally:
        store.close()
    assert [edge["node"].id for edge in paged] == [edge["node"].id for edge in whole]
    assert len({edge["node"].id for edge in paged}) == len(values)


def test_a_runs_id_is_that_of_its_row(upsert: Ask, context: Context) -> None:
    assert ids.decode(upsert()["bucket"]["id"], "Run") == stored(context).id
