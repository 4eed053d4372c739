"""Which failures pass, the only ones that a client should answer by asking again."""

import errno
import sqlite3
from sqlite3 import DatabaseError as DatabaseError  # a file that is not a database, or too new

_ERRNO = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EMFILE, errno.ENFILE, errno.ENOMEM})
_SQLITE = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR})


def transient(error: BaseException) -> bool:
    """Whether the same request may work later: the disk is full, the database is busy."""
    if isinstance(error, sqlite3.Error):
        # The low byte is the primary code; the rest says more about it.
        return getattr(error, "sqlite_errorcode", 0) & 0xFF in _SQLITE
    return isinstance(error, OSError) and error.errno in _ERRNO
