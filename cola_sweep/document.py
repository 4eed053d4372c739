"""A YAML text as its values and the line of each key path. Pure.

>>> document = parse("parameters:\\n  lr:\\n    values: [1, 2]\\n")
>>> document.line("parameters.lr.values[1]")
3

Imports yaml, and of ours the error.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import yaml

from cola_sweep.errors import UserError


@dataclass(frozen=True)
class Document:
    """What a YAML text holds.

    Attributes:
        data: its values.
        lines: from 1, by key path: `a.b`, and `a.b[0]` for the items of a list.
    """

    data: Any
    lines: Mapping[str, int]

    def line(self, where: str) -> int:
        """The line of a key path, or of the nearest key above it; nested trees may skip their `parameters` keys."""
        flat = {path.replace(".parameters.", "."): line for path, line in self.lines.items()}
        while where:
            if where in self.lines or where in flat:
                return self.lines.get(where) or flat[where]
            where = where.rpartition(".")[0]
        return 1


def parse(text: str, source: str = "") -> Document:
    """Read a YAML text; with a `source`, errors begin with it and the line.

    Raises:
        UserError: it is not YAML, a key stands twice, of which YAML would drop one, or a value is none of JSON's.
    """
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        document = Document(yaml.safe_load(text), dict(_lines(root, "")))
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        where = f"{source}:{line}" if source else f"line {line}"
        raise UserError(where, rule=f"is not YAML: {error.problem}", fix="correct the line") from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise UserError(source or "sweep", rule=f"is not YAML: {error}", fix="correct the text") from None
    for path, value in _foreign(document.data, ""):
        where = f"{source}:{document.line(path)}: {path}" if source else path
        rule = "YAML reads this as what JSON, in which sweeps are sent, does not have"
        raise UserError(where, got=str(value), rule=rule, fix="write it in quotes, or as a list")
    return document


def _foreign(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    """The dates, bytes and sets in a value, by their key paths."""
    if isinstance(value, date | bytes | set):
        yield path, value
    members = enumerate(value) if isinstance(value, list) else value.items() if isinstance(value, Mapping) else ()
    for key, member in members:
        place = f"{path}[{key}]" if isinstance(value, list) else f"{path}.{key}" if path else str(key)
        yield from _foreign(member, place)


def _lines(node: yaml.Node | None, path: str) -> Iterator[tuple[str, int]]:
    if isinstance(node, yaml.SequenceNode):
        for i, item in enumerate(node.value):
            yield f"{path}[{i}]", item.start_mark.line + 1
            yield from _lines(item, f"{path}[{i}]")
    if not isinstance(node, yaml.MappingNode):
        return
    seen = set()
    for key, value in node.value:
        if key.value in seen and isinstance(key.value, str):
            raise yaml.MarkedYAMLError(problem=f"key {key.value!r} stands twice", problem_mark=key.start_mark)
        if isinstance(key.value, str):
            seen.add(key.value)
        # A key `on` is True.
        name = yaml.SafeLoader.bool_values[key.value.lower()] if key.tag.endswith(":bool") else key.value
        here = f"{path}.{name}" if path else str(name)
        yield here, key.start_mark.line + 1
        yield from _lines(value, here)
