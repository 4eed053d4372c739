"""A logged table's page: sorted, searched and turned on the server, so that it may have many thousand rows.

The run's page shows the same, by taking the part `#table` out of this one.
"""

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from cola_sweep.server import media, table_files, tables
from cola_sweep.server.pages.frame import Page
from cola_sweep.server.pages.logged import held_address, values_by_step
from cola_sweep.server.pages.places import Link, in_project, project_of, run_of, trail
from cola_sweep.server.store.runs import Run
from cola_sweep.server.tables import BadTable, Table, View


@dataclass(frozen=True)
class Cell:
    """What a cell shows: a text, or a file by its address."""

    text: str
    kind: str = "text"
    source: str = ""


def page(request: Request) -> Page:
    """One page of a table that a run logged under a key, at one of its steps."""
    project = project_of(request)
    run, asked = run_of(request, project), request.query_params
    key, step = asked.get("key", ""), asked.get("step", "")
    address = in_project(project, "runs", run.name)
    way = (*trail(project), Link(run.display_name, address))
    logged = values_by_step(request.state.store, run, key)
    value = next((value for at, value in logged if str(at) == step), logged[-1][1] if logged else None)
    values: dict[str, Any] = {
        "key": key,
        "step": step,
        "steps": [at for at, _ in logged if at is not None],
        "address": f"{address}/table",
        "find": asked.get("find", ""),
        "column": asked.get("column", ""),
        "wrong": "",
    }
    try:
        table = table_files.load(request.state.context, run, value)
    except BadTable as error:
        return Page("table.html.j2", key, way, values | {"wrong": str(error)})
    return Page("table.html.j2", key, way, values | _shown(table, run, asked, f"{address}/table"))


def _shown(table: Table, run: Run, asked: Any, address: str) -> dict[str, Any]:
    sort, down, page_number = asked.get("sort", ""), asked.get("down", "") == "1", asked.get("page", "1")
    chosen: View = tables.view(
        table, sort=sort, down=down, find=asked.get("find", ""), column=asked.get("column", ""),
        page=int(page_number) if page_number.isdecimal() and len(page_number) < 10 else 1,
    )  # fmt: skip

    def to(**changes: str) -> str:
        return f"{address}?{urlencode({**asked, **changes})}"

    rows = [[_cell(run, cell) for cell in row] for row in chosen.rows]
    heads = []
    for at, name in enumerate(table.columns):
        order = ("descending" if down else "ascending") if name == sort else "none"
        toward = to(sort=name, down="1" if order == "ascending" else "", page="1")
        number = any(row[at].kind == "number" for row in rows)
        heads.append({"name": name, "order": order, "to": toward, "number": number})
    return {
        "columns": table.columns,
        "heads": heads,
        "rows": rows,
        "view": chosen,
        "total": len(table.rows),
        "before": to(page=str(chosen.page - 1)) if chosen.page > 1 else "",
        "after": to(page=str(chosen.page + 1)) if chosen.page < chosen.pages else "",
        "sort": sort,
        "down": "1" if down else "",
    }


def _cell(run: Run, cell: Any) -> Cell:
    if isinstance(cell, dict) and isinstance(cell.get("md5"), str):
        items = media.shown(cell)
        if items:
            return Cell(items[0].caption, items[0].kind, held_address(run, cell["md5"], items[0].path))
    number = isinstance(cell, int | float) and not isinstance(cell, bool)
    return Cell(tables.text(cell), "number" if number else "text")
