"""Projects."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from cola_sweep.server.context import Context
from cola_sweep.server.graphql import execute
from cola_sweep.server.resolvers import resolvers
from cola_sweep.server.store import projects, runs, users

CREATE = """
mutation CreateProject($input: UpsertModelInput!) {
  result: upsertModel(input: $input) { project { ...P } model { ...P } inserted }
}
fragment P on Project { id name entityName description access views }
"""
LIST = """
query GetProjects($entity: String, $cursor: String, $perPage: Int = 50) {
  models(entityName: $entity, after: $cursor, first: $perPage) {
    pageInfo { __typename endCursor hasNextPage }
    edges { node { __typename id name entityName createdAt isBenchmark user { id name username } } }
  }
}
"""

Ask = Callable[..., Any]


@pytest.fixture
def context(context: Context) -> Context:
    return replace(context, user=users.add(context.store, "ada"))


@pytest.fixture
def ask(context: Context) -> Ask:
    def ask(text: str, **variables: Any) -> Any:
        answer = execute(resolvers, text, variables, context=context)
        assert not answer.errors, answer.errors
        return answer.data

    return ask


def test_a_project_is_made_once(ask: Ask, context: Context) -> None:
    first = ask(CREATE, input={"entityName": "ada", "name": "p", "description": "about"})["result"]
    again = ask(CREATE, input={"name": "p"})["result"]
    assert (first["inserted"], again["inserted"]) == (True, False)
    assert first["project"] == first["model"] == again["project"]
    assert again["project"]["description"] == "about"
    assert [project.name for project in projects.of_entity(context.store, "ada")] == ["p"]


@pytest.mark.parametrize("entity", ["data", "static"])
def test_an_entity_whose_pages_could_not_be_reached_is_refused(context: Context, entity: str) -> None:
    answer = execute(resolvers, CREATE, {"input": {"entityName": entity, "name": "p"}}, context=context)
    (error,) = answer.errors
    assert error["message"].startswith(f"no entity can be called {entity!r}: ")
    assert projects.of_entity(context.store, entity) == []


def test_a_project_is_changed_by_its_id(ask: Ask) -> None:
    made = ask(CREATE, input={"name": "p"})["result"]["project"]
    changed = ask(CREATE, input={"id": made["id"], "description": "new"})["result"]
    assert changed == {
        "project": {**made, "description": "new"},
        "model": {**made, "description": "new"},
        "inserted": False,
    }


@pytest.mark.parametrize("per_page", [1, 2, 3, 50])
def test_pages_list_each_project_once(ask: Ask, context: Context, per_page: int) -> None:
    made = [projects.ensure(context.store, "ada", name).name for name in ("c", "a", "b")]
    projects.ensure(context.store, "bob", "other")
    seen, cursor, more = [], None, True
    while more:
        found = ask(LIST, entity="ada", cursor=cursor, perPage=per_page)["models"]
        seen += [edge["node"]["name"] for edge in found["edges"]]
        cursor, more = found["pageInfo"]["endCursor"], found["pageInfo"]["hasNextPage"]
    assert seen == made


def test_what_the_client_asks_of_a_project(ask: Ask, context: Context) -> None:
    project = projects.ensure(context.store, "ada", "p")
    runs.create(context.store, project.id, "r1", state="running", display_name="calm-owl-1")
    found = ask(
        "query Q($entity: String!, $project: String!) { project(entityName: $entity, name: $project)"
        " { internalId readOnly runCount totalRuns createdAt entity { name } user { username } } }",
        entity="ada",
        project="p",
    )["project"]
    assert found == {
        "internalId": str(project.id),
        "readOnly": False,
        "runCount": 1,
        "totalRuns": 1,
        "createdAt": project.created_at,
        "entity": {"name": "ada"},
        "user": {"username": "ada"},
    }


def test_a_project_that_is_not_there_is_null(ask: Ask) -> None:
    assert ask('{ project(entityName: "ada", name: "none") { id } }') == {"project": None}


def test_names_left_out_are_the_users_own(ask: Ask, context: Context) -> None:
    project = projects.ensure(context.store, "ada", "uncategorized")
    assert ask("{ model { internalId } }") == {"model": {"internalId": str(project.id)}}
