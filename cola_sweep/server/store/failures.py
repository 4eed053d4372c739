"""Which failures pass, the only ones that a client should answer by asking again, and which are its own."""

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


def ill_typed(error: BaseException) -> bool:
    """Whether a value in a JSON text was none that a column takes: a list, a number beyond 64 bits, half a letter."""
    if isinstance(error, UnicodeEncodeError):  # of a lone surrogate
        return True
    binding = isinstance(error, sqlite3.ProgrammingError) and "binding parameter" in str(error)
    return binding or (isinstance(error, OverflowError) and "SQLite" in str(error))
