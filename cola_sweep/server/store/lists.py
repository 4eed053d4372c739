"""What pages ask of many runs at once: whether anything changed since they last looked."""

from cola_sweep.server.store.database import Store


def version_of_project(store: Store, project_id: int) -> str:
    """A text that changes with any run or sweep of the project."""
    return _version(store, "project_id", project_id) + _newest(store, "project_id", project_id)


def version_of_sweep(store: Store, sweep_id: int) -> str:
    """A text that changes with the sweep, any run of it, and each sign of its agents."""
    return _version(store, "sweep_id", sweep_id) + _newest(store, "id", sweep_id)


def _version(store: Store, column: str, number: int) -> str:
    row = store.one(f"SELECT count(*), max(updated_at) FROM runs WHERE {column} = ? AND deleted_at IS NULL", (number,))
    return f"{row[0]} {row[1]} " if row else ""


def _newest(store: Store, column: str, number: int) -> str:
    # An agent's heartbeat is its sweep's, too.
    row = store.one(f"SELECT count(*), max(updated_at) FROM sweeps WHERE {column} = ?", (number,))
    return f"{row[0]} {row[1]}" if row else ""
