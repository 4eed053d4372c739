"""Interrupts of whoever started agents, on their way to the agents. Imports nothing of ours."""

import signal
from collections.abc import Callable
from typing import Self

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """While open, SIGINT and SIGTERM are handed to `forward`.

    Attributes:
        exit_code: 128 + the last one, as a shell has it; 0 while there was none.
    """

    def __init__(self, forward: Callable[[int], None]) -> None:
        self._forward = forward
        self.exit_code = 0

    def __enter__(self) -> Self:
        self._previous = {number: signal.signal(number, self._heard) for number in SIGNALS}
        return self

    def __exit__(self, *_: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    def _heard(self, number: int, _frame: object) -> None:
        self.exit_code = 128 + number
        self._forward(number)
