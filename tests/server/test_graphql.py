"""The executor: what GraphQL promises, and what the client leans on."""

from dataclasses import dataclass
from typing import Any

import pytest

from cola_sweep.server.graphql import HttpRefusal, Refused, Resolvers, execute, operation_label

resolvers = Resolvers()


@dataclass(frozen=True)
class Run:
    name: str
    display_name: str = "calm-sky-1"


@resolvers.field("Query", "echo")
def echo(context: Any, parent: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"args": args}


@resolvers.field("Query", "runs")
def runs(context: Any, parent: Any, args: dict[str, Any]) -> list[Run | None]:
    return [Run("a"), None, Run("b")]


@resolvers.field("Query", "collection")
def collection(context: Any, parent: Any, args: dict[str, Any]) -> dict[str, Any]:
    return {"__typename": "ArtifactSequence", "name": "model"}


@resolvers.field("Query", "broken", "refused", "gone")
def broken(context: Any, parent: Any, args: dict[str, Any]) -> None:
    raise {"refused": Refused("no such thing"), "gone": HttpRefusal(404, "deleted")}.get(args["how"], KeyError("oops"))


def data(text: str, **variables: Any) -> Any:
    body = execute(resolvers, text, variables).body()
    assert "errors" not in body
    return body["data"]


def test_objects_resolve_by_snake_case_attribute_and_lists_keep_their_nulls() -> None:
    assert data("{ runs { name displayName } }") == {
        "runs": [{"name": "a", "displayName": "calm-sky-1"}, None, {"name": "b", "displayName": "calm-sky-1"}]
    }


def test_absent_variables_stay_absent_and_null_stays_null() -> None:
    text = (
        "query Q($a: Int, $b: Int, $c: Int = 3) { echo(a: $a, b: $b, c: $c, in: {a: $a, b: $b, l: [$a, 1]}) { args } }"
    )
    assert data(text, b=None)["echo"]["args"] == {"b": None, "c": 3, "in": {"b": None, "l": [1]}}


def test_one_field_under_two_aliases_and_merged_selections() -> None:
    assert data("{ x: collection { name } y: collection { __typename } x: collection { __typename } }") == {
        "x": {"name": "model", "__typename": "ArtifactSequence"},
        "y": {"__typename": "ArtifactSequence"},
    }


@pytest.mark.parametrize(
    ("condition", "reached"), [("ArtifactSequence", True), ("ArtifactCollection", True), ("ArtifactPortfolio", False)]
)
def test_fragments_reach_a_type_and_its_supertypes(condition: str, reached: bool) -> None:
    for text in (
        f"{{ collection {{ ... on {condition} {{ name }} }} }}",
        f"{{ collection {{ ...F }} }} fragment F on {condition} {{ name }}",
    ):
        assert ("name" in data(text)["collection"]) is reached


def test_include_and_skip() -> None:
    text = "query Q($yes: Boolean!) { collection { name @include(if: $yes) __typename @skip(if: $yes) } }"
    assert data(text, yes=True) == {"collection": {"name": "model"}}
    assert data(text, yes=False) == {"collection": {"__typename": "ArtifactSequence"}}


def test_an_unknown_field_is_null_and_counted_and_an_unknown_mutation_is_an_error() -> None:
    answer = execute(resolvers, "{ runs { colour } }")
    assert answer.body() == {"data": {"runs": [{"colour": None}, None, {"colour": None}]}}
    assert answer.unknown == {"Run.colour": 2}
    body = execute(resolvers, "mutation { fly { ok } }").body()
    assert body["data"] == {"fly": None}
    assert "fly" in body["errors"][0]["message"]


def test_a_failing_resolver_spoils_its_own_field_only(caplog: pytest.LogCaptureFixture) -> None:
    body = execute(resolvers, '{ bad: broken(how: "bug") no: refused(how: "refused") collection { name } }').body()
    assert body["data"] == {"bad": None, "no": None, "collection": {"name": "model"}}
    assert [error["path"] for error in body["errors"]] == [["bad"], ["no"]]
    assert body["errors"][1]["message"] == "no such thing"
    assert "KeyError" in caplog.text


def test_an_http_refusal_passes_through() -> None:
    with pytest.raises(HttpRefusal) as refusal:
        execute(resolvers, '{ gone(how: "gone") { id } }')
    assert refusal.value.status == 404


@pytest.mark.parametrize("text", ["", "{", "fragment F on Run { name }", "subscription { x }"])
def test_documents_that_cannot_run_are_answered_with_errors(text: str) -> None:
    assert execute(resolvers, text).body()["errors"][0]["message"]


def test_the_named_operation_is_the_one_that_runs() -> None:
    text = "query A { a: collection { name } } query B { b: collection { name } }"
    assert execute(resolvers, text, operation_name="B").data == {"b": {"name": "model"}}
    assert "errors" in execute(resolvers, text, operation_name="C").body()


def test_labels_name_the_operation() -> None:
    assert operation_label("query  Runs($a: Int) { x }") == "query Runs"
    assert operation_label("{ x }") == "anonymous"


def test_two_modules_may_not_resolve_one_field() -> None:
    with pytest.raises(AssertionError, match="echo"):
        Resolvers(resolvers, resolvers)


@pytest.mark.parametrize(
    ("declared", "value", "said"),
    [
        ("String!", ["a"], "$v must be of type String, got ['a']"),
        ("ID", {"a": 1}, "$v must be of type ID"),
        ("Int", True, "$v must be of type Int, got True"),
        ("Int", 2**31, "$v must be a number of 32 bits"),
        ("Int64", 2**63, "$v must be a number of 64 bits"),
        ("[JSONString!]!", [{}], "$v[0] must be of type JSONString, got {}"),
    ],
)
def test_a_variable_that_is_not_of_its_type_is_refused(declared: str, value: Any, said: str) -> None:
    answer = execute(Resolvers(), f"query Q($v: {declared}) {{ __typename }}", {"v": value})
    assert (answer.data, len(answer.errors)) == (None, 1)
    assert answer.errors[0]["message"].startswith(said)


@pytest.mark.parametrize(
    ("declared", "value", "read"),
    [("[String]", "a", ["a"]), ("[Int!]!", [1, 2], [1, 2]), ("String", None, None), ("Other", [{"a": 1}], [{"a": 1}])],
)
def test_one_is_as_good_as_a_list_of_one_and_types_of_others_are_theirs(declared: str, value: Any, read: Any) -> None:
    resolvers = Resolvers()
    resolvers.field("Query", "echo")(lambda context, parent, args: args["v"])
    assert execute(resolvers, f"query Q($v: {declared}) {{ echo(v: $v) }}", {"v": value}).data == {"echo": read}
