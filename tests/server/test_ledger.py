"""Whatever happened to a sweep's runs, what its search is told is what reading all of them anew would say."""

import json
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cola_sweep.server import ledger as module
from cola_sweep.server import trials
from cola_sweep.server.ledger import ledger
from cola_sweep.server.search import Trial, taken
from cola_sweep.server.store import Store, projects, runs, sweeps
from cola_sweep.server.store.sweeps import Sweep

CONFIG = "{method: random, metric: {name: m, goal: maximize}, parameters: {a: {min: 0.0, max: 1.0}}}"
WIDER = CONFIG.replace("max: 1.0", "max: 2.0")
SUMMARY = st.sampled_from([{}, {"m": 0.5}, {"m": {"max": 0.75}}, {"m": "no"}]).map(json.dumps)
STATE = st.sampled_from(["pending", "running", "finished", "failed", "preempted", "killed"])
STEP = st.one_of(
    st.tuples(st.just("make"), st.booleans(), st.floats(0, 2)),
    st.tuples(st.sampled_from(["alter", "alter and undo"]), st.integers(0, 9), STATE, SUMMARY),
    st.tuples(st.sampled_from(["delete", "delete and undo", "join", "learn from", "stop"]), st.integers(0, 9)),
    st.tuples(st.just("search in"), st.sampled_from([CONFIG, WIDER])),
)


def make_sweep(store: Store, name: str = "s1") -> Sweep:
    project = projects.ensure(store, "ada", "p")
    return sweeps.create(store, project.id, name, config=CONFIG, method="random", state="PENDING", seed=0)


def fresh(store: Store, sweep: Sweep) -> Sweep:
    found = sweeps.by_id(store, sweep.id)
    assert found is not None
    return found


def said(trial: Trial) -> tuple[Any, ...]:
    return trial.params, trial.state, trial.value, trial.point


def check(store: Store, sweep: Sweep) -> None:
    with store.write():
        kept = ledger(store, fresh(store, sweep))
    known = {run.id: run for run in runs.outlines(store, sweep.id)}
    config = fresh(store, sweep).config
    assert list(kept.outlines) == list(kept.trials) == list(known)
    assert [said(trial) for trial in kept.trials.values()] == [said(trials.trial(r, config)) for r in known.values()]
    brief = [
        run._replace(params_json="", summary_json="", heartbeat_at=run.heartbeat_at and "") for run in known.values()
    ]
    assert brief == list(kept.outlines.values())
    prior = runs.outlines(store, sweep.id, prior=True)
    assert [said(trial) for trial in kept.prior] == [said(trials.trial(run, config)) for run in prior]
    assert kept.taken.keys == taken([*kept.trials.values(), *kept.prior])
    assert kept.given == {row for row, run in known.items() if trials.given_out(run)}
    half = set(list(known)[::2])
    rest = kept.without(half)
    assert list(rest.outlines) == list(rest.trials) == [row for row in known if row not in half]
    assert (rest.given, rest.prior) == (kept.given - half, kept.prior)
    assert rest.taken.keys == taken([*rest.trials.values(), *kept.prior])


def undone(store: Store, sweep: Sweep, change: Callable[[], None]) -> None:
    """Change what the ledger sees, and take it back."""
    with suppress(ZeroDivisionError), store.write():
        change()
        ledger(store, fresh(store, sweep))
        raise ZeroDivisionError


def do(store: Store, sweep: Sweep, step: tuple[Any, ...]) -> None:
    kind, *rest = step
    everything = store.all("SELECT id FROM runs ORDER BY id")
    if kind == "make":
        columns = {"sweep_id": sweep.id, "args_json": json.dumps({"a": {"value": rest[1]}})} if rest[0] else {}
        name = f"r{len(everything)}"
        runs.create(store, sweep.project_id, name, state="pending", display_name=name, **columns)
        return
    if kind == "search in":
        sweeps.update(store, sweep.id, config=rest[0])
        return
    if not everything:
        return
    number = everything[rest[0] % len(everything)][0]
    changes: dict[str, Callable[[], None]] = {
        "alter": lambda: runs.update(
            store, number, state=rest[1], summary_json=rest[2], heartbeat_at=store.now(), config_json='{"a": 0.25}'
        ),
        "delete": lambda: runs.delete(store, number),
        "join": lambda: runs.update(store, number, sweep_id=sweep.id),
        "learn from": lambda: sweeps.add_prior_runs(store, sweep.id, [number]),
        "stop": lambda: runs.request_stop(store, number, "told to"),
    }
    change = changes[kind.removesuffix(" and undo")]
    if kind.endswith(" and undo"):
        undone(store, sweep, change)
    else:
        change()


@settings(max_examples=40, deadline=None)
@given(st.lists(STEP, max_size=12))
def test_the_ledger_is_what_all_runs_say(steps: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        store = Store(Path(folder) / "server.db")
        sweep = make_sweep(store)
        for step in steps:
            do(store, sweep, step)
            check(store, sweep)
        store.close()


def test_what_a_failed_commit_took_back_is_not_told(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = make_sweep(store)
    do(store, sweep, ("make", True, 0.5))
    check(store, sweep)

    class Full:
        """A connection to a disk that has just become full."""

        def __getattr__(self, name: str) -> Any:
            return getattr(writer, name)

        def execute(self, sql: str, *parameters: Any) -> Any:
            if sql == "COMMIT":
                raise sqlite3.OperationalError("database or disk is full")
            return writer.execute(sql, *parameters)

    writer = store._writer
    monkeypatch.setattr(store, "_writer", Full())
    with suppress(sqlite3.OperationalError), store.write():
        runs.update(store, 1, state="failed", heartbeat_at=store.now())
        ledger(store, fresh(store, sweep))
    monkeypatch.undo()
    assert [run.state for run in runs.of_sweep(store, sweep.id)] == ["pending"]
    check(store, sweep)


def test_a_run_that_joins_the_sweep_comes_where_it_was_made(store: Store) -> None:
    sweep = make_sweep(store)
    for step in (("make", False, 0.0), ("make", True, 0.5), ("join", 0)):
        do(store, sweep, step)
        check(store, sweep)


def test_a_trial_that_says_the_same_stays_the_same(store: Store) -> None:
    sweep = make_sweep(store)
    do(store, sweep, ("make", True, 0.5))
    runs.update(store, 1, state="running", heartbeat_at=store.now())
    with store.write():
        before = ledger(store, sweep).trials[1]
    runs.update(store, 1, summary_json='{"m": 0.25}')
    with store.write():
        assert ledger(store, sweep).trials[1] is before


def test_the_ledgers_of_few_sweeps_are_kept(store: Store) -> None:
    made = [make_sweep(store, f"s{number}") for number in range(module._MOST_SWEEPS + 3)]
    for sweep in made:
        check(store, sweep)
    assert len(module._kept[store]) == module._MOST_SWEEPS
    check(store, made[0])
