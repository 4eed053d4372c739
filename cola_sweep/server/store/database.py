"""Opening the database, reading it from any thread, writing it from one at a time.

with store.write() as db:          # one transaction; nested calls join it
    db.execute("UPDATE ...")
store.all("SELECT ...")            # outside: a reader of this thread's own
"""

import logging
import math
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path
from time import time
from typing import Any

from cola_sweep.server.hearing import Hearing

SCHEMA_VERSION = 7
# Pages of the write-ahead log, 16 MiB, from which on a commit folds in what `checkpoint` left, and it begins anew.
_LOG_PAGES = 2**12


class Store:
    """The database of one data folder.

    Args:
        path: the SQLite file; made with its tables when absent.
        clock: seconds since the epoch; tests pass their own.
        steady: seconds that nobody sets, to tell a clock that was set from time that has passed; None trusts the clock.

    Raises:
        sqlite3.DatabaseError: the file is not a database, or of a newer version than this code.
    """

    def __init__(
        self, path: Path, clock: Callable[[], float] = time, steady: Callable[[], float] | None = None
    ) -> None:
        self.path = path
        self.clock = clock
        self._hearing = Hearing(clock, steady) if steady is not None else None
        self._lock = threading.RLock()
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._writer = self._connect()
        self._depth = 0
        self._owner: int | None = None
        self._spoilt = False
        self.undone = 0  # transactions: what was read inside one of them never was
        self._migrate()

    def now(self) -> str:
        """The clock's time as W&B writes it: UTC, ISO 8601, no zone: 2026-11-23T12:00:00.123456."""
        return iso(self.clock())

    def heard_since(self) -> float:
        """The clock's time from which on whoever spoke was heard; see `hearing`."""
        return self._hearing.since() if self._hearing is not None else -math.inf

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """One transaction: committed when the block ends, rolled back when it raises."""
        with self._lock:
            if self._depth == 0:
                self._writer.execute("BEGIN IMMEDIATE")
                self._owner = threading.get_ident()
            self._depth += 1
            try:
                yield self._writer
            except BaseException:
                self._leave(commit=False)
                raise
            self._leave(commit=True)

    def all(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> list[sqlite3.Row]:
        """Every row of a query; inside `write` it sees that transaction."""
        return self._reader().execute(sql, parameters).fetchall()

    def one(self, sql: str, parameters: Sequence[Any] | dict[str, Any] = ()) -> sqlite3.Row | None:
        """The first row of a query, or None."""
        row: sqlite3.Row | None = self._reader().execute(sql, parameters).fetchone()
        return row

    def checkpoint(self) -> None:
        """Fold the write-ahead log into the file, beside readers and the writer: a commit then finds little to fold."""
        self._reader().execute("PRAGMA wal_checkpoint(PASSIVE)")

    def close(self) -> None:
        """Close every connection; the write-ahead log is folded into the file."""
        with self._lock:
            for connection in [*self._readers, self._writer]:
                connection.close()

    def _leave(self, *, commit: bool) -> None:
        self._depth -= 1
        # An inner failure undoes the whole transaction, even when caught: half of a change is never kept.
        self._spoilt |= not commit
        if self._depth:
            return
        spoilt, self._spoilt, self._owner = self._spoilt, False, None
        self.undone += 1  # unless what follows goes well
        try:
            if not spoilt:
                self._writer.execute("COMMIT")
                self.undone -= 1
        finally:
            # SQLite may have undone it already, as where the disk is full; what is open now is what failed.
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        if spoilt and commit:
            raise sqlite3.OperationalError("the transaction was undone, since a part of it failed")

    def _reader(self) -> sqlite3.Connection:
        if self._owner == threading.get_ident():
            return self._writer
        if not hasattr(self._local, "connection"):
            self._local.connection = self._connect()
            # Without the lock, which a writer may hold: a reader never waits. Appending is atomic.
            self._readers.append(self._local.connection)
        connection: sqlite3.Connection = self._local.connection
        return connection

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self.path, timeout=30, isolation_level=None, check_same_thread=False)
        connection.row_factory = sqlite3.Row
        connection.executescript(
            # A commit in WAL mode survives kill -9 with NORMAL; a power cut may take the last ones.
            "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON;"
            f"PRAGMA wal_autocheckpoint={_LOG_PAGES};"
        )
        return connection

    def _migrate(self) -> None:
        version = self._writer.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise sqlite3.DatabaseError(
                f"{self.path}: schema {version} is newer than {SCHEMA_VERSION}, the newest known"
            )
        if 0 < version < SCHEMA_VERSION:
            logging.getLogger(__name__).info("bringing %s from schema %d to %d", self.path, version, SCHEMA_VERSION)
        for number in range(version + 1, SCHEMA_VERSION + 1):
            script = resources.files(__package__).joinpath(f"migrations/{number:04}.sql").read_text()
            self._writer.executescript(f"BEGIN;\n{script}\nPRAGMA user_version={number};\nCOMMIT;")


def iso(seconds: float) -> str:
    """Seconds since the epoch as UTC text without a zone, the form W&B's client parses."""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")


def seconds(text: str) -> float:
    """The inverse of `iso`, to the microsecond."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()
