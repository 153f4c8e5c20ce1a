"""The time that everybody who uses one store agrees on: the store's.

Ids carry the time at which they were made; hours, windows and retention are told by them, and which of two events of an
entity is the newer. A machine whose clock is wrong, or jumps, must not matter there.
"""

import time
from collections.abc import Callable


def seconds(told: tuple[int, int]) -> float:
    """Return Unix seconds from what the command TIME returns: seconds and microseconds."""
    whole, microseconds = told
    return int(whole) + int(microseconds) / 1_000_000


def milliseconds(told: tuple[int, int]) -> int:
    """Return Unix milliseconds from what TIME returns."""
    whole, microseconds = told
    return int(whole) * 1_000 + int(microseconds) // 1_000


class StoreClock:
    """Unix seconds as the store tells them, without asking it each time; this machine's until it was heard once.

    Between two hearings it goes by a steady clock, so that nobody who sets this machine's clock moves it.
    """

    def __init__(self, *, local: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._local = local
        self._steady = steady
        self._ahead: float | None = None

    def __call__(self) -> float:
        """The time now."""
        return self._local() if self._ahead is None else self._steady() + self._ahead

    def asks(self) -> float:
        """Note the moment at which the store is asked, for `heard`."""
        return self._steady()

    def heard(self, told: float, asked: float) -> float:
        """Take in what the store told when it was asked; return how many seconds this machine is ahead of it.

        The answer is as old as half of the way there and back. What is within that doubt is no news.
        """
        now = self._steady()
        doubt = (now - asked) / 2
        ahead = told + doubt - now
        if self._ahead is None or abs(ahead - self._ahead) > doubt:
            self._ahead = ahead
        return self._local() - (now + ahead)
