"""A run's console: its last lines first, earlier ones when they are asked for."""

import re
from typing import Any

from starlette.requests import Request

from cola_sweep.server.console_lines import console_line
from cola_sweep.server.pages.frame import Feed
from cola_sweep.server.pages.places import project_of, run_of
from cola_sweep.server.store import Store, streams
from cola_sweep.server.store.runs import Run

LINES = 400
# Colours and movements of a terminal (ECMA-48 sequences), and what else no page can show.
_ESCAPES = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[@-_]|[\x00-\x08\x0b-\x1f\x7f]")


def tail(store: Store, run: Run) -> list[dict[str, Any]]:
    """The last lines: number, level and text."""
    return [_line(*line) for line in streams.console_tail(store, run.id, LINES)]


def earlier(request: Request) -> Feed:
    """The lines before line `before`."""
    run = run_of(request, project_of(request))
    given = request.query_params.get("before", "")
    before = int(given) if given.isdecimal() and len(given) < 16 else run.console_lines
    begin = max(before - LINES, 0)

    def make() -> dict[str, Any]:
        lines = streams.console(request.state.store, run.id, after=begin - 1, first=before - begin)
        return {"live": False, "lines": [_line(*line) for line in lines]}

    return Feed(f"{run.updated_at} {before}", make)


def _line(number: int, text: str) -> dict[str, Any]:
    line = console_line(text)
    return {"number": number, "level": line["level"], "text": _ESCAPES.sub("", str(line["line"]))}
