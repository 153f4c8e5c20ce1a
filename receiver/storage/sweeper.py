"""The sweeper: what a careful operator would do every minute, done by one of the worker parents.

It audits the hours that are not sealed, gives deliveries without a live job a new one, lets what is over expire, leaves
what it found in the store, where every receiver's metrics read it, and logs what people did by the command line. It
never takes more than a twentieth of the time: after a turn that took long, the next waits longer.
"""

import threading
import time
from dataclasses import dataclass

import orjson
import redis

from receiver import logs
from receiver.errors import StorageUnavailable
from receiver.storage import keep, keys, spools
from receiver.storage.acts import ActLog
from receiver.storage.audit import Audit
from receiver.storage.calls import Calls
from receiver.storage.findings import last_found
from receiver.storage.lock import Lock
from receiver.storage.retention import Retention

INTERVAL_MS = 60_000

_REST = 20
_PAGES_AT_ONCE = 100
_PAGES_SCANNED = 200
_FINISHED_AT_ONCE = 100
_PAUSE_S = 0.002
_LOCK = "sweeper"
_SLICE_S = 5.0

_log = logs.get()


@dataclass(frozen=True, slots=True)
class Swept:
    """What a turn did. *by*: who else is at it, or was less than a turn ago, so that nothing was done."""

    unaccounted: int = 0
    offenders: tuple[str, ...] = ()
    repaired: int = 0
    expired: int = 0
    by: str | None = None


class Sweeper:
    """Sweeps a store; many may try, one at a time does. Times as in Retention."""

    def __init__(self, client: redis.Redis, *, retention_ms: int, kept_ms: int, interval_ms: int = INTERVAL_MS) -> None:
        self._client = client
        self._calls = Calls(client, "keep")
        self._acts = ActLog(client)
        self._audit = Audit(client, pause_s=_PAUSE_S, scanned=_PAGES_SCANNED)
        self._retention = Retention(client, retention_ms, kept_ms)
        self._interval_ms = interval_ms

    def turn(self) -> Swept:
        """Do one turn, if it is time for one and nobody else is at it. Raises StorageUnavailable."""
        self._acts.write()
        lock = Lock(self._client, _LOCK)
        holder = lock.take()
        if holder:
            return Swept(by=holder)
        with lock:
            latest = last_found(self._client)
            if latest and self._calls.now_ms() < latest.next_ms:
                return Swept(by="an earlier turn")
            return self._sweep(lock)

    def _sweep(self, lock: Lock) -> Swept:
        began = time.monotonic()
        expired = self._expire(lock)
        lock.check()
        self._finish_long_events()
        spools.tidy(self._client, self._calls.now_ms())
        report = self._audit.run(repair=True)
        lock.check()
        took_ms = int((time.monotonic() - began) * 1_000)
        now = self._calls.now_ms()
        found = {
            "at_ms": now,
            "next_ms": now + max(self._interval_ms, took_ms * _REST),
            "unaccounted": report.unaccounted,
            "repaired": report.repaired,
            "offenders": report.offenders[:20],
            "events": report.events["accepted"] - report.events["expired"],
            "in_flight": report.deliveries["in_flight"],
        }
        self._calls.ask("set", keys.AUDIT, orjson.dumps(found))
        if report.unaccounted:
            _log.error("audit.unaccounted", events=report.unaccounted, offenders=list(report.offenders[:20]))
        if report.repaired:
            _log.error("audit.repaired", deliveries=report.repaired)
        if expired:
            _log.info("events.expired", events=expired)
        return Swept(report.unaccounted, report.offenders, report.repaired, expired)

    def _expire(self, lock: Lock) -> int:
        """Let expire what is over, in slices, for a few seconds at most."""
        until = time.monotonic() + _SLICE_S
        expired = 0
        while True:
            lock.check()
            slice_ = self._retention.turn(_PAGES_AT_ONCE)
            expired += slice_.events
            if not slice_.more or time.monotonic() > until:
                return expired
            time.sleep(_PAUSE_S)

    def _finish_long_events(self) -> None:
        """Make the deliveries that a receiver did not live to make: the event that has many was kept without them."""
        for event_id in self._calls.ask("srandmember", keys.UNMADE, _FINISHED_AT_ONCE):
            while keep.left(self._calls.run("keep", *keep.continuation(event_id.decode()))):
                time.sleep(_PAUSE_S)


class SweeperThread:
    """Sweeps in a thread of its own until `stop`. A store that is away is waited for."""

    def __init__(self, sweeper: Sweeper, *, every_s: float = 5.0) -> None:
        """*every_s*: how often it asks whether it is time for a turn."""
        self._sweeper = sweeper
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sweeper", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """Let no further turn begin, and wait a little for the one that runs; it can be cut off anywhere."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def _run(self) -> None:
        while not self._stopped.wait(self._every_s):
            try:
                self._sweeper.turn()
            except StorageUnavailable as error:
                _log.warning("sweeper.waiting", error=str(error))
            except Exception:  # noqa: BLE001 - a fault in one turn must not end all of them, unseen
                _log.exception("sweeper.failed")
