"""Retention: deletes an event with everything that belongs to it when its time after the last delivery is over.

An event's time starts when its last delivery ends; while one is in flight, it does not run. An expired event, and each
of its deliveries, moves from its counter to that of expired ones: `routed` - 1 and `expired` + 1, `d_succeeded` - 1 and
`d_expired` + 1. Thus both formulas of the audit hold at any time. The counters of an hour outlive its events by 400
days; then they are added to those of hour 0, so that totals never decrease.

Retention works in pages of 256 ids, one call each, as many in a turn as the caller allows. The next turn continues
where this one stopped, even after a crash. After each page it pauses for three times as long as the page took, so that
live events have the store for three quarters of the time.

One of the worker parents does it every few seconds, separately from the audit: an audit of a large store takes minutes
and pauses even longer, and the store would fill meanwhile. While there is more to do, the next turn follows at once.
The store holds how far retention is behind, for alerts and metrics.
"""

import contextlib
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import orjson
import redis

from receiver.core.durations import HOUR_MS
from receiver.process import logs
from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient
from receiver.storage.shared.lock import Lock

INTERVAL_MS = 10_000
PAGE = 256
_REST = 3
"""The pause after each page, as a multiple of the time that the page took."""

_COUNTERS_KEPT_MS = 400 * 86_400_000
_FOLDED_AT_ONCE = 500
_LOCK = "expiry"
_PAGES_AT_ONCE = 50
_TURN_S = 30.0

_log = logs.get()


@dataclass(frozen=True, slots=True)
class Expired:
    """What a turn did: events that expired, pages that were read, and whether there is more to do now.

    *late_ms*: for how long, at most, an event that is still stored has been due to expire.
    """

    events: int
    pages: int
    more: bool
    late_ms: int = 0


class _Exhausted(Exception):
    """This turn has used all of its pages."""


class Retention:
    """Applies the times of retention: *retention_ms* for ordinary events, *kept_ms* for dead, unrouted, quarantined."""

    def __init__(self, client: redis.Redis, retention_ms: int, kept_ms: int) -> None:
        self._calls = StoreClient(client, "expire_page", "merge_counters")
        self._times = (retention_ms, kept_ms)
        self._pages_left = 0
        self._events = 0

    def turn(self, pages: int) -> Expired:
        """Read at most *pages* pages. Raises StorageUnavailable."""
        self._pages_left, self._events = pages, 0
        self._heed_new_times()
        more = False
        try:
            for hour in self._hours_due():
                self._look_through(hour)
        except _Exhausted:
            more = True
        self._fold()
        return Expired(self._events, pages - self._pages_left, more, self._late_ms() if more else 0)

    def _late_ms(self) -> int:
        earliest = self._calls.ask("zrange", keys.DUE, 0, 0, withscores=True)
        return max(self._calls.now_ms() - (decoding.moment(earliest[0][1]) or 0), 0) if earliest else 0

    def _heed_new_times(self) -> None:
        """Recompute when hours are due if the settings of retention have changed."""
        times = "{}/{}".format(*self._times)
        known = self._calls.ask("get", keys.RETENTION)
        if known != times.encode():
            self._calls.ask("delete", keys.DUE)
            self._calls.ask("set", keys.RETENTION, times)

    def _hours_due(self) -> list[int]:
        """Return the hours to process: first those that were started, then those that have been due for longest.

        An hour in the future holds events of a receiver whose clock was ahead; they do not wait until that hour.
        """
        now = self._calls.now_ms()
        due_at = dict(self._calls.ask("zrange", keys.DUE, 0, -1, withscores=True))
        known = {hour: decoding.moment(due_at[b"%d" % hour]) or 0 for hour in decoding.hours(due_at)}
        begun = set(decoding.hours(self._calls.ask("smembers", keys.STALE)))
        listed = set(decoding.hours(self._calls.ask("zrange", keys.HOURS, 0, -1)))
        unknown = {hour: hour * HOUR_MS + min(self._times) if hour * HOUR_MS < now else 0 for hour in listed}
        due = {hour: known.get(hour, unknown[hour]) for hour in listed - begun}
        return sorted(begun) + sorted((hour for hour in due if due[hour] <= now), key=lambda hour: (due[hour], hour))

    def _look_through(self, hour: int) -> None:
        """Let an hour's events expire, then take their ids out of the narrower lists."""
        in_turn = self._calls.ask("hexists", keys.TURNING, str(hour))
        if in_turn or not self._calls.ask("exists", keys.stale(hour)):
            earliest = self._turn_round(str(hour))
            self._calls.ask("zadd", keys.DUE, {str(hour): self._next_look(earliest)})
        self._clear_narrower_lists(hour)
        if not self._calls.ask("exists", keys.index(hour)):
            self._turn_round(str(hour))  # which ends an hour that is empty

    def _next_look(self, earliest: int) -> int:
        """Return when to read the hour next: not before an event can expire, not too often, and not too late."""
        now = self._calls.now_ms()
        shorter = min(self._times)
        soonest = now + min(HOUR_MS, shorter // 10)
        return min(max(earliest, soonest), now + max(shorter, 1))

    def _clear_narrower_lists(self, hour: int) -> None:
        """Clean the lists of actions, businesses and routes. The key that names them is deleted last, in case of a
        crash."""
        stale = keys.stale(hour)
        names = set(self._of_hour(hour, self._calls.ask("smembers", stale)))
        if "*" in names:
            names |= self._by_action_and_business(hour)
            self._calls.ask("sadd", stale, *names)
            self._calls.ask("srem", stale, "*")
        for name in sorted(names - {"*"}):
            self._turn_round(name)
            self._calls.ask("srem", stale, name)
        self._calls.ask("srem", keys.STALE, str(hour))

    def _of_hour(self, hour: int, names: Iterable[bytes]) -> Iterator[str]:
        """Yield the names of an hour's lists, and delete every other name."""
        for name in names:
            if name == b"*" or name.startswith(b"%d:" % hour):
                yield decoding.text(name)
            else:
                self._calls.ask("srem", keys.stale(hour), name)

    def _by_action_and_business(self, hour: int) -> set[str]:
        names = set()
        for hook in self._calls.ask("hkeys", keys.RECEIVED):
            business, _, action = decoding.text(hook).partition("/")
            names |= {f"{hour}:a:{action}", f"{hour}:b:{business}"}
        ordered = sorted(names)
        there = self._calls.ask_all("exists", [keys.INDEX + name for name in ordered])
        return {name for name, exists in zip(ordered, there, strict=True) if exists}

    def _turn_round(self, name: str) -> int:
        """Go through one list once; return the time at which the first of the remaining events may expire."""
        while True:
            if not self._pages_left:
                raise _Exhausted
            self._pages_left -= 1
            began = time.monotonic()
            _, gone, complete, earliest = self._calls.run("expire_page", name, PAGE, *self._times)
            self._events += gone if ":" not in name else 0
            time.sleep(_REST * (time.monotonic() - began))
            if complete:
                return int(earliest)

    def _fold(self) -> None:
        """Add the counters of very old hours to those of hour 0."""
        oldest = (self._calls.now_ms() - _COUNTERS_KEPT_MS) // HOUR_MS
        for hour in decoding.hours(
            self._calls.ask("zrangebyscore", keys.SEALED, 1, oldest, start=0, num=_FOLDED_AT_ONCE)
        ):
            self._calls.run("merge_counters", hour)


class RetentionSchedule:
    """Runs retention when it is due. Many processes may try; only one at a time does it. Times as in Retention."""

    def __init__(self, client: redis.Redis, *, retention_ms: int, kept_ms: int, interval_ms: int = INTERVAL_MS) -> None:
        self._client = client
        self._calls = StoreClient(client)
        self._retention = Retention(client, retention_ms, kept_ms)
        self._interval_ms = interval_ms

    def turn(self) -> int:
        """Expire what is due, for half a minute at most, unless it is too early or another process does it.

        Return how many events expired. Raises StorageUnavailable, or LockLost if this process stalled for too long.
        """
        at_ms, _ = _read(self._calls.ask("get", keys.EXPIRY))
        if self._calls.now_ms() < at_ms + self._interval_ms:
            return 0
        lock = Lock(self._client, _LOCK)
        if lock.take():
            return 0
        with lock:
            return self._expire(lock)

    def _expire(self, lock: Lock) -> int:
        until = time.monotonic() + _TURN_S
        expired, is_over = 0, False
        while not is_over:
            lock.check()
            done = self._retention.turn(_PAGES_AT_ONCE)
            expired += done.events
            state = {"at_ms": 0 if done.more else self._calls.now_ms(), "late_ms": done.late_ms}
            self._calls.ask("set", keys.EXPIRY, orjson.dumps(state))
            is_over = not done.more or time.monotonic() > until
        if expired:
            _log.info("events.expired", events=expired)
        return expired


def late_ms(stored: bytes | None) -> int:
    """Return what the key `fd:expiry` says: for how long, at most, an event that is still stored has been due to
    expire."""
    return _read(stored)[1]


def _read(stored: bytes | None) -> tuple[int, int]:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        fields = orjson.loads(stored or b"")
        return int(fields["at_ms"]), int(fields["late_ms"])
    return 0, 0
