"""A run that begins again: anew, where it ended, or rewound to a step."""

import json
import math
from typing import Any

import pytest

from cola_sweep.server.context import Context
from cola_sweep.server.store import projects, runs, streams
from tests.server.runs.conftest import Ask, answer, log, make_sweep, stored

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
