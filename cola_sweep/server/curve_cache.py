"""The curves of runs that pages show, kept between requests: of a run that goes on only the new lines are read.

Of a long run that nobody has looked at lately, some lines are drawn at once, until all of them are read.
"""

import json
import secrets
import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from cola_sweep.server.curves import CLOCKS, Curves, Part
from cola_sweep.server.store import Store, streams

Stream = Literal["history", "events"]
MOST_POINTS = 700_000  # kept of all runs together: in 15 MB of short runs, in 55 MB of long ones
_CHUNK = 2000  # lines
LONG = 20_000  # lines that take longer to read than a reader likes to wait
_SOME = 2000  # of a long run's lines, evenly chosen


@dataclass(frozen=True)
class Drawn:
    """Curves by key; with their `version`, to be asked for again since these. Those of some lines have none."""

    version: str
    parts: Mapping[str, Part]


@dataclass
class _Entry:
    """What is kept of one stream of a run: its curves up to a line, and that line as it was."""

    curves: Curves
    line: int = -1
    text: str = ""
    version: str = field(default_factory=lambda: secrets.token_hex(8))
    lock: threading.Lock = field(default_factory=threading.Lock)


class CurveCache:
    """Curves by run and stream; those asked for last stay."""

    def __init__(self) -> None:
        self._entries: OrderedDict[tuple[int, Stream, tuple[str, ...]], _Entry] = OrderedDict()
        self._lock = threading.Lock()

    def draw(
        self,
        store: Store,
        run_id: int,
        stream: Stream,
        counts: Mapping[str, int],
        axes: Sequence[str] = CLOCKS,
        version: str = "",
    ) -> Drawn:
        """The curves of the keys in `counts`, with every line that is there now; see `Curves.part`.

        Args:
            counts: how many values the asker has of each, drawn as `version`; of another one, it is given all.
        """
        name = (run_id, stream, tuple(axes))
        with self._lock:
            entry = self._entries.setdefault(name, _Entry(Curves(axes)))
            self._entries.move_to_end(name)
        with entry.lock:
            _read(store, run_id, stream, entry, axes)
            known = version == entry.version
            parts = {key: entry.curves.part(key, count if known else 0) for key, count in counts.items()}
            drawn = Drawn(entry.version, parts)
        self._forget()
        return drawn

    def some(
        self, store: Store, run_id: int, stream: Stream, counts: Mapping[str, int], axes: Sequence[str], lines: int
    ) -> Drawn | None:
        """Curves like those of `draw`, out of a part of the run's lines; None where `draw` itself has few to read.

        Args:
            lines: how many the stream has.
        """
        entry = self._entries.get((run_id, stream, tuple(axes)))
        if lines - (entry.line if entry else 0) < LONG:
            return None
        curves = Curves(axes)
        curves.add(_rows(streams.texts_at(store, run_id, stream, streams.sample(range(lines), _SOME))))
        return Drawn("", {key: curves.part(key) for key in counts})

    def _forget(self) -> None:
        with self._lock:
            kept = sum(entry.curves.size for entry in self._entries.values())
            while kept > MOST_POINTS and len(self._entries) > 1:
                kept -= self._entries.popitem(last=False)[1].curves.size


def _read(store: Store, run_id: int, stream: Stream, entry: _Entry, axes: Sequence[str]) -> None:
    """Fold in the lines that are new; all of them where those read before are no longer there as they were."""
    if entry.line >= 0:
        newest = streams.lines_from(store, run_id, stream, entry.line, 1)
        if newest != [(entry.line, entry.text)]:
            entry.curves, entry.line, entry.version = Curves(axes), -1, secrets.token_hex(8)
    while lines := streams.lines_from(store, run_id, stream, entry.line + 1, _CHUNK):
        entry.curves.add(_rows([text for _, text in lines]))
        entry.line, entry.text = lines[-1]


def _rows(texts: Sequence[str]) -> list[dict[str, Any]]:
    """Rows of JSON, parsed at once: a fifth faster than each by itself."""
    rows: list[dict[str, Any]] = json.loads(f"[{','.join(texts)}]")
    return rows
