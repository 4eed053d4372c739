"""What variables, arguments and the inputs of mutations may hold: `input_types.graphql`, whose types are W&B's own.

A mutation `addAliases` takes an `AddAliasesInput`; other fields take `Arguments`. Names that a type does not have pass:
each release of the client sends others, and nobody reads them. Pure; graphql-core reads the types, `texts`
mends what JSON texts may hold.

>>> of_mutation("stopRun", {"id": ["UnVuOjc="]})
Traceback (most recent call last):
cola_sweep.server.input_types.Unfit: input.id must be of type ID, got ['UnVuOjc=']
"""

from collections.abc import Mapping
from importlib import resources
from typing import Any, cast

from graphql import parse
from graphql.language import InputObjectTypeDefinitionNode, ListTypeNode, NamedTypeNode, NonNullTypeNode, TypeNode

from cola_sweep.server import texts

Fields = Mapping[str, TypeNode]

# What JSON may hold for the types that GraphQL and W&B know.
_SCALARS: Mapping[str, tuple[type, ...]] = {
    "Boolean": (bool,),
    "Float": (int, float),
    "ID": (str, int),
    "Int": (int,),
    "Int64": (int,),
    "JSONString": (str,),
    "String": (str,),
}
_BITS = {"Int": 32}  # others have those of a column and of the client's Int64


class Unfit(Exception):
    """A value is not of its type; the message names it by its path."""


def _read(text: str) -> dict[str, Fields]:
    types = [each for each in parse(text).definitions if isinstance(each, InputObjectTypeDefinitionNode)]
    return {each.name.value: {field.name.value: field.type for field in each.fields or ()} for each in types}


INPUTS = _read(resources.files(__package__).joinpath("input_types.graphql").read_text())


def of_mutation(name: str, value: Any) -> dict[str, Any]:
    """A mutation's input as its type has it.

    Raises:
        Unfit: it is no object, lacks what it has to have, or has a value of another type.
    """
    return of_type(input_type(name), value, "input")


def of_type(name: str, value: Any, where: str) -> dict[str, Any]:
    """An object as its type has it; see `of_mutation`."""
    return _object(value, INPUTS.get(name, {}), where, INPUTS)


def input_type(mutation: str) -> str:
    """The name of the type that a mutation takes."""
    return f"{mutation[0].upper()}{mutation[1:]}Input"


def arguments(values: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of any other field.

    Raises:
        Unfit: one is of another type.
    """
    return _members(values, INPUTS["Arguments"], "", INPUTS)


def fitted(value: Any, wanted: TypeNode, where: str, inputs: Mapping[str, Fields]) -> Any:
    """A value as its type has it: one where a list is wanted is a list of one, and null may stand for any value.

    Args:
        where: the path of the value, for the message.
        inputs: the types of objects by name; a value of a type that is no scalar and not among them passes.

    Raises:
        Unfit: it is of another type.
    """
    if isinstance(wanted, NonNullTypeNode):
        return fitted(value, wanted.type, where, inputs)
    if value is None:
        return None
    if isinstance(wanted, ListTypeNode):
        items = value if isinstance(value, list) else [value]
        if isinstance(wanted.type, NonNullTypeNode) and None in items:
            raise Unfit(f"{where} must not hold null")
        return [fitted(item, wanted.type, f"{where}[{place}]", inputs) for place, item in enumerate(items)]
    name = cast(NamedTypeNode, wanted).name.value
    if (fields := inputs.get(name)) is not None:
        return _object(value, fields, where, inputs)
    return _scalar(value, name, where) if name in _SCALARS else value


def _object(value: Any, fields: Fields, where: str, inputs: Mapping[str, Fields]) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise Unfit(f"{where} must be an object, got {value!r:.100}")
    for name, wanted in fields.items():
        if isinstance(wanted, NonNullTypeNode) and value.get(name) is None:
            raise Unfit(f"{where} lacks `{name}`")
    return _members(value, fields, f"{where}.", inputs)


def _members(values: Mapping[str, Any], fields: Fields, prefix: str, inputs: Mapping[str, Fields]) -> dict[str, Any]:
    return {
        name: fitted(item, fields[name], f"{prefix}{name}", inputs) if name in fields else item
        for name, item in values.items()
    }


def _scalar(value: Any, name: str, where: str) -> Any:
    kinds = _SCALARS[name]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        raise Unfit(f"{where} must be of type {name}, got {value!r:.100}")
    bits = _BITS.get(name, 64)
    if isinstance(value, int) and not -(2 ** (bits - 1)) <= value < 2 ** (bits - 1):
        raise Unfit(f"{where} must be a number of {bits} bits, got {value!r:.100}")
    if not isinstance(value, str):
        return value
    kept = texts.kept(value)
    if kept != value and name != "JSONString":  # half a letter in a name would make it another
        raise Unfit(f"{where} must be text that UTF-8 can hold, got {value!r:.100}")
    return kept
