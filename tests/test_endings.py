import signal

import pytest

from cola_sweep.endings import (
    UNHURRIED_SECONDS,
    Stopped,
    StopRequest,
    TrialFailed,
    exit_code,
    memory_failures,
    stop_requests,
)
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


def test_a_stop_is_pressing_some_seconds_after_its_first_signal() -> None:
    now = 100.0
    stop = StopRequest(lambda: now)
    stop.deferred = True
    assert not stop.is_pressing
    stop.receive(signal.SIGTERM)
    now += UNHURRIED_SECONDS - 1
    assert not stop.is_pressing
    stop.receive(signal.SIGTERM)  # as the agent's next heartbeat brings it
    now += 2
    assert stop.is_pressing


def test_handlers_come_back() -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    with stop_requests():
        assert signal.getsignal(signal.SIGTERM) != before[0]
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


def test_nothing_is_checked_before_a_signal() -> None:
    StopRequest().check()


def test_the_servers_stop_is_told_from_ctrl_c_and_is_no_second_one() -> None:
    with stop_requests() as stop:
        stop.deferred = True
        stop.from_server()
        stop.from_server()
        with pytest.raises(Stopped, match="stopped by the server") as caught:
            stop.check()
    assert caught.value.by_server
    assert exit_code(caught.value) == 130


def test_the_agents_sigterm_and_the_servers_word_are_one_stop() -> None:
    with stop_requests() as stop:
        stop.deferred = True
        signal.raise_signal(signal.SIGTERM)
        stop.from_server()
        with pytest.raises(Stopped) as caught:
            stop.check()
    assert (caught.value.signum, caught.value.by_server) == (signal.SIGTERM, True)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB.\nand more"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 4 bytes."),
        RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 4 bytes."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
)
def test_out_of_memory_fails_with_the_sizes(error: Exception) -> None:
    said = r"^out of memory with batch_size 512: \S.*$"
    with pytest.raises(TrialFailed, match=said) as caught, memory_failures("batch_size 512"):
        raise error
    assert caught.value.__cause__ is error
    assert "\n" not in str(caught.value)


def test_torchs_own_words_are_known() -> None:
    torch = pytest.importorskip("torch")
    assert issubclass(torch.OutOfMemoryError, RuntimeError)
    with pytest.raises(TrialFailed, match="out of memory"), memory_failures("batch_size 1"):
        torch.empty(10**15)


def test_another_error_stays_what_it_is() -> None:
    with pytest.raises(RuntimeError, match="shapes"), memory_failures("batch_size 1"):
        raise RuntimeError("shapes do not fit")
