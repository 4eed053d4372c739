"""Logged tables: parsed, sorted, searched, and cut into pages. Pure.

>>> table = parse(b'{"columns": ["n", "word"], "data": [[2, "two"], [NaN, "none"], [10, "ten"]]}')
>>> [row[1] for row in view(table, sort="n", down=True).rows]
['ten', 'two', 'none']
"""

import json
import math
from collections.abc import Sequence
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
    try:
        body = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise BadTable(f"its file is not JSON: {error}") from None
    columns, rows = (body.get("columns"), body.get("data")) if isinstance(body, dict) else (None, None)
    if not isinstance(columns, list) or not isinstance(rows, list):
        raise BadTable("its file has no columns and data")
    width = len(columns)
    if not all(isinstance(row, list) and len(row) == width for row in rows):
        raise BadTable(f"a row of it has not the {width} cells of its columns")
    return Table(tuple(map(str, columns)), rows)


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
    if isinstance(cell, float):
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
