"""The database: transactions, readers on other threads, times, migrations."""

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from cola_sweep.server.store.database import SCHEMA_VERSION, Store, iso, seconds


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "server.db", clock=lambda: 0.25)
    yield store
    store.close()


def names(store: Store) -> list[str]:
    return [row["name"] for row in store.all("SELECT name FROM settings ORDER BY name")]


def put(store: Store, name: str) -> None:
    with store.write() as db:
        db.execute("INSERT INTO settings VALUES (?, '')", (name,))


def test_a_transaction_is_whole_or_nothing_even_when_an_inner_one_fails(store: Store) -> None:
    def twice() -> None:
        with store.write():
            put(store, "outer")
            put(store, "outer")

    with pytest.raises(sqlite3.IntegrityError):
        twice()
    assert names(store) == []
    put(store, "next")
    assert names(store) == ["next"]


def test_a_failure_caught_inside_still_undoes_all(store: Store) -> None:
    def careless() -> None:
        with store.write():
            put(store, "before")
            with suppress(sqlite3.IntegrityError):
                put(store, "before")
            put(store, "after")

    with pytest.raises(sqlite3.OperationalError, match="undone"):
        careless()
    assert names(store) == []


def test_reads_inside_a_transaction_see_it_and_other_threads_do_not(store: Store) -> None:
    seen: list[list[str]] = []
    with store.write():
        put(store, "mine")
        assert names(store) == ["mine"]
        other = threading.Thread(target=lambda: seen.append(names(store)))
        other.start()
        other.join()
    assert seen == [[]]


def test_writers_on_many_threads_take_turns(store: Store) -> None:
    threads = [threading.Thread(target=put, args=(store, f"{i:02}")) for i in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert names(store) == [f"{i:02}" for i in range(20)]


def test_records_outlive_the_store(tmp_path: Path) -> None:
    for name in ("a", "b"):
        store = Store(tmp_path / "server.db")
        put(store, name)
        store.close()
    store = Store(tmp_path / "server.db")
    assert names(store) == ["a", "b"]
    store.close()


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "server.db") as db:
        db.execute(f"PRAGMA user_version={SCHEMA_VERSION + 1}")
    db.close()
    with pytest.raises(sqlite3.DatabaseError, match="newer"):
        Store(tmp_path / "server.db")


def test_times_are_utc_text_that_reads_back(store: Store) -> None:
    assert store.now() == "1970-01-01T00:00:00.250000"
    assert seconds(iso(1.5e9 + 0.125)) == 1.5e9 + 0.125
