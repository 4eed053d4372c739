"""What mutations take: whatever comes for whichever part of an input, it is refused in a line that names the part, and
a refused request changes nothing."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from graphql.language import ListTypeNode, NamedTypeNode, NonNullTypeNode, TypeNode

from cola_sweep.server import resolvers as package
from cola_sweep.server.graphql import execute
from cola_sweep.server.input_types import INPUTS, Fields, Unfit, arguments, input_type
from cola_sweep.server.resolvers import resolvers
from tests.server.mutations import GOOD, Server

FOLDER = Path(package.__file__).parent

# For each type what no value of it is, and what is one all the same, however odd.
NEVER: dict[str, list[Any]] = {
    "ID": [True, 1.5, {}, {"a": 1}, [1], 2**63],
    "String": [True, 3, 1.5, {}, {"a": 1}, ["a"], "\ud800"],
    "JSONString": [True, 3, 1.5, {}, {"a": 1}, ["a"]],
    "Int": [True, 1.5, "1", {}, [1], 2**31],
    "Int64": [True, 1.5, "1", {}, [1], -(2**63) - 1],
    "Float": [True, "1", {}, [1], 10**30],
    "Boolean": [0, "true", {}, [True]],
    "object": [True, 3, "a", ["a"]],
    "list": [{"a": 1}, [None], [[]]],
}
ODD: dict[str, list[Any]] = {
    "ID": ["", "x", 1, "UnVuOi0x"],
    "String": ["", "\0", "../.."],
    "JSONString": ["", "[", "null", "[]", "3", '"a"', '{"a": 1}', '{"a": NaN}', '"\ud800"', "[" * 5000 + "]" * 5000],
    "Int": [0, -1],
    "Int64": [0, -1, 2**63 - 1],
    "Float": [-1, 1e308],
    "Boolean": [False],
    "object": [],
    "list": [[]],
}


def parts(fields: Fields, given: dict[str, Any], path: tuple[str | int, ...] = ()) -> Iterator[Any]:
    """Every part of an input: its path, its type's name, and whether it must be there."""
    for name, wanted in fields.items():
        here, value, needed = (*path, name), given.get(name), isinstance(wanted, NonNullTypeNode)
        wanted = _plain(wanted)
        if isinstance(wanted, ListTypeNode):
            yield here, "list", needed
            wanted = _plain(wanted.type)
            here, value, needed = (*here, 0), value[0] if value else None, True
        kind = cast(NamedTypeNode, wanted).name.value
        if kind in INPUTS:
            yield here, "object", needed
            yield from parts(INPUTS[kind], value or {}, here)
        else:
            yield here, kind, needed


def _plain(wanted: TypeNode) -> TypeNode:
    return wanted.type if isinstance(wanted, NonNullTypeNode) else wanted


def changed(given: dict[str, Any], path: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    """The same input with another value at a path."""
    whole: Any = json.loads(json.dumps(given))
    place = whole
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    return cast(dict[str, Any], whole)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    made = Server(tmp_path_factory.mktemp("mutations"))
    yield made
    made.close()


def test_every_mutation_has_its_type_and_an_input_that_is_done(server: Server) -> None:
    names = {name for kind, name in resolvers._fields if kind == "Mutation"}
    assert names == GOOD.keys()
    assert {input_type(name) for name in names} <= INPUTS.keys()
    assert not [(name, said) for name, given in GOOD.items() if (said := server.mutate(name, given))]


@pytest.mark.parametrize("name", GOOD)
def test_what_is_wrong_is_named_and_changes_nothing(server: Server, name: str) -> None:
    good = GOOD[name]
    for path, kind, needed in parts(INPUTS[input_type(name)], good):
        where = "input" + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
        for value in NEVER[kind] + ([None] if needed else []):
            (said,) = server.mutate(name, changed(good, path, value))
            assert "\n" not in said
            assert said.startswith(where) or (value is None and f"`{path[-1]}`" in said) or "hold null" in said, said
        for value in ODD[kind] + ([] if needed else [None]):
            for said in server.mutate(name, changed(good, path, value)):
                assert "the server failed" not in said
    for value in (None, [], "a", 3):
        assert server.mutate(name, value) == [f"input must be an object, got {value!r}"]


def test_arguments_of_other_fields_have_types_too() -> None:
    used = {name for path in FOLDER.glob("*.py") for name in re.findall(r'args(?:\.get\(|\[)"(\w+)"', path.read_text())}
    assert used - {"input"} <= INPUTS["Arguments"].keys()
    for name, kind in ((str(path[0]), kind) for path, kind, _ in parts(INPUTS["Arguments"], {}) if len(path) == 1):
        for value in NEVER[kind]:
            with pytest.raises(Unfit, match=rf"^{name}\b"):
                arguments({name: value})
    (error,) = execute(resolvers, "{ project(name: 3) { id } }").errors
    assert error == {"message": "name must be of type String, got 3", "path": ["project"]}
