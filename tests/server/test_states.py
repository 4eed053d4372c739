import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.server import states

ALL = ["PENDING", "RUNNING", "PAUSED", "FINISHED", "CANCELED"]
MOVES = {"--pause": "PAUSED", "--resume": "RUNNING", "--stop": "FINISHED", "--cancel": "CANCELED"}


@pytest.mark.parametrize(("state", "wanted"), list(itertools.product(ALL, MOVES.values())))
def test_sweeps_move_as_the_client_asks(state: str, wanted: str) -> None:
    allowed = state in states.OPEN_SWEEP or wanted in ("RUNNING", state)
    if allowed:
        assert states.moved(state, wanted) == wanted
    else:
        with pytest.raises(states.IllegalMove, match=f"a sweep that is {state} cannot become {wanted}"):
            states.moved(state, wanted)


def test_a_state_nobody_knows_is_refused() -> None:
    with pytest.raises(states.IllegalMove):
        states.moved("RUNNING", "SLEEPING")
    assert states.moved("RUNNING", "error") == "ERROR"


@pytest.mark.parametrize(
    ("state", "reported", "stopping", "verb", "runs"),
    [
        ("PENDING", [], [], "next", ()),
        ("RUNNING", [], [], "next", ()),
        ("RUNNING", ["a"], [], "wait", ()),
        ("RUNNING", ["a", "b"], ["b"], "stop", ("b",)),
        ("RUNNING", ["a"], ["gone"], "wait", ()),
        ("PAUSED", [], [], "wait", ()),
        ("PAUSED", ["a"], [], "wait", ()),
        ("FINISHED", [], [], "exit", ()),
        ("FINISHED", ["a"], [], "wait", ()),
        ("CANCELED", ["b", "a"], [], "stop", ("a", "b")),
        ("CANCELED", [], [], "exit", ()),
        ("ERROR", [], [], "exit", ()),
    ],
)
def test_the_table_of_answers(
    state: str, reported: list[str], stopping: list[str], verb: str, runs: tuple[str]
) -> None:
    assert states.answer(state, reported, stopping) == states.Answer(verb, runs)  # type: ignore[arg-type]


@given(st.sampled_from(ALL), st.sets(st.sampled_from("abc")), st.sets(st.sampled_from("abc")))
def test_an_agent_with_live_runs_gets_neither_another_nor_an_exit(
    state: str, reported: set[str], stopping: set[str]
) -> None:
    answer = states.answer(state, reported, stopping)
    if reported:
        assert answer.verb in ("stop", "wait")
    assert set(answer.runs) <= reported


@pytest.mark.parametrize(
    ("state", "stopping", "end"),
    [
        ("running", False, "crashed"),
        ("running", True, "killed"),
        ("pending", False, "crashed"),
        ("preempting", False, "preempted"),
        ("preempting", True, "killed"),
    ],
)
def test_ends_that_nobody_reports(state: str, stopping: bool, end: str) -> None:
    assert states.lost(state, stopping=stopping) == end


@pytest.mark.parametrize(
    ("before", "exitcode", "stopping", "end"),
    [
        ("running", 0, False, "finished"),
        ("running", 1, False, "failed"),
        ("running", 0, True, "finished"),
        ("running", 1, True, "killed"),
        ("preempting", 143, False, "preempted"),
        ("preempted", 143, False, "preempted"),
        ("preempting", 143, True, "killed"),
        ("preempting", 0, False, "finished"),
    ],
)
def test_ends_that_the_run_reports(before: str, exitcode: int, stopping: bool, end: str) -> None:
    assert states.completed(before, exitcode, stopping=stopping) == end
