"""Fill a chart's spec with the names of columns, with texts and with rows. Pure but for the presets, read once.

>>> spec = {"mark": "bar", "encoding": {"x": {"field": "${field:x}"}, "y": {"field": "${field:none}"}}}
>>> filled = fill(spec, ["a.b"], [[1]], {"x": "a.b"})
>>> filled["encoding"], filled["datasets"]
({'x': {'field': 'a_b'}}, {'wandb': [{'a_b': 1}]})
"""

import math
import re
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import resources
from typing import Any, Final

import yaml

DATA = "wandb"  # how a spec names the rows
_HOLE = re.compile(r"\$\{(field|string):([^}]*)\}")
# In a name these mean a path to Vega, or would end a text in an expression.
_UNSAFE = re.compile(r"[.\[\]'\"\\\x00-\x1f]")


class BadChart(ValueError):
    """A chart that cannot be drawn; says why."""


class _Left:
    """The type of `_LEFT`, what a hole that nothing fills becomes."""


_LEFT: Final = _Left()


@cache
def presets() -> dict[str, dict[str, Any]]:
    """The specs that the client names by itself, by these names."""
    text = resources.files(__package__).joinpath("presets.yaml").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return found


def fill(
    spec: Mapping[str, Any],
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
    fields: Mapping[str, Any] | None = None,
    strings: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The spec with its holes filled, and `rows` as the dataset "wandb".

    Args:
        spec: Vega-Lite, or Vega with an entry named "wandb" in its list of data.
        columns: of `rows`.
        fields: the column for each field; as `wandb.plot_table(fields=...)`.
        strings: the text for each name.

    Raises:
        BadChart: a column that is not there, or a spec nested deeper than any.
    """
    chosen = _columns(spec, columns, fields or {})
    safe = _safe_names(columns)
    holes = {("string", name): str(text) for name, text in (strings or {}).items() if text is not None}
    titles = holes | {("field", name): column for name, column in chosen.items()}
    names = holes | {("field", name): safe[column] for name, column in chosen.items()}
    body = {key: value for key, value in spec.items() if key not in ("fields", "usermeta")}
    try:
        filled = _filled(body, names, titles)
    except RecursionError:
        raise BadChart("its spec is nested too deeply") from None
    values = [{safe[name]: _value(cell) for name, cell in zip(columns, row, strict=False)} for row in rows]
    return _with_data(filled, values)


def _columns(spec: Mapping[str, Any], columns: Sequence[str], fields: Mapping[str, Any]) -> dict[str, str]:
    """The column of each field that has one."""
    chosen = {column: column for column in columns}
    candidates = spec.get("fields")
    for name, wanted in candidates.items() if isinstance(candidates, dict) else ():
        chosen |= [(name, column) for column in columns if isinstance(wanted, list) and column in wanted]
    for name, column in fields.items():
        if column is None or column == "":
            chosen.pop(name, None)
            continue
        if column not in columns:
            has = ", ".join(map(repr, columns)) or "none"
            raise BadChart(f"it draws column {column!r}, and its table has these: {has}")
        chosen[name] = column
    return chosen


def _safe_names(columns: Sequence[str]) -> dict[str, str]:
    """A name for each column that neither a path nor an expression of Vega can take for anything else."""
    safe: dict[str, str] = {}
    taken = {column for column in columns if not _UNSAFE.search(column)}
    for column in columns:
        name = column
        if column not in taken:
            name = _UNSAFE.sub("_", column)
            while name in taken:
                name += "_"
            taken.add(name)
        safe[column] = name
    return safe


def _filled(value: Any, names: Mapping[tuple[str, str], str], titles: Mapping[tuple[str, str], str]) -> Any:
    """`value` with its holes filled; what needs a field that was not given, `_LEFT`."""
    if isinstance(value, str):
        return _text(value, names)
    if isinstance(value, list):
        items = [_filled(item, names, titles) for item in value]
        return [item for item in items if item is not _LEFT]
    if isinstance(value, dict):
        parts = {key: _filled(part, titles if key == "title" else names, titles) for key, part in value.items()}
        if parts.get("field") is _LEFT:
            return _LEFT
        return {key: part for key, part in parts.items() if part is not _LEFT}
    return value


def _text(text: str, holes: Mapping[tuple[str, str], str]) -> Any:
    whole = _HOLE.fullmatch(text)
    if whole:
        # An empty title would still take room.
        return holes.get((whole[1], whole[2])) or _LEFT
    return _HOLE.sub(lambda hole: holes.get((hole[1], hole[2]), ""), text)


def _value(cell: Any) -> Any:
    return None if isinstance(cell, float) and not math.isfinite(cell) else cell


def _with_data(spec: dict[str, Any], values: list[dict[str, Any]]) -> dict[str, Any]:
    data = spec.get("data")
    if isinstance(data, list):
        entries = [
            {**entry, "values": values} if isinstance(entry, dict) and entry.get("name") == DATA else entry
            for entry in data
        ]
        return {"$schema": "https://vega.github.io/schema/vega/v6.json", **spec, "data": entries}
    given = spec.get("datasets")
    return {
        "$schema": "https://vega.github.io/schema/vega-lite/v6.json",
        "data": {"name": DATA},
        **spec,
        "datasets": {**(given if isinstance(given, dict) else {}), DATA: values},
    }
