"""What follows from time and from what runs report: dead runs and agents, early stops."""

from typing import Any

from cola_sweep.server.store.database import Store
from cola_sweep.server.store.runs import Run


def expire(store: Store) -> None:
    """End what has gone silent."""


def on_stream(store: Store, run: Run, body: dict[str, Any]) -> None:
    """Judge a sweep's run on what it has just logged."""
