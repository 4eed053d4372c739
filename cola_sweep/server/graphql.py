"""Execute the GraphQL operations of the wandb client over plain Python resolvers.

There is no declared schema: the client never asks for one, each of its releases asks for other
fields, and W&B publishes none; what is sent has types, see `input_types`. graphql-core parses; this
module resolves a field of an object by

1. a key of a dict, which is an answer made whole: its type, `__typename`, is for the client alone;
2. else a resolver registered for (type, field), the type being `Query`, `Mutation` or the name of the
   object's class: `Run`, `Sweep`, ...;
3. else the attribute of the same name in snake case: `displayName` reads `display_name`;
4. else null, and the pair is counted in `Unknown`, so that gaps show instead of breaking a client.

    >>> resolvers = Resolvers()
    >>> @resolvers.field("Query", "greeting")
    ... def greeting(context, parent, args):
    ...     return {"text": f"hello {args['name']}"}
    >>> execute(resolvers, '{ hi: greeting(name: "Ada") { text } }').body()
    {'data': {'hi': {'text': 'hello Ada'}}}
"""

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from graphql import GraphQLSyntaxError, Undefined, parse, value_from_ast_untyped
from graphql.language import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
)

from cola_sweep.server import input_types
from cola_sweep.server.input_types import Unfit
from cola_sweep.server.names import ReservedName
from cola_sweep.server.store.failures import ill_typed, transient
from cola_sweep.server.texts import remembered

log = logging.getLogger(__name__)

Args = dict[str, Any]
Resolver = Callable[[Any, Any, Args], Any]

_ROOTS = ("Query", "Mutation")

# Types that a fragment on another type's name reaches too.
SUPERTYPES: Mapping[str, frozenset[str]] = {
    "ArtifactSequence": frozenset({"ArtifactCollection"}),
    "ArtifactPortfolio": frozenset({"ArtifactCollection"}),
}


class Refused(Exception):
    """The client asked for something that cannot be: answered as `errors`, with HTTP 200."""


class HttpRefusal(Exception):
    """Answered with an HTTP status, for the few the client acts on (404 to an agent's heartbeat, ...)."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


class Resolvers:
    """A map from (type, field) to a function of (context, parent, args)."""

    def __init__(self, *parts: "Resolvers") -> None:
        self._fields: dict[tuple[str, str], Resolver] = {}
        for part in parts:
            twice = self._fields.keys() & part._fields.keys()
            assert not twice, f"resolved in two places: {sorted(twice)}"
            self._fields.update(part._fields)

    def field(self, type_name: str, *names: str) -> Callable[[Resolver], Resolver]:
        """Register the decorated function for each of `names`."""

        def register(resolver: Resolver) -> Resolver:
            for name in names:
                self._fields[type_name, name] = resolver
            return resolver

        return register

    def get(self, type_name: str, name: str) -> Resolver | None:
        return self._fields.get((type_name, name))


@dataclass
class Answer:
    """What one request resolved to, and the (type, field) pairs nobody resolves."""

    data: dict[str, Any] | None = None
    errors: list[dict[str, Any]] = field(default_factory=list)
    unknown: Counter[str] = field(default_factory=Counter)

    def body(self) -> dict[str, Any]:
        """The JSON body of the response."""
        return {"data": self.data} | ({"errors": self.errors} if self.errors else {})


def execute(
    resolvers: Resolvers,
    text: str,
    variables: Mapping[str, Any] | None = None,
    operation_name: str | None = None,
    context: Any = None,
) -> Answer:
    """Run one operation of the document `text`. Never raises but `HttpRefusal` and what is `transient`."""
    try:
        operation, fragments = _select(_parsed(text), operation_name)
    except (GraphQLSyntaxError, Refused) as error:
        return Answer(errors=[{"message": str(error)}])
    root = operation.operation.value.capitalize()
    if root not in _ROOTS:
        return Answer(errors=[{"message": "subscriptions are not served"}])
    try:
        values = _variables(operation, variables or {})
    except Unfit as error:
        return Answer(errors=[{"message": str(error)}])
    execution = _Execution(resolvers, context, fragments, values, Answer())
    execution.answer.data = execution.object({"__typename": root}, [operation.selection_set], ())
    return execution.answer


@remembered(256, longest=2**14)  # a client sends the same few texts again and again
def _parsed(text: str) -> DocumentNode:
    return parse(text, no_location=True)


def operation_label(text: str) -> str:
    """The name of a document's operation, for logs: `query Runs`."""
    match = re.search(r"\b(query|mutation)\s+(\w+)", text)
    return f"{match[1]} {match[2]}" if match else "anonymous"


def _select(
    document: DocumentNode, name: str | None
) -> tuple[OperationDefinitionNode, dict[str, FragmentDefinitionNode]]:
    fragments = {d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)}
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode) and (
            not name or (definition.name and definition.name.value == name)
        ):
            return definition, fragments
    raise Refused(f"no operation {name!r} in the document" if name else "no operation in the document")


def _variables(operation: OperationDefinitionNode, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values for declared variables: given, else the default; the rest stay absent, which is not null.

    Inputs of mutations are looked at where they are used, in whatever pieces they come.

    Raises:
        Unfit: a value cannot be of its declared type.
    """
    values = {}
    for definition in operation.variable_definitions or ():
        name = definition.variable.name.value
        if name in given:
            values[name] = input_types.fitted(given[name], definition.type, f"${name}", {})
        elif definition.default_value is not None:
            values[name] = value_from_ast_untyped(definition.default_value)
    return values


@dataclass(frozen=True)
class _Execution:
    resolvers: Resolvers
    context: Any
    fragments: Mapping[str, FragmentDefinitionNode]
    variables: dict[str, Any]
    answer: Answer

    def object(self, parent: Any, selections: Sequence[SelectionSetNode], path: tuple[str | int, ...]) -> Args:
        type_name = _type_name(parent)
        merged: dict[str, list[FieldNode]] = {}
        for selection in selections:
            for node in self._fields(selection, type_name):
                merged.setdefault((node.alias or node.name).value, []).append(node)
        return {key: self._field(parent, type_name, nodes, (*path, key)) for key, nodes in merged.items()}

    def _fields(self, selection: SelectionSetNode, type_name: str) -> Iterator[FieldNode]:
        for node in selection.selections:
            if not self._included(node):
                continue
            if isinstance(node, FieldNode):
                yield node
                continue
            if isinstance(node, FragmentSpreadNode):
                part: FragmentDefinitionNode | InlineFragmentNode | None = self.fragments.get(node.name.value)
            else:
                part = cast(InlineFragmentNode, node)
            if part is not None and _applies(part.type_condition, type_name):
                yield from self._fields(part.selection_set, type_name)

    def _field(self, parent: Any, type_name: str, nodes: list[FieldNode], path: tuple[str | int, ...]) -> Any:
        try:
            value = self._resolve(parent, type_name, nodes[0])
        except HttpRefusal:
            raise
        except (Refused, Unfit, ReservedName) as error:
            self.answer.errors.append({"message": str(error), "path": list(path)})
            return None
        except Exception as error:
            if transient(error):
                raise
            if ill_typed(error):
                self.answer.errors.append({"message": f"a value of the wrong type: {error}", "path": list(path)})
                return None
            log.exception("%s.%s failed", type_name, nodes[0].name.value)
            message = f"the server failed on {type_name}.{nodes[0].name.value}: {error!r}"
            self.answer.errors.append({"message": message, "path": list(path)})
            return None
        return self._complete(value, [n.selection_set for n in nodes if n.selection_set], path)

    def _complete(self, value: Any, selections: list[SelectionSetNode], path: tuple[str | int, ...]) -> Any:
        if value is None or not selections:
            return value
        if isinstance(value, list | tuple):
            return [self._complete(item, selections, (*path, i)) for i, item in enumerate(value)]
        return self.object(value, selections, path)

    def _resolve(self, parent: Any, type_name: str, node: FieldNode) -> Any:
        name = node.name.value
        if name == "__typename":
            return type_name
        if isinstance(parent, Mapping) and name in parent:
            return parent[name]
        whole = isinstance(parent, Mapping) and type_name not in _ROOTS
        if not whole and (resolver := self.resolvers.get(type_name, name)):
            args = _present({a.name.value: self._value(a.value) for a in node.arguments or ()})
            if type_name == "Mutation":
                args["input"] = input_types.of_mutation(name, args.get("input"))
            else:
                args = input_types.arguments(args)
            return resolver(self.context, parent, args)
        if not isinstance(parent, Mapping) and hasattr(parent, snake_case(name)):
            return getattr(parent, snake_case(name))
        self.answer.unknown[f"{type_name}.{name}"] += 1
        if type_name == "Mutation":
            raise Refused(f"this server does not know the mutation {name}")
        return None

    def _value(self, node: Any) -> Any:
        return value_from_ast_untyped(node, self.variables)

    def _included(self, node: Any) -> bool:
        for directive in node.directives or ():
            wanted = {"include": True, "skip": False}.get(directive.name.value)
            if wanted is not None and bool(self._value(directive.arguments[0].value)) is not wanted:
                return False
        return True


@remembered(4096, longest=100)
def snake_case(name: str) -> str:
    """`historyLineCount` as `history_line_count`."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


def _type_name(parent: Any) -> str:
    return parent.get("__typename", "") if isinstance(parent, Mapping) else type(parent).__name__


def _applies(condition: Any, type_name: str) -> bool:
    """Whether a fragment on `condition` reaches `type_name`; an untyped dict takes every fragment."""
    if condition is None or not type_name:
        return True
    wanted = condition.name.value
    return wanted == type_name or wanted in SUPERTYPES.get(type_name, ())


def _present(value: Any) -> Any:
    """Drop what an absent variable left inside an input object."""
    if isinstance(value, dict):
        return {k: _present(v) for k, v in value.items() if v is not Undefined}
    if isinstance(value, list):
        return [_present(v) for v in value if v is not Undefined]
    return value
