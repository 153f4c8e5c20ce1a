"""Detects data loss: a store that is empty, a different one, or older than a process remembers it.

The first process that checks a store gives it a random mark. Each long-running process remembers the mark and the
counts of the last audit, in memory and in its data directory (`store.json`). If the mark is gone or different, all data
is lost: `FLUSHALL`, a lost disk, or a restarted server without an append-only file. A restart and a failover keep the
mark. A loss is recorded in the store until somebody acknowledges it, and is remembered after that, so that a receiver
that was away does not report it again.

The time of each check is stored, too. If a process remembers a check that is more than a minute later than the last one
in the store, the store has gone back in time: it is a backup, or an old snapshot that a server without an append-only
file loaded. A failover that lost less than a minute is not reported.
"""

import contextlib
import os
import secrets
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import orjson
import redis

from receiver.core import timestamps
from receiver.core.sanitize import counted
from receiver.process import logs
from receiver.storage.accounting import maintenance
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient, replies

_FILE: Final = "store.json"
_WRITE_EVERY_MS: Final = 60_000
_LONGEST_TYPE: Final = 10

_log = logs.get()


@dataclass(frozen=True, slots=True)
class Loss:
    """A loss, detected at *found_ms* by a process that had last seen the store at *seen_ms*. *mark*: that of the lost
    store, or `{mark}<{Unix ms}` for a store that went back to that time. *was*: the type of a key that was set aside
    because it was of another than its own (`redis/mending.py`); then *mark* is that key, or its digest.

    The last audit, at *audited_ms* (0: none was known), had counted *events* and *in_flight* deliveries. Times are
    Unix ms; *acknowledged_ms* 0: nobody has acknowledged it yet.
    """

    mark: str
    seen_ms: int
    found_ms: int = 0
    audited_ms: int = 0
    events: int = 0
    in_flight: int = 0
    acknowledged_ms: int = 0
    was: str = ""

    @property
    def sentence(self) -> str:
        """Describe the loss in one sentence."""
        if self.was:
            return (
                f"The key {self.mark} of the store was a {self.was}, which is not its type: at "
                f"{timestamps.show(self.found_ms)} it was renamed to fd:aside:…, and what it should have held is lost."
            )
        held = "nobody had counted what it held"
        if self.audited_ms:
            held = (
                f"the audit of {timestamps.show(self.audited_ms)} had counted {counted(self.events, 'event')} in it, "
                f"with {counted(self.in_flight, 'delivery')} in flight"
            )
        _, _, back_to = self.mark.partition("<")
        if back_to.isdecimal():
            what = f"what came since {timestamps.show(int(back_to))} (it is back at what it was then)"
        else:
            what = "all that it held"
        seen, found = timestamps.show(self.seen_ms), timestamps.show(self.found_ms)
        return f"The store has lost {what}, between {seen} and {found}; {held}."


class LossDetector:
    """Remembers a store and notices when it was replaced. *address*: its URL without secrets; a new URL is no loss."""

    def __init__(self, client: redis.Redis, data_dir: Path, address: str) -> None:
        self._client = client
        self._calls = StoreClient(client, "detect_loss")
        self._file = data_dir / _FILE
        self._address = address
        self._known = self._remembered()
        self._written_ms = 0

    def turn(self) -> tuple[Loss, ...]:
        """Check once; return the losses that nobody has acknowledged. Raises StorageUnavailable."""
        now_ms = self._calls.now_ms()
        known = self._known
        loss = orjson.dumps(_fields(replace(known, found_ms=now_ms))) if known else b""
        remembered = (known.mark, known.seen_ms) if known else ("", 0)
        mark, looked, audit, is_new = self._calls.run("detect_loss", secrets.token_hex(8), *remembered, loss)
        losses = unacknowledged(self._client)
        if is_new:
            newest = max(losses, key=lambda one: one.found_ms, default=None)
            _log.error("store.lost", what=newest and newest.sentence, remedy="see deploy/RUNBOOK.md")
        if mark:
            self._remember(mark.decode("ascii", "replace"), audit, int(looked))
        return losses

    def _remember(self, mark: str, audit: bytes, now_ms: int) -> None:
        found = maintenance.read_result(audit)
        seen = Loss(mark, now_ms)
        if found and found.events is not None:
            seen = Loss(mark, now_ms, 0, found.at_ms, found.events, found.in_flight)
        is_due = self._known is None or self._known.mark != mark or now_ms - self._written_ms >= _WRITE_EVERY_MS
        self._known = seen
        if is_due:
            self._written_ms = now_ms
            with contextlib.suppress(OSError):  # then only this process remembers
                self._write(seen)

    def _write(self, seen: Loss) -> None:
        draft = self._file.with_name(f"{_FILE}.{os.getpid()}")
        draft.write_bytes(orjson.dumps({"address": self._address, "mark": seen.mark} | _fields(seen)))
        draft.replace(self._file)

    def _remembered(self) -> Loss | None:
        """Return what an earlier process with this data directory knew about the store at this address."""
        try:
            fields = orjson.loads(self._file.read_bytes())
            return _loss(str(fields["mark"]), fields) if fields["address"] == self._address else None
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def all_of(client: redis.Redis) -> tuple[Loss, ...]:
    """Return all losses, the oldest first. Raises StorageUnavailable."""
    (found,) = replies(client, [("HGETALL", keys.LOSSES)])
    losses = []
    for mark, stored in found.items():
        with contextlib.suppress(ValueError, TypeError, AttributeError):  # a newer version's, or not ours
            losses.append(_loss(mark.decode(errors="replace"), orjson.loads(stored)))
    return tuple(sorted(losses, key=lambda loss: loss.found_ms))


def unacknowledged(client: redis.Redis) -> tuple[Loss, ...]:
    """Return the losses that nobody has acknowledged. Raises StorageUnavailable."""
    return tuple(loss for loss in all_of(client) if not loss.acknowledged_ms)


def acknowledge(client: redis.Redis) -> tuple[Loss, ...]:
    """Mark all losses as acknowledged; return them. Raises StorageUnavailable."""
    losses, now_ms = unacknowledged(client), int(time.time() * 1_000)
    known = [(loss.mark, orjson.dumps(_fields(replace(loss, acknowledged_ms=now_ms)))) for loss in losses]
    replies(client, [("HSET", keys.LOSSES, mark, fields) for mark, fields in known])
    return losses


def _fields(loss: Loss) -> dict[str, Any]:
    return {name: value for name, value in asdict(loss).items() if name != "mark"}


def _loss(mark: str, fields: dict[str, Any]) -> Loss:
    numbers = {name: int(fields.get(name, 0)) for name in _fields(Loss("", 0)) if name != "was"}
    return Loss(mark, **numbers, was=str(fields.get("was", ""))[:_LONGEST_TYPE])
