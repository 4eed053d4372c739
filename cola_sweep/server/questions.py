"""Searches that compute for long are asked while nobody holds the writer: all else goes on meanwhile.

One at a time, since all compute with the same interpreter, and each is to know what the one before has given out. Those
who ask wait in the threads that serve requests; when they have taken most of these, the rest is told to ask again.
"""

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from cola_sweep.server.search import Suggestion, Trial, suggest
from cola_sweep.space import SweepSpec

# Of the threads that serve requests, see `app.THREADS`.
MOST_WAITING = 24

T = TypeVar("T")
_waiting = threading.BoundedSemaphore(MOST_WAITING)
_asking = threading.Lock()


@dataclass(frozen=True)
class Question:
    """What a search is asked, as of a moment.

    Attributes:
        of: what the answer is for, as a value: the same question is not asked twice.
        told, seed, number, done: see `search.suggest`.
    """

    of: tuple[str, str, int]
    spec: SweepSpec
    told: list[Trial]
    seed: int
    number: int
    done: set[str]


@dataclass(frozen=True)
class Found:
    """The answer to a question; no suggestion where the space has no more points."""

    of: tuple[str, str, int]
    suggestion: Suggestion | None


def settle(attempt: Callable[[Found | None], T | Question]) -> T | None:
    """What `attempt` comes to, which is tried again with the answer whenever it has a question; None: not now.

    It must not be called while the writer is held.
    """
    came = attempt(None)
    if not isinstance(came, Question):
        return came
    if not _waiting.acquire(blocking=False):
        return None
    try:
        if not _asking.acquire(blocking=False):
            _asking.acquire()
            came = attempt(None)  # others were given something meanwhile
        try:
            while isinstance(came, Question):
                answer = suggest(came.spec, came.told, came.seed, came.number, came.done)
                came = attempt(Found(came.of, answer))
            return came
        finally:
            _asking.release()
    finally:
        _waiting.release()
