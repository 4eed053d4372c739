"""How a trial ends: on request, as a failure, or well; and the exit code that process and run share.

Lightning answers SIGTERM with a clean exit, which makes a stopped trial look finished. Here the first
SIGTERM or SIGINT is remembered, and training ends at the next batch with 128 + its number.
SIGINT is also what a Ctrl-C gives, so the server's stop, which wandb would pass on as one, comes by `from_server`.

Imports nothing of ours but the error; the standard library otherwise.
"""

import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from cola_sweep.errors import UserError

# The stock agent kills a trial 30 s after it asked. What takes longest in an ending is not begun later than this.
UNHURRIED_SECONDS = 8.0


class Stopped(BaseException):
    """The trial was asked to stop. Not an `Exception`, so that no library takes it for a failure of its own."""

    def __init__(self, signum: int, *, by_server: bool = False) -> None:
        by = "the server" if by_server else signal.Signals(signum).name
        super().__init__(f"stopped by {by}")
        self.signum = signum
        self.by_server = by_server


class TrialFailed(Exception):
    """The trial cannot give a result, for a reason in its data or settings rather than in our code."""


class StopRequest:
    """The signal that asked the trial to stop, if one did.

    Until `deferred` is set a signal raises `Stopped` where it strikes: there is nothing to save yet. From then on it
    is only remembered, for `check` to raise at a good moment.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.signum: int | None = None
        self.by_server = False
        self.deferred = False
        self._clock = clock
        self._came_at: float | None = None

    @property
    def is_pressing(self) -> bool:
        """Whether the first signal came so long ago that whoever sent it may lose patience."""
        return self._came_at is not None and self._clock() - self._came_at > UNHURRIED_SECONDS

    def check(self) -> None:
        """Raises: Stopped: a signal came."""
        if self.signum is not None:
            raise Stopped(self.signum, by_server=self.by_server)

    def receive(self, signum: int, _: FrameType | None = None) -> None:
        """The signal handler. A second Ctrl-C does not wait for the good moment."""
        again = self.signum is not None
        self.signum = self.signum or signum
        self._came_at = self._clock() if self._came_at is None else self._came_at
        if again and signum == signal.SIGINT:
            raise KeyboardInterrupt
        if not self.deferred:
            self.check()

    def from_server(self) -> None:
        """Ask for a stop on the server's behalf, from any thread. No second Ctrl-C, if a signal came before."""
        self.by_server = True
        if self.signum is None:
            os.kill(os.getpid(), signal.SIGINT)  # Python runs the handler in the main thread


@contextmanager
def stop_requests() -> Iterator[StopRequest]:
    """Listen to SIGTERM and SIGINT; the handlers that were there come back afterwards. Main thread only."""
    request = StopRequest()
    before = {signum: signal.signal(signum, request.receive) for signum in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield request
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


def exit_code(error: BaseException) -> int:
    """2 for what the user can put right, 128 + signal when asked to stop (as a shell has it), else 1."""
    if isinstance(error, Stopped):
        return 128 + error.signum
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT
    return 2 if isinstance(error, UserError) else 1


@contextmanager
def memory_failures(sizes: str) -> Iterator[None]:
    """A trial that does not fit into memory, of the device or of the machine, has failed, and says at which sizes.

    Raises:
        TrialFailed: in place of torch's error, which but for its words is any RuntimeError, or Python's.
    """
    words = ("out of memory", "not enough memory", "can't allocate memory", "status_alloc_failed")
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        said = str(error).strip() or "MemoryError"
        if isinstance(error, RuntimeError) and not any(word in said.lower() for word in words):
            raise
        raise TrialFailed(f"out of memory with {sizes}: {said.splitlines()[0]}") from error
