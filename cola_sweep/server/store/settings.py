"""What the server keeps about itself: named texts, and counts of the fields that nobody resolves."""

from collections.abc import Callable, Mapping

from cola_sweep.server.store.database import Store


def get(store: Store, name: str) -> str | None:
    """The setting's value, or None."""
    row = store.one("SELECT value FROM settings WHERE name = ?", (name,))
    return row["value"] if row else None


def put(store: Store, name: str, value: str) -> None:
    """Set a setting."""
    with store.write() as db:
        db.execute("INSERT OR REPLACE INTO settings (name, value) VALUES (?, ?)", (name, value))


def get_or_make(store: Store, name: str, make: Callable[[], str]) -> str:
    """The setting's value; where it has none, what `make` returns, kept from then on."""
    with store.write():
        if (value := get(store, name)) is None:
            value = make()
            put(store, name, value)
        return value


def count_unknown(store: Store, fields: Mapping[str, int]) -> None:
    """Add to the counts of GraphQL fields that were asked for and are not known here."""
    with store.write() as db:
        db.executemany(
            "INSERT INTO unknown_fields (name, count) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
            list(fields.items()),
        )


def unknown_fields(store: Store) -> dict[str, int]:
    """The counts so far, the most asked for first."""
    rows = store.all("SELECT name, count FROM unknown_fields ORDER BY count DESC, name")
    return {row["name"]: row["count"] for row in rows}
