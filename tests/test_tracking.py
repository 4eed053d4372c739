import signal
from types import SimpleNamespace
from typing import Any

import pytest

from cola_sweep import tracking
from cola_sweep.endings import StopRequest
from cola_sweep.tracking import PREEMPTIBLE, is_preempted, only_warned


def request(signum: int | None, *, by_server: bool = False) -> StopRequest:
    stop = StopRequest()
    stop.signum, stop.by_server = signum, by_server
    return stop


ONLINE: Any = SimpleNamespace(offline=False)


@pytest.fixture(autouse=True)
def by_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (PREEMPTIBLE, "WANDB_SWEEP_ID"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("said", "signum", "by_server", "stopped", "preempted"),
    [
        ("1", signal.SIGTERM, False, False, True),
        ("1", signal.SIGTERM, False, True, False),
        ("1", signal.SIGTERM, True, False, False),
        ("1", signal.SIGINT, False, False, False),
        ("1", None, False, False, False),
        ("0", signal.SIGTERM, False, False, False),
        (None, signal.SIGTERM, False, False, False),
    ],
)
def test_sigterm_is_a_preemption_where_it_may_be_one_and_the_server_asked_for_nothing(
    monkeypatch: pytest.MonkeyPatch, said: str | None, signum: int | None, by_server: bool, stopped: bool,
    preempted: bool,
) -> None:  # fmt: skip
    if said is not None:
        monkeypatch.setenv(PREEMPTIBLE, said)
    monkeypatch.setattr(tracking, "was_stopped", lambda run: stopped)
    stop = request(signum, by_server=by_server)
    assert is_preempted(ONLINE, stop) is preempted
    assert stop.by_server is (by_server or (said == "1" and stopped)), "a stop of the server's is known as one"


@pytest.mark.parametrize("stopped", [True, False])
def test_in_a_sweep_the_agents_sigterm_is_told_from_any_other(monkeypatch: pytest.MonkeyPatch, stopped: bool) -> None:
    """Its trial is over for good, and what it kept to go on from may go; a machine that shuts down says SIGTERM too."""
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    monkeypatch.setattr(tracking, "was_stopped", lambda run: stopped)
    stop = request(signal.SIGTERM)
    assert not is_preempted(ONLINE, stop)
    assert stop.by_server is stopped


def test_a_server_that_does_not_answer_has_not_stopped_the_run(
    monkeypatch: pytest.MonkeyPatch, said: list[str]
) -> None:
    def fail(run: Any) -> bool:
        raise ConnectionError("nobody there\nat all")

    monkeypatch.setenv(PREEMPTIBLE, "1")
    monkeypatch.setattr(tracking, "was_stopped", fail)
    assert is_preempted(ONLINE, request(signal.SIGTERM))
    (line,) = said
    assert "did not say whether it stopped the run: nobody there" in line
    assert is_preempted(SimpleNamespace(offline=True), request(signal.SIGTERM)), "offline nobody is asked"
    assert len(said) == 1


def test_only_warned_lets_a_stop_through() -> None:
    with pytest.raises(KeyboardInterrupt), only_warned("nothing"):
        raise KeyboardInterrupt
