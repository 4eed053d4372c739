"""Runs as the client makes them, by an account of the name ada in a project of the name p."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cola_sweep.server.context import Context
from cola_sweep.server.graphql import Answer, execute
from cola_sweep.server.resolvers import resolvers
from cola_sweep.server.store import projects, runs, streams, sweeps, users
from cola_sweep.server.store.runs import Run

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
