"""Where the lines of a run's several processes lie in the run: each takes the next free one as it arrives."""

import json
from collections.abc import Iterator
from dataclasses import replace

from cola_sweep.server.store import runs
from cola_sweep.server.store.database import Store
from cola_sweep.server.store.streams import Chunk


def placed(store: Store, run: runs.Run, writer: str, part: Chunk) -> Iterator[Chunk]:
    """`part` with the run's line numbers for the writer's own, in as many pieces as it takes. Inside a transaction.

    A line that comes again goes to where it went before. A row of history has its line as its `_step`, for a
    writer does not know of the steps of the others.
    """
    key = (run.id, part.stream, writer)
    numbers = range(part.offset, part.offset + len(part.lines))
    sql = "SELECT number, line FROM shared_lines WHERE run_id = ? AND stream = ? AND writer = ? AND number >= ?"
    known = {row[0]: row[1] for row in store.all(sql, (*key, part.offset))}
    free = {"history": run.history_lines, "events": run.events_lines, "console": run.console_lines}[part.stream]
    fresh = {number: free + i for i, number in enumerate(n for n in numbers if n not in known)}
    with store.write() as db:
        db.executemany(
            "INSERT INTO shared_lines (run_id, stream, writer, number, line) VALUES (?, ?, ?, ?, ?)",
            [(*key, number, line) for number, line in fresh.items()],
        )
    lines = [(known | fresh)[number] for number in numbers]
    start = 0
    for end in range(1, len(lines) + 1):
        if end == len(lines) or lines[end] != lines[end - 1] + 1:
            yield _at(lines[start], part, slice(start, end))
            start = end


def _at(line: int, part: Chunk, piece: slice) -> Chunk:
    moved = replace(part, offset=line, lines=part.lines[piece], rows=part.rows[piece])
    if part.stream != "history":
        return moved
    rows = [{**row, "_step": line + i} for i, row in enumerate(moved.rows)]
    return replace(moved, rows=rows, lines=[json.dumps(row) for row in rows])
