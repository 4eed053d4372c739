"""A search that computes for long keeps nobody waiting, and no point goes out twice."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from cola_sweep.server import questions
from cola_sweep.server.questions import Found, Question, settle
from cola_sweep.server.search import Suggestion, suggest
from cola_sweep.server.store import Store, runs, sweeps
from cola_sweep.space import read_mapping
from tests.server.test_dispatch import ask, begin, end, join, make_sweep

BAYES = "{method: bayes, metric: {name: m, goal: maximize}, parameters: {a: {values: %s}}}"
SPEC = read_mapping({"method": "grid", "parameters": {"a": {"values": [1, 2]}}})


def question(number: int) -> Question:
    return Question(("s", "", number), SPEC, [], 0, number, set())


def attempts(*came: Any) -> tuple[Callable[[Found | None], Any], list[Found | None]]:
    """An attempt that comes to these in turn, and what it was told."""
    told: list[Found | None] = []

    def attempt(found: Found | None) -> Any:
        told.append(found)
        return came[len(told) - 1]

    return attempt, told


def test_who_has_no_question_does_not_wait_for_those_who_have() -> None:
    attempt, told = attempts("done")
    with questions._asking:
        assert settle(attempt) == "done"
    assert told == [None]


def test_a_question_that_has_changed_meanwhile_is_asked_again() -> None:
    attempt, told = attempts(question(0), question(1), "done")
    assert settle(attempt) == "done"
    first = Suggestion({"a": 1}, "grid cell 1 of 2")
    assert told == [None, Found(("s", "", 0), first), Found(("s", "", 1), first)]


def test_who_waited_for_others_looks_first_what_they_have_left(monkeypatch: pytest.MonkeyPatch) -> None:
    class Taken:
        def acquire(self, blocking: bool = True) -> bool:
            return blocking

        def release(self) -> None: ...

    monkeypatch.setattr(questions, "_asking", Taken())
    attempt, told = attempts(question(0), "nothing more")
    assert settle(attempt) == "nothing more"
    assert told == [None, None]


def test_when_too_many_wait_the_rest_is_told_to_come_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "_waiting", threading.BoundedSemaphore(1))
    with questions._waiting:
        assert settle(attempts(question(0))[0]) is None
    assert settle(attempts(question(0), "done")[0]) == "done"


def test_a_failure_lets_the_next_one_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(questions, "_waiting", threading.BoundedSemaphore(1))
    monkeypatch.setattr(questions, "suggest", lambda *told: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        settle(attempts(question(0))[0])
    monkeypatch.setattr(questions, "suggest", suggest)
    assert settle(attempts(question(0), "done")[0]) == "done"


def test_others_write_while_a_search_computes(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    sweep = make_sweep(store, BAYES % "[1, 2, 3]")
    agent, other = join(store, sweep), join(store, sweep)
    computing, written = threading.Event(), threading.Event()

    def slow(*told: Any) -> Suggestion | None:
        computing.set()
        assert written.wait(60)
        return suggest(*told)

    monkeypatch.setattr(questions, "suggest", slow)
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(ask, store, agent)
        assert computing.wait(60)
        assert ask(store, other, "a run of its own") == []
        # A file that has changed meanwhile, too.
        sweeps.update(store, sweep.id, config=BAYES % "[7]")
        written.set()
        (command,) = asked.result()
    assert command["args"] == {"a": {"value": 7}}


def test_agents_asking_at_once_never_get_the_same_point(store: Store) -> None:
    sweep = make_sweep(store, BAYES % list(range(12)))

    def work(agent: int) -> list[int]:
        given = []
        while (commands := ask(store, agent)) != [{"type": "exit"}]:
            for command in commands:
                given.append(command["args"]["a"]["value"])
                run = begin(store, command["run_id"])
                runs.update(store, run.id, summary_json=f'{{"m": {given[-1]}}}')
                end(store, run.name)
        return given

    with ThreadPoolExecutor(4) as pool:
        given = [value for values in pool.map(work, [join(store, sweep) for _ in range(4)]) for value in values]
    assert sorted(given) == list(range(12))
