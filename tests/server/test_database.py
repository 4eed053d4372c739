"""The database: transactions, readers on other threads, times, migrations."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from importlib import resources
from pathlib import Path

import pytest

from cola_sweep.server import dispatch
from cola_sweep.server.store import agents, projects, runs, streams
from cola_sweep.server.store.database import SCHEMA_VERSION, Store, iso, seconds
from cola_sweep.server.store.failures import transient


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


def test_a_full_disk_undoes_the_transaction_and_is_told_as_what_it_is(store: Store) -> None:
    """SQLite undoes a transaction by itself then; a second undoing must not hide why."""
    with store.write() as db:
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count={pages + 2}")

    def fill() -> None:
        with store.write() as db:
            put(store, "small")
            db.execute("INSERT INTO settings VALUES ('large', ?)", ("x" * 100_000,))

    for _ in range(2):
        with pytest.raises(sqlite3.OperationalError, match="full") as raised:
            fill()
        assert transient(raised.value)
    assert names(store) == []
    with store.write() as db:
        db.execute(f"PRAGMA max_page_count={pages + 200}")
    fill()
    assert names(store) == ["large", "small"]


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


def test_the_log_is_folded_in_while_another_writes(store: Store) -> None:
    put(store, "before")
    with store.write():
        put(store, "under way")
        other = threading.Thread(target=store.checkpoint)
        other.start()
        other.join()
    with closing(sqlite3.connect(f"file:{store.path}?immutable=1", uri=True)) as alone:  # without its log
        assert alone.execute("SELECT name FROM settings").fetchall() == [("before",)]
    assert names(store) == ["before", "under way"]


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


def test_records_of_version_1_are_kept_and_their_sweeps_go_on(tmp_path: Path) -> None:
    """As the first release of the server wrote them: a sweep with a finished run and one under way."""
    first = resources.files("cola_sweep.server.store").joinpath("migrations/0001.sql").read_text()
    config = (
        "{method: random, metric: {name: m, goal: maximize}, parameters: {a: {min: 0.0, max: 1.0}},"
        " early_terminate: {type: hyperband, min_iter: 2, strict: true}}"
    )
    now = "2026-11-23T12:00:00.000000"
    with sqlite3.connect(tmp_path / "server.db") as db:
        db.executescript(first)
        db.execute("INSERT INTO projects VALUES (1, 'ada', 'p', NULL, ?)", (now,))
        db.execute(
            "INSERT INTO sweeps (id, project_id, name, config, method, state, seed, created_at, updated_at)"
            " VALUES (1, 1, 's', ?, 'random', 'RUNNING', 3, ?, ?)",
            (config, now, now),
        )
        for number, state, value in ((1, "finished", 0.9), (2, "running", 0.1)):
            db.execute(
                "INSERT INTO runs (id, project_id, name, display_name, state, sweep_id, history_lines, args_json,"
                " created_at, updated_at, heartbeat_at) VALUES (?, 1, ?, 'x', ?, 1, 2, ?, ?, ?, ?)",
                (number, f"run{number}", state, f'{{"a": {{"value": {value}}}}}', now, now, now),
            )
            rows = [(number, line, line, f'{{"m": {value}}}') for line in range(2)]
            db.executemany("INSERT INTO history VALUES (?, ?, ?, ?)", rows)
            db.execute("INSERT INTO console VALUES (?, 0, 'hello')", (number,))
            db.execute("INSERT INTO events VALUES (?, 0, '{\"cpu\": 7}')", (number,))
        db.execute("PRAGMA user_version=1")
    db.close()
    store = Store(tmp_path / "server.db", clock=lambda: seconds(now))
    assert store.all("PRAGMA user_version")[0][0] == SCHEMA_VERSION
    behind = runs.find(store, "ada", "p", "run2")
    assert behind is not None
    assert streams.history_texts(store, behind.id) == ['{"m": 0.1}', '{"m": 0.1}']
    kept = [streams.texts_at(store, behind.id, stream, [0]) for stream in ("console", "events")]
    assert kept == [["hello"], ['{"cpu": 7}']]
    streams.write_lines(store, behind.id, "history", 2, ['{"m": 0.2}'])
    dispatch.on_stream(store, behind, {"files": {"wandb-history.jsonl": {}}})
    assert [run.stop_reason for run in runs.of_sweep(store, 1)] == [
        None,
        "hyperband: 0.1 is behind 0.9 at rung 2",
    ]
    (command,) = dispatch.heartbeat(store, agents.create(store, 1, "agent", "host").id, [])
    assert command["type"] == "run"
    store.close()


def test_long_lines_take_no_more_room_than_they_must(store: Store) -> None:
    project = projects.ensure(store, "ada", "p")
    run = runs.create(store, project.id, "r", state="running", display_name="x")
    for stream, line in (("history", json.dumps({"text": "x" * 1200})), ("console", "x" * 1200)):
        streams.write_lines(store, run.id, stream, 0, [line] * 1000)
    pages, size = (store.all(f"PRAGMA {of}")[0][0] for of in ("page_count", "page_size"))
    assert pages * size < 1.5 * 2 * 1000 * 1200


def test_times_are_utc_text_that_reads_back(store: Store) -> None:
    assert store.now() == "1970-01-01T00:00:00.250000"
    assert seconds(iso(1.5e9 + 0.125)) == 1.5e9 + 0.125
