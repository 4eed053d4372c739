"""A server that could not listen, or whose clock was set, takes nobody for dead."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cola_sweep.server import dispatch, states
from cola_sweep.server.hearing import BREAK, JUMP, Hearing
from cola_sweep.server.store import Store, agents
from tests.server.conftest import Clock
from tests.server.test_dispatch import ask, begin, find, join, make_sweep

HOUR = 3600.0


@dataclass
class Clocks:
    """A clock that can be set beside one that cannot."""

    wall: Clock
    steady: Clock

    def pass_by(self, seconds: float) -> None:
        self.wall.advance(seconds)
        self.steady.advance(seconds)


@pytest.fixture
def clocks() -> Clocks:
    return Clocks(Clock(), Clock(50.0))


@pytest.fixture
def heard(tmp_path: Path, clocks: Clocks) -> Iterator[Store]:
    """The records of a server that watches both clocks."""
    store = Store(tmp_path / "server.db", clocks.wall, clocks.steady)
    yield store
    store.close()


def listen(store: Store, clocks: Clocks, seconds: float) -> None:
    """Time passes while the server looks at its clocks each second and ends what is gone."""
    for _ in range(int(seconds)):
        clocks.pass_by(1)
        dispatch.expire(store)


@given(st.lists(st.floats(0, BREAK - 1e-6), max_size=20))  # sums are rounded
def test_time_that_passes_evenly_is_no_break(steps: list[float]) -> None:
    clocks = Clocks(Clock(), Clock(50.0))
    hearing = Hearing(clocks.wall, clocks.steady)
    began = clocks.wall()
    for step in steps:
        clocks.pass_by(step)
        assert hearing.since() == began


@pytest.mark.parametrize("seconds", [-HOUR, -JUMP * 2, JUMP * 2, HOUR])
def test_a_clock_that_is_set_begins_anew(clocks: Clocks, seconds: float) -> None:
    hearing = Hearing(clocks.wall, clocks.steady)
    clocks.pass_by(1)
    clocks.wall.advance(seconds)
    assert hearing.since() == clocks.wall()
    clocks.pass_by(1)
    assert hearing.since() == clocks.wall() - 1


@pytest.mark.parametrize("happens", ["set forward", "set back", "asleep", "stopped", "killed"])
def test_nobody_dies_of_what_happens_to_the_server(heard: Store, clocks: Clocks, tmp_path: Path, happens: str) -> None:
    sweep = make_sweep(heard)
    agent, other = join(heard, sweep), join(heard, sweep)
    (command,), (waiting,) = ask(heard, agent), ask(heard, other)
    begin(heard, command["run_id"])
    listen(heard, clocks, 3)
    if happens == "set forward":
        clocks.wall.advance(HOUR)
    elif happens == "set back":
        clocks.wall.advance(-HOUR)
    elif happens == "asleep":  # the steady clock sleeps too
        clocks.wall.advance(HOUR)
        clocks.steady.advance(0.1)
    else:
        clocks.pass_by(HOUR)
    store = Store(tmp_path / "server.db", clocks.wall, clocks.steady) if happens == "killed" else heard
    dispatch.expire(store)
    assert ask(store, agent, command["run_id"]) == []
    listen(store, clocks, states.AGENT_SILENCE - 1)
    assert [find(store, each["run_id"]).state for each in (command, waiting)] == ["running", "pending"]
    assert [each.state for each in agents.of_sweep(store, sweep.id)] == ["RUNNING", "RUNNING"]
    # Those who are dead indeed are found out as late as if they had spoken when it happened.
    listen(store, clocks, states.RUN_SILENCE)
    assert [find(store, each["run_id"]).state for each in (command, waiting)] == ["crashed", "crashed"]
    assert [each.state for each in agents.of_sweep(store, sweep.id)] == ["CRASHED", "CRASHED"]
    if store is not heard:
        store.close()
