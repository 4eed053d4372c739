"""Logged tables: parsed, sorted, searched, and cut into pages. Pure.

>>> table = parse(b'{"columns": ["n", "word"], "data": [[2, "two"], [NaN, "none"], [10, "ten"]]}')
>>> [row[1] for row in view(table, sort="n", down=True).rows]
['ten', 'two', 'none']
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

PAGE_ROWS = 50


class BadTable(ValueError):
    """A table that cannot be shown; says why."""


@dataclass(frozen=True)
class Table:
    """Names of columns, and rows of as many cells, which are JSON values."""

    columns: tuple[str, ...]
    rows: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class View:
    """One page of a table.

    Attributes:
        found: how many rows the search left.
        page, pages: number of this page, from 1, and of all.
    """

    rows: Sequence[Sequence[Any]]
    found: int
    page: int
    pages: int


def parse(content: bytes) -> Table:
    """A table as the client writes it: `{"columns": [...], "data": [[...], ...]}`.

    Raises:
        BadTable: it is none.
    """
    return of(body(content))


def body(content: bytes) -> dict[str, Any]:
    """The JSON object in a table's file.

    Raises:
        BadTable: it holds none.
    """
    try:
        found = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadTable(f"its file is not JSON: {error}") from None
    if not isinstance(found, dict):
        raise BadTable("its file has no columns and data")
    return found


def of(body: Mapping[str, Any]) -> Table:
    """`parse` of what is parsed already."""
    columns, rows = body.get("columns"), body.get("data")
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise BadTable("its file has no columns and data")
    width = len(columns)
    if not all(isinstance(row, list) and len(row) == width for row in rows):
        raise BadTable(f"a row of it has not the {width} cells of its columns")
    return Table(tuple(map(str, columns)), rows)


def beside(one: Table, other: Table, key: str, other_key: str) -> Table:
    """Both tables' rows side by side where their keys are alike, and those without a partner, as `wandb.JoinedTable`.

    Raises:
        BadTable: a table has no such column.
    """
    if key not in one.columns or other_key not in other.columns:
        raise BadTable(f"it joins columns {key!r} and {other_key!r}, and one of its tables has no such column")
    at, other_at = one.columns.index(key), other.columns.index(other_key)
    partners: dict[str, list[Sequence[Any]]] = {}
    for row in other.rows:
        partners.setdefault(text(row[other_at]), []).append(row)
    rows: list[Sequence[Any]] = []
    matched: set[str] = set()
    for row in one.rows:
        name = text(row[at])
        matched.add(name)
        rows += [[*row, *partner] for partner in partners.get(name, [[None] * len(other.columns)])]
    rows += [[*[None] * len(one.columns), *row] for row in other.rows if text(row[other_at]) not in matched]
    return Table((*(f"0.{name}" for name in one.columns), *(f"1.{name}" for name in other.columns)), rows)


def joined(tables: Sequence[Table]) -> Table:
    """The rows of tables of the same columns, as increments are.

    Raises:
        BadTable: they differ in columns, or there is none.
    """
    if len({table.columns for table in tables}) != 1:
        raise BadTable("its parts have different columns" if tables else "none of its parts has arrived yet")
    return Table(tables[0].columns, [row for table in tables for row in table.rows])


def view(table: Table, *, sort: str = "", down: bool = False, find: str = "", column: str = "", page: int = 1) -> View:
    """A page of the rows that hold `find`, in `column` or anywhere, whatever the case, ordered by column `sort`."""
    rows = table.rows
    if find:
        at = [table.columns.index(column)] if column in table.columns else range(len(table.columns))
        wanted = find.casefold()
        rows = [row for row in rows if any(wanted in text(row[i]).casefold() for i in at)]
    if sort in table.columns:
        rows = _sorted(rows, table.columns.index(sort), down)
    pages = max(1, -(-len(rows) // PAGE_ROWS))
    page = min(max(page, 1), pages)
    return View(rows[(page - 1) * PAGE_ROWS : page * PAGE_ROWS], len(rows), page, pages)


def text(cell: Any) -> str:
    """A cell as it is shown."""
    if cell is None:
        return ""
    if isinstance(cell, str):
        return cell
    if isinstance(cell, float) and math.isfinite(cell):
        return f"{cell:.6g}"
    if isinstance(cell, dict) and isinstance(cell.get("caption"), str):
        return str(cell["caption"])
    return json.dumps(cell, ensure_ascii=False)


def _sorted(rows: Sequence[Sequence[Any]], at: int, down: bool) -> list[Sequence[Any]]:
    """Numbers by size, then all else by its text; cells without a value last in both directions."""
    numbers, texts, nothing = [], [], []
    for row in rows:
        cell = row[at]
        if isinstance(cell, int | float) and not math.isnan(cell):
            numbers.append(row)
        elif cell is None or isinstance(cell, float):
            nothing.append(row)
        else:
            texts.append(row)
    numbers.sort(key=lambda row: row[at], reverse=down)
    texts.sort(key=lambda row: text(row[at]).casefold(), reverse=down)
    return [*texts, *numbers, *nothing] if down else [*numbers, *texts, *nothing]
