"""The clock that all processes with one store share: the server's.

Ids contain the time at which they were made. Hours, windows, retention and the order of an entity's events depend on
it, so a machine whose clock is wrong or jumps must have no effect."""

import time
from collections.abc import Callable


def seconds(reply: tuple[int, int]) -> float:
    """Return Unix seconds from the reply of the command TIME: seconds and microseconds."""
    whole, microseconds = reply
    return int(whole) + int(microseconds) / 1_000_000


def milliseconds(reply: tuple[int, int]) -> int:
    """Return Unix milliseconds from the reply of TIME."""
    whole, microseconds = reply
    return int(whole) * 1_000 + int(microseconds) // 1_000


class StoreClock:
    """Returns the server's Unix seconds without a call each time; until the first `adjust`, this machine's.

    Between two adjustments it follows the monotonic clock, so setting this machine's clock does not affect it.
    """

    def __init__(self, *, local: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._local = local
        self._steady = steady
        self._ahead: float | None = None

    def __call__(self) -> float:
        """The time now."""
        return self._local() if self._ahead is None else self._steady() + self._ahead

    def steady_now(self) -> float:
        """Return the monotonic time. Note it before asking for the server's clock, and pass it to `adjust`."""
        return self._steady()

    def adjust(self, server: float, asked: float) -> float:
        """Adjust to the *server*'s clock, asked for at *asked*; return how many seconds this machine is ahead of it.

        The reply is about half a round trip old. A difference within that uncertainty changes nothing.
        """
        now = self._steady()
        uncertainty = (now - asked) / 2
        ahead = server + uncertainty - now
        if self._ahead is None or abs(ahead - self._ahead) > uncertainty:
            self._ahead = ahead
        return self._local() - (now + ahead)
