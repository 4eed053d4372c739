import signal

import pytest

from cola_sweep.endings import Stopped, StopRequest, TrialFailed, exit_code, stop_requests
from cola_sweep.errors import UserError


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Stopped(signal.SIGTERM), 143),
        (Stopped(signal.SIGINT), 130),
        (KeyboardInterrupt(), 130),
        (UserError("x", rule="r", fix="f"), 2),
        (TrialFailed("diverged"), 1),
        (RuntimeError("a bug"), 1),
    ],
)
def test_exit_codes(error: BaseException, code: int) -> None:
    assert exit_code(error) == code


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_before_training_stops_at_once(signum: signal.Signals) -> None:
    with pytest.raises(Stopped, match=signum.name) as caught, stop_requests():
        signal.raise_signal(signum)
    assert caught.value.signum == signum


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_in_training_waits_for_the_check(signum: signal.Signals) -> None:
    with stop_requests() as stop:
        stop.deferred = True
        stop.check()
        signal.raise_signal(signum)
        assert stop.signum == signum
        with pytest.raises(Stopped):
            stop.check()


def test_a_second_interrupt_does_not_wait_and_a_second_sigterm_does() -> None:
    with stop_requests() as stop:
        stop.deferred = True
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGTERM)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert stop.signum == signal.SIGTERM


def test_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stop_requests():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_nothing_is_checked_before_a_signal() -> None:
    StopRequest().check()
