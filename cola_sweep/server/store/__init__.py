"""The server's records: SQLite in WAL mode, one writer. The only package that holds SQL.

A module per subject (`runs`, `sweeps`, `artifacts`, ...) offers plain functions that take a `Store`
and return frozen dataclasses. Imports nothing but the standard library.
"""

from cola_sweep.server.store.database import Store

__all__ = ["Store"]
