"""Our own limit on the use of the Nexudus API, kept below theirs so that nobody is ever locked out.

Nexudus allows 120 calls and 60 writes a minute and one call every 100 ms
(https://developers.nexudus.com/reference/api-limitations). A budget is two token buckets; its rates are chosen so that
no window of 60 seconds holds more than the limit, with a burst of one second's worth.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol


class Budget(Protocol):
    """Whoever calls Nexudus takes from the budget first."""

    def take(self, *, write: bool) -> None:
        """Return once one call (and one write, for *write*) is allowed; sleeps until then."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket's shape: at most *burst* at once, *per_second* after that."""

    burst: int
    per_second: float


def rate(per_minute: int) -> Rate:
    """Return the bucket under which any 60 seconds hold at most *per_minute* calls."""
    burst = max(1, per_minute // 60)
    return Rate(burst=burst, per_second=(per_minute - burst + 1) / 60)


class LocalBudget:
    """A budget of this process alone, for when there is no Redis to share one. Threads may share it."""

    def __init__(
        self,
        calls_per_minute: int,
        writes_per_minute: int,
        *,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._calls = _Bucket(rate(calls_per_minute), now())
        self._writes = _Bucket(rate(writes_per_minute), now())
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()

    def take(self, *, write: bool) -> None:
        """Sleep until the call is allowed; takes from both buckets or from none."""
        buckets = (self._calls, self._writes) if write else (self._calls,)
        while True:
            with self._lock:
                wait = max(bucket.wait(self._now()) for bucket in buckets)
                if wait <= 0:
                    for bucket in buckets:
                        bucket.level -= 1
                    return
            self._sleep(wait)


class _Bucket:
    __slots__ = ("_filled_at", "_rate", "level")

    def __init__(self, rate: Rate, now: float) -> None:
        self.level = float(rate.burst)
        self._filled_at = now
        self._rate = rate

    def wait(self, now: float) -> float:
        """Fill up to *now* and return the seconds until one token is there."""
        gained = max(0.0, now - self._filled_at) * self._rate.per_second
        self.level = min(float(self._rate.burst), self.level + gained)
        self._filled_at = now
        return 0.0 if self.level >= 1 else (1 - self.level) / self._rate.per_second + 1e-4
