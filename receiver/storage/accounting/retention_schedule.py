"""When retention is applied: every few seconds, by one of the worker parents, apart from the audit.

The audit of a large store takes minutes and rests for longer; meanwhile the store would fill. Retention leaves three
quarters of the time to others by itself (`retention.py`), so its turns follow one another while there is more to do.
How far it is behind stands in the store, where alerts and metrics read it.
"""

import contextlib
import time

import orjson
import redis

from receiver.process import logs
from receiver.storage.accounting.retention import Retention
from receiver.storage.redis import keys
from receiver.storage.redis.client import StoreClient
from receiver.storage.shared.lock import Lock

INTERVAL_MS = 10_000

_LOCK = "expiry"
_PAGES_AT_ONCE = 50
_TURN_S = 30.0

_log = logs.get()


class Expiry:
    """Lets expire what is over; many may try, one at a time does. Times as in Retention."""

    def __init__(self, client: redis.Redis, *, retention_ms: int, kept_ms: int, interval_ms: int = INTERVAL_MS) -> None:
        self._client = client
        self._calls = StoreClient(client)
        self._retention = Retention(client, retention_ms, kept_ms)
        self._interval_ms = interval_ms

    def turn(self) -> int:
        """Let expire what is over, for half a minute at most, if it is time and nobody else is at it.

        Return how many events have expired. Raises StorageUnavailable, and LockLost when this process was away.
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
    """Read what the key `fd:expiry` holds: for how long an event may have been over that is still kept."""
    return _read(stored)[1]


def _read(stored: bytes | None) -> tuple[int, int]:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        fields = orjson.loads(stored or b"")
        return int(fields["at_ms"]), int(fields["late_ms"])
    return 0, 0
