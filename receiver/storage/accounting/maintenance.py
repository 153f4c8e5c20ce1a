"""Maintenance: one of the worker parents checks and repairs the store every minute.

It audits the hours that are not sealed, gives deliveries without a live job a new one, stores the result for the
metrics of every receiver, and logs what people did with commands. It never takes more than a twentieth of the time:
the longer a turn took, the longer the pause before the next. Retention runs separately (`retention.py`).
"""

import contextlib
import time
from dataclasses import dataclass
from typing import Any

import orjson
import redis

from receiver.core.errors import StorageUnavailable
from receiver.process import logs
from receiver.storage.accounting.audit import Audit
from receiver.storage.model import decoding, keep_script
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient, is_refusal
from receiver.storage.shared.audit_log import AuditLogForwarder
from receiver.storage.shared.lock import Lock
from receiver.storage.spool import reports

INTERVAL_MS = 60_000

_REST = 20
_PAGES_SCANNED = 200
_FINISHED_AT_ONCE = 100
_PAUSE_S = 0.002
_LONGEST_ID = 40
_LOCK = "sweeper"

_log = logs.get()


@dataclass(frozen=True, slots=True)
class AuditResult:
    """The last result of maintenance, and its time (Unix ms). *events*: the number stored (None: written by an
    earlier version). *in_flight*: the number of deliveries in flight."""

    at_ms: int
    next_ms: int
    unaccounted: int
    repaired: int
    offenders: tuple[str, ...]
    events: int | None = None
    in_flight: int = 0


def last_result(client: redis.Redis) -> AuditResult | None:
    """Return the last result of maintenance; None: it has never run. Raises StorageUnavailable."""
    return read_result(StoreClient(client).ask("get", keys.AUDIT))


def read_result(stored: bytes | str | None) -> AuditResult | None:
    """Read what the key `fd:audit` holds; None for nothing, and for what this version cannot read."""
    with contextlib.suppress(ValueError, KeyError, TypeError):
        fields: dict[str, Any] = orjson.loads(stored or b"")
        return AuditResult(
            int(fields["at_ms"]),
            int(fields["next_ms"]),
            int(fields["unaccounted"]),
            int(fields["repaired"]),
            tuple(fields["offenders"]),
            fields.get("events"),
            int(fields.get("in_flight", 0)),
        )
    return None


@dataclass(frozen=True, slots=True)
class MaintenanceTurn:
    """What a turn did. *by*: the other process that is doing it or did it lately; this turn did nothing."""

    unaccounted: int = 0
    offenders: tuple[str, ...] = ()
    repaired: int = 0
    by: str | None = None


class Maintenance:
    """Maintains a store. Many processes may try; only one at a time does it."""

    def __init__(self, client: redis.Redis, *, interval_ms: int = INTERVAL_MS) -> None:
        self._client = client
        self._calls = StoreClient(client, "keep")
        self._acts = AuditLogForwarder(client)
        self._audit = Audit(client, pause_s=_PAUSE_S, scanned=_PAGES_SCANNED)
        self._interval_ms = interval_ms

    def turn(self) -> MaintenanceTurn:
        """Do one turn if one is due and no other process does it. Raises StorageUnavailable."""
        self._acts.write()
        lock = Lock(self._client, _LOCK)
        holder = lock.take()
        if holder:
            return MaintenanceTurn(by=holder)
        with lock:
            latest = last_result(self._client)
            if latest and self._calls.now_ms() < latest.next_ms:
                return MaintenanceTurn(by="an earlier turn")
            return self._run(lock)

    def _run(self, lock: Lock) -> MaintenanceTurn:
        began = time.monotonic()
        self._finish_long_events()
        reports.tidy(self._client, self._calls.now_ms())
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
        return MaintenanceTurn(report.unaccounted, report.offenders, report.repaired)

    def _finish_long_events(self) -> None:
        """Create the deliveries that a receiver did not create before it ended: an event with many gets them in
        portions."""
        for event_id in self._calls.ask("srandmember", keys.UNMADE, _FINISHED_AT_ONCE):
            name = decoding.text(event_id)
            try:
                while keep_script.left(self._calls.run("keep", *keep_script.continuation(name))):
                    time.sleep(_PAUSE_S)
            except StorageUnavailable as error:
                if not is_refusal(error):
                    raise
                _log.error("event.unfinished", id=name[:_LONGEST_ID], error=str(error))  # the others go on
