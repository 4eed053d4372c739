"""Making and changing runs, as the client asks for it."""

import json
import math

import pytest

from cola_sweep.server import ids
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import HttpRefusal
from cola_sweep.server.store import artifacts, files, projects, runs, streams
from tests.server.runs.conftest import RUNS, UPSERT, VARIABLES, Ask, answer, log, make_sweep, stored


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


def test_a_runs_id_is_that_of_its_row(upsert: Ask, context: Context) -> None:
    assert ids.decode(upsert()["bucket"]["id"], "Run") == stored(context).id
