"""Frontdesk's own limits on its use of the Nexudus API, below Nexudus's limits so that the account is never locked out.

Nexudus allows 120 calls and 60 writes a minute, one call every 100 ms, 5,000 calls an hour and 5,000 writes a day
(https://developers.nexudus.com/reference/api-limitations). A budget is two token buckets, whose rates are chosen so
that no window of 60 seconds holds more than the limit, with a burst of one second's worth; and two counts, of an hour's
calls and of a day's writes; the settings FRONTDESK_NEXUDUS_* say how many.
`receiver.storage.shared.shared_call_budget` counts them for all processes together.
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypedDict

from receiver.core.settings import Settings

HOUR_S = 3_600
DAY_S = 86_400
_MOST_PER_SECOND = 10


class CallBudget(Protocol):
    """A limit that every caller of the Nexudus API takes from before each call."""

    def take(self, *, write: bool) -> None:
        """Sleep until one call is allowed (with *write*: one call that writes), and count it."""


@dataclass(frozen=True, slots=True)
class Rate:
    """A token bucket's shape: at most *burst* at once, *per_second* after that."""

    burst: int
    per_second: float


def rate(per_minute: int) -> Rate:
    """Return the bucket that allows at most *per_minute* calls in any 60 seconds, and at most ten in any second.

    Above 600 a minute, the bucket allows more than ten in a second.
    """
    burst = max(1, per_minute // 60)
    if per_minute <= 60 * _MOST_PER_SECOND:
        burst = min(burst, max(1, _MOST_PER_SECOND - math.ceil(per_minute / 60)))
    return Rate(burst=burst, per_second=(per_minute - burst + 1) / 60)


class CallLimits(TypedDict):
    """The parts of a budget that processes share: two buckets (burst, per second), and two counts."""

    calls: tuple[int, float]
    writes: tuple[int, float]
    calls_per_hour: int
    writes_per_day: int


def limits(settings: Settings) -> CallLimits:
    """Return the limits that the settings allow."""
    calls, writes = rate(settings.nexudus_calls_per_minute), rate(settings.nexudus_writes_per_minute)
    return CallLimits(
        calls=(calls.burst, calls.per_second),
        writes=(writes.burst, writes.per_second),
        calls_per_hour=settings.nexudus_calls_per_hour,
        writes_per_day=settings.nexudus_writes_per_day,
    )


class LocalBudget:
    """A budget for this process alone, used when there is no Redis to share one. Threads may share it."""

    def __init__(
        self,
        calls_per_minute: int,
        writes_per_minute: int,
        *,
        calls_per_hour: int = 5_000,
        writes_per_day: int = 5_000,
        now: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._calls = (_Bucket(rate(calls_per_minute), now()), _Window(calls_per_hour, HOUR_S))
        self._writes = (_Bucket(rate(writes_per_minute), now()), _Window(writes_per_day, DAY_S))
        self._now = now
        self._sleep = sleep
        self._lock = threading.Lock()

    def take(self, *, write: bool) -> None:
        """Sleep until the call is allowed; takes from all limits or from none."""
        limits = (*self._calls, *self._writes) if write else self._calls
        while True:
            with self._lock:
                now = self._now()
                wait = max(limit.wait(now) for limit in limits)
                if wait <= 0:
                    for limit in limits:
                        limit.take(now)
                    return
            self._sleep(wait)


def local(settings: Settings) -> LocalBudget:
    """Return the budget that the settings allow, for this process alone."""
    return LocalBudget(
        settings.nexudus_calls_per_minute,
        settings.nexudus_writes_per_minute,
        calls_per_hour=settings.nexudus_calls_per_hour,
        writes_per_day=settings.nexudus_writes_per_day,
    )


class Joint:
    """Takes from several budgets, the strictest first, so that a waiting call has not yet taken from the others."""

    def __init__(self, *budgets: CallBudget) -> None:
        self._budgets = budgets

    def take(self, *, write: bool) -> None:
        """Sleep until every budget allows the call."""
        for budget in self._budgets:
            budget.take(write=write)


def pace(settings: Settings) -> LocalBudget:
    """Return the budget of work that is not urgent: two thirds of what the settings allow in a minute. By default these
    are 80 calls a minute, which stay within Nexudus's limit for an hour."""
    per_minute = max(1, settings.nexudus_calls_per_minute * 2 // 3)
    return LocalBudget(per_minute, per_minute, calls_per_hour=settings.nexudus_calls_per_hour)


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

    def take(self, _now: float) -> None:
        """Take one token."""
        self.level -= 1


class _Window:
    """At most *most* in any *seconds*: the times of the last so many."""

    __slots__ = ("_seconds", "_times")

    def __init__(self, most: int, seconds: float) -> None:
        self._times: deque[float] = deque(maxlen=most)
        self._seconds = seconds

    def wait(self, now: float) -> float:
        """Return the seconds until one more is allowed."""
        is_full = len(self._times) == self._times.maxlen
        return self._times[0] + self._seconds - now if is_full else 0.0

    def take(self, now: float) -> None:
        """Count one."""
        self._times.append(now)
