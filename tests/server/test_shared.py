"""Who writes in shared mode, and how the configs and summaries of several processes are joined."""

import doctest
import json
from dataclasses import replace

import pytest

from cola_sweep.server import shared
from cola_sweep.server.context import Context
from cola_sweep.server.graphql import execute
from cola_sweep.server.resolvers import resolvers
from cola_sweep.server.store import runs, streams

UPSERT = """
mutation UpsertBucket($name: String, $config: JSONString) {
  upsertBucket(input: {name: $name, modelName: "p", config: $config, host: "h"}) { inserted }
}
"""


@pytest.mark.parametrize(
    ("headers", "writer"),
    [
        ({}, None),
        ({"x-wandb-client-id": "c"}, None),
        ({"x-wandb-use-async-filestream": "true", "x-wandb-client-id": "c"}, "c"),
        ({"x-wandb-use-async-filestream": "true", "x-wandb-async-client-id": "c"}, "c"),
        ({"x-wandb-use-async-filestream": "true"}, None),
    ],
)
def test_only_a_process_in_shared_mode_is_a_writer(headers: dict[str, str], writer: str | None) -> None:
    assert shared.writer(headers) == writer


def test_the_examples_hold() -> None:
    assert doctest.testmod(shared) == doctest.TestResults(failed=0, attempted=2)


def test_a_summary_has_the_newest_values_and_the_step_of_the_run() -> None:
    assert shared.merged_summary({"a": 1, "b": 1}, {"b": 2, "_step": 0}, 7) == {"a": 1, "b": 2, "_step": 7}
    assert shared.merged_summary({"a": 1}, {}, None) == {"a": 1}


def test_a_process_that_joins_takes_nothing_away(context: Context) -> None:
    def upsert(writer: str | None, config: str) -> runs.Run:
        answer = execute(resolvers, UPSERT, {"name": "r1", "config": config}, context=replace(context, writer=writer))
        assert not answer.errors
        run = runs.find(context.store, context.user.name, "p", "r1")
        assert run is not None
        return run

    first = upsert("one", '{"lr": {"value": 1}}')
    streams.write_lines(context.store, first.id, "history", 0, ['{"_step": 0}'])
    runs.update(context.store, first.id, state="finished")
    joined = upsert("two", '{"_wandb": {"value": {"t": {}}}}')
    assert json.loads(joined.config_json) == {"lr": {"value": 1}, "_wandb": {"value": {"t": {}}}}
    assert (joined.state, joined.history_lines) == ("running", 1)
    alone = upsert(None, "{}")
    assert alone.config_json == "{}"
