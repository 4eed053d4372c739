"""Since when the server hears its clients without a break: nobody is silent for longer than they were listened to.

A server that was killed, stopped or asleep, or whose machine's clock was set, finds times in its records that are long
past (or to come) though nobody has died. Pure: both clocks are passed in.

>>> wall, steady = iter([100.0, 101.0, 3702.0]), iter([5.0, 6.0, 7.0])
>>> hearing = Hearing(wall.__next__, steady.__next__)
>>> hearing.since(), hearing.since()  # a second passes, then another, in which the clock is put forward by an hour
(100.0, 3702.0)
"""

from collections.abc import Callable
from threading import Lock

# Seconds by which the clock may differ from a steady one since the last look; keeping it in time moves it by less.
JUMP = 1.0
# Seconds between two looks, of which there should be one each second, after which nobody was listening.
BREAK = 10.0


class Hearing:
    """Watches two clocks; to be asked each second or so, by any thread.

    Args:
        clock: seconds since the epoch, which times in the records come from; it may be set.
        steady: seconds since whenever; it cannot be set.
    """

    def __init__(self, clock: Callable[[], float], steady: Callable[[], float]) -> None:
        self._clock, self._steady = clock, steady
        self._lock = Lock()
        self._since = self._now = clock()
        self._then = steady()

    def since(self) -> float:
        """The clock's time from which on everything that was said was heard."""
        with self._lock:
            now, then = self._clock(), self._steady()
            passed = then - self._then
            if passed > BREAK or abs(now - self._now - passed) > JUMP:
                self._since = now
            self._now, self._then = now, then
            return self._since
