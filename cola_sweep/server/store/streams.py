"""The line streams of a run: `history`, `events` (system metrics), `console`.

Line i of a stream is row (run, i), so a request that is sent again changes nothing. Beside the
rows, the run keeps what is asked often: line counts, the greatest step, what history holds of each
key, and the newest system metrics. New lines at the end are added to these; lines that overwrite
others make them be counted anew.
"""

import json
import re
import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from cola_sweep.server import history_keys, texts
from cola_sweep.server.paths import MISSING, lookup
from cola_sweep.server.store import runs
from cola_sweep.server.store.database import Store

Stream = Literal["history", "events", "console"]
T = TypeVar("T")
# A key found in the text of a row as it is found in the row: no letter of it is escaped in JSON.
_PLAIN = re.compile(r"[\w/ .:@+-]+", re.ASCII)


@dataclass(frozen=True)
class Chunk:
    """Lines `offset`, `offset + 1`, ... of a stream; `rows` are the parsed ones, none for the console."""

    stream: Stream
    offset: int
    lines: Sequence[str]
    rows: Sequence[dict[str, Any]] = ()


def chunk(stream: Stream, offset: int, lines: Sequence[str]) -> Chunk:
    """Parse lines before the writer is held.

    Raises:
        ValueError: a line of history or events is not a JSON object.
    """
    if stream == "console":
        return Chunk(stream, offset, [texts.kept(line) for line in lines])
    read = [texts.read(f"line {number} of {stream}", line) for number, line in enumerate(lines, offset)]
    return Chunk(stream, offset, [text for _, text in read], [row for row, _ in read])


def write_lines(store: Store, run_id: int, stream: Stream, offset: int, lines: Sequence[str]) -> None:
    """Put lines at `offset` of a stream, over what was there.

    Raises:
        ValueError: a line of history or events is not a JSON object; then nothing is written.
    """
    write(store, run_id, chunk(stream, offset, lines))


def write(store: Store, run_id: int, part: Chunk) -> None:
    """`write_lines` of a chunk that is parsed already. A run that is deleted takes no more lines."""
    if not part.lines:
        return
    with store.write() as db:
        run = runs.by_id(store, run_id)
        if run is None:
            return
        end = part.offset + len(part.lines)
        if part.stream == "history":
            _write_history(db, run, part, end)
        elif part.stream == "events":
            _write_events(db, run, part, end)
        else:
            numbered = [(run.id, part.offset + i, line) for i, line in enumerate(part.lines)]
            db.executemany("INSERT OR REPLACE INTO console (run_id, line, data) VALUES (?, ?, ?)", numbered)
            db.execute("UPDATE runs SET console_lines = max(console_lines, ?) WHERE id = ?", (end, run.id))


def _write_history(db: sqlite3.Connection, run: runs.Run, part: Chunk, end: int) -> None:
    numbered = [
        (run.id, line, step_of(row, line), text)
        for line, (row, text) in enumerate(zip(part.rows, part.lines, strict=True), part.offset)
    ]
    db.executemany("INSERT OR REPLACE INTO history (run_id, line, step, data) VALUES (?, ?, ?, ?)", numbered)
    if part.offset < run.history_lines:
        recount_history(db, run.id)
        return
    keys = history_keys.fold(json.loads(run.keys_json), part.rows)
    last_step = max(step for _, _, step, _ in numbered)
    db.execute(
        "UPDATE runs SET keys_json = ?, history_lines = ?, last_step = max(coalesce(last_step, ?), ?) WHERE id = ?",
        (json.dumps(keys), end, last_step, last_step, run.id),
    )


def _write_events(db: sqlite3.Connection, run: runs.Run, part: Chunk, end: int) -> None:
    numbered = [(run.id, part.offset + i, line) for i, line in enumerate(part.lines)]
    db.executemany("INSERT OR REPLACE INTO events (run_id, line, data) VALUES (?, ?, ?)", numbered)
    newest: dict[str, Any] = {}
    if part.offset < run.events_lines:
        rows: Iterable[dict[str, Any]] = _parsed(db.execute(_LINES.format("events"), (run.id,)))
    else:
        newest, rows = json.loads(run.system_json), part.rows
    for row in rows:
        newest.update(row)
    db.execute(
        "UPDATE runs SET system_json = ?, events_lines = max(events_lines, ?) WHERE id = ?",
        (json.dumps(newest), end, run.id),
    )


def recount_history(db: sqlite3.Connection, run_id: int) -> None:
    """Take line count, greatest step and keys from the rows of history; inside a transaction."""
    db.execute("DELETE FROM climbs WHERE run_id = ?", (run_id,))
    lines, last_step = db.execute("SELECT max(line) + 1, max(step) FROM history WHERE run_id = ?", (run_id,)).fetchone()
    keys = history_keys.fold({}, _parsed(db.execute(_LINES.format("history"), (run_id,))))
    db.execute(
        "UPDATE runs SET keys_json = ?, history_lines = ?, last_step = ? WHERE id = ?",
        (json.dumps(keys), lines or 0, last_step, run_id),
    )


def rewind(store: Store, run_id: int, step: int) -> None:
    """Drop history after `step`; the summary becomes the newest values of what is left."""
    with store.write() as db:
        db.execute("DELETE FROM history WHERE run_id = ? AND step > ?", (run_id, step))
        _summarize(store, db, run_id)


def inherit(store: Store, run_id: int, source_id: int, step: int) -> None:
    """Begin the history of a run with another's up to and with `step`; the summary becomes its newest values."""
    with store.write() as db:
        db.execute(
            "INSERT INTO history (run_id, line, step, data)"
            " SELECT ?, row_number() OVER (ORDER BY step, line) - 1, step, data"
            " FROM history WHERE run_id = ? AND step <= ?",
            (run_id, source_id, step),
        )
        _summarize(store, db, run_id)


def _summarize(store: Store, db: sqlite3.Connection, run_id: int) -> None:
    recount_history(db, run_id)
    summary: dict[str, Any] = {}
    for row in _parsed(db.execute(_LINES.format("history"), (run_id,))):
        summary.update(row)
    runs.update(store, run_id, summary_json=json.dumps(summary))


def clear(store: Store, run_id: int) -> None:
    """Forget every line of a run, and what was kept of them."""
    with store.write() as db:
        for table in ("history", "events", "console", "shared_lines", "climbs"):
            db.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
        nothing = {"history_lines": 0, "events_lines": 0, "console_lines": 0, "last_step": None}
        runs.update(store, run_id, **nothing, keys_json="{}", system_json="{}", summary_json="{}")


def history_texts(
    store: Store, run_id: int, *, samples: int | None = None, min_step: int | None = None, max_step: int | None = None
) -> list[str]:
    """Rows as JSON text with min_step <= step < max_step, by step; at most `samples`, evenly chosen."""
    where, values = _where(run_id, (), min_step, max_step)
    lines = [row[0] for row in store.all(f"SELECT line FROM history WHERE {where} ORDER BY step, line", values)]
    return texts_at(store, run_id, "history", sample(lines, samples))


def history_rows(
    store: Store,
    run_id: int,
    keys: Sequence[str] = (),
    *,
    samples: int | None = None,
    min_step: int | None = None,
    max_step: int | None = None,
) -> list[dict[str, Any]]:
    """Parsed rows by step that have all of `keys`, cut down to these; without keys, whole rows.

    Args:
        samples: at most so many, evenly chosen, first and last among them.
        min_step, max_step: min_step <= step < max_step.
    """
    where, values = _where(run_id, keys, min_step, max_step)
    rows = _parsed(store.all(f"SELECT data FROM history WHERE {where} ORDER BY step, line", values))
    if keys:
        picked = ({key: lookup(row, key) for key in keys} for row in rows)
        rows = [row for row in picked if MISSING not in row.values()]
    return sample(rows, samples)


def history_values(store: Store, run_id: int, key: str, *, from_line: int = 0) -> list[tuple[int, float]]:
    """(step, value) of each row from a line on in which `key` is a number, by step; NaN and infinities included."""
    where, values = _where(run_id, [key])
    sql = f"SELECT step, data FROM history WHERE {where} AND line >= ? ORDER BY step, line"
    found = []
    for step, data in store.all(sql, [*values, from_line]):
        value = lookup(json.loads(data), key)
        if isinstance(value, int | float) and not isinstance(value, bool):
            found.append((step, float(value)))
    return found


def lines_from(store: Store, run_id: int, stream: Stream, line: int, most: int) -> list[tuple[int, str]]:
    """(number, text) of at most so many lines of a stream from a line on."""
    sql = f"SELECT line, data FROM {stream} WHERE run_id = ? AND line >= ? ORDER BY line LIMIT ?"
    return [(row[0], row[1]) for row in store.all(sql, (run_id, line, most))]


def texts_at(store: Store, run_id: int, stream: Stream, lines: Sequence[int]) -> list[str]:
    """The texts of these lines of a stream, in the order of `lines`; one that is not there is left out."""
    sql = f"SELECT line, data FROM {stream} WHERE run_id = ? AND line IN (SELECT value FROM json_each(?))"
    texts = {row[0]: row[1] for row in store.all(sql, (run_id, json.dumps(lines)))}
    return [texts[line] for line in lines if line in texts]


def event_texts(store: Store, run_id: int, samples: int | None = None) -> list[str]:
    """System metrics rows as JSON text, in order; at most `samples`, evenly chosen."""
    lines = [row[0] for row in store.all("SELECT line FROM events WHERE run_id = ? ORDER BY line", (run_id,))]
    return texts_at(store, run_id, "events", sample(lines, samples))


def tail(store: Store, run_id: int, stream: Stream) -> str | None:
    """The text of a stream's last line."""
    row = store.one(f"SELECT data FROM {stream} WHERE run_id = ? ORDER BY line DESC LIMIT 1", (run_id,))
    return row[0] if row else None


def console(store: Store, run_id: int, *, after: int = -1, first: int) -> list[tuple[int, str]]:
    """(number, text) of console lines behind line `after`."""
    sql = "SELECT line, data FROM console WHERE run_id = ? AND line > ? ORDER BY line LIMIT ?"
    return [(row[0], row[1]) for row in store.all(sql, (run_id, after, first))]


def console_tail(store: Store, run_id: int, last: int) -> list[tuple[int, str]]:
    """(number, text) of the last console lines, in order."""
    sql = "SELECT line, data FROM console WHERE run_id = ? ORDER BY line DESC LIMIT ?"
    return [(row[0], row[1]) for row in reversed(store.all(sql, (run_id, last)))]


def sample(items: Sequence[T], count: int | None) -> list[T]:
    """At most `count` items, evenly spaced, first and last among them; one alone is the last."""
    if count is None or len(items) <= count:
        return list(items)
    if count < 2:
        return list(items[-1:]) if count == 1 else []
    last = len(items) - 1
    return [items[i * last // (count - 1)] for i in range(count)]


def step_of(row: dict[str, Any], line: int) -> int:
    """A history row's `_step`, or its line where it has none that is a whole number."""
    step = row.get("_step")
    if isinstance(step, float) and step.is_integer():
        step = int(step)
    return step if isinstance(step, int) and abs(step) < 2**63 else line


_LINES = "SELECT data FROM {} WHERE run_id = ? ORDER BY line"


def _where(
    run_id: int, keys: Sequence[str], min_step: int | None = None, max_step: int | None = None
) -> tuple[str, list[Any]]:
    """The condition on rows of history that may have `keys`; it spares parsing most of the others."""
    where = "run_id = ?"
    values: list[Any] = [run_id]
    for key in filter(_PLAIN.fullmatch, keys):
        # Of a key into nested objects only the last part is sure to end a key of the text.
        where, values = f"{where} AND instr(data, ?)", [*values, key.rsplit(".", 1)[-1] + '"']
    if min_step is not None:
        where, values = f"{where} AND step >= ?", [*values, min_step]
    if max_step is not None:
        where, values = f"{where} AND step < ?", [*values, max_step]
    return where, values


def _parsed(rows: Iterable[sqlite3.Row]) -> list[dict[str, Any]]:
    return [json.loads(row[0]) for row in rows]
