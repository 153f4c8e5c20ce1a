"""What spools say of themselves in the store, so that the spool of a receiver that is gone is not forgotten.

One field of the hash `fd:spools` for each spool that holds events: the folder's identity and the slot. The value tells
where the folder is, for the person who has to find it.
"""

import socket
from dataclasses import dataclass
from pathlib import Path

import orjson
import redis

from receiver.core.sanitize import writable
from receiver.storage.redis import keys
from receiver.storage.redis.client import StoreClient
from receiver.storage.spool.handle import Contents

REPORT_EVERY_S = 5.0
"""How often a receiver reports a spool that is not empty."""

SILENT_AFTER_MS = 30_000
"""A spool that was not reported for so long belongs to nobody who runs."""


@dataclass(frozen=True, slots=True)
class SpoolReport:
    """The last that was heard of a spool. *depth* events, the oldest of them from *oldest_ms*; times are Unix ms.
    *trouble*: why it can take no event, in one clause; empty: it can."""

    name: str
    host: str
    folder: str
    depth: int
    bytes: int
    oldest_ms: int
    reported_ms: int
    trouble: str = ""

    def is_orphaned(self, now_ms: int) -> bool:
        """Whether nobody looks after it any more."""
        return now_ms - self.reported_ms > SILENT_AFTER_MS

    def is_unusable(self, now_ms: int) -> bool:
        """Whether a receiver that runs could not spool there."""
        return bool(self.trouble) and not self.is_orphaned(now_ms)


def name_without_file(folder: Path) -> str:
    """What a spool is called that has no file, and so no name, because its folder cannot be used."""
    return f"{socket.gethostname()}:{writable(str(folder))}"


def value(folder: Path, contents: Contents, *, now_ms: int, trouble: str | None = None) -> bytes:
    """Return what is written for a spool that holds events, or that cannot be used: *trouble* says why.

    *now_ms*: the time, as the store tells it.
    """
    return orjson.dumps(
        {
            "host": socket.gethostname(),
            "folder": writable(str(folder)),
            "depth": contents.count,
            "bytes": contents.bytes,
            "oldest_ms": contents.oldest_ms or 0,
            "reported_ms": now_ms,
        }
        | ({"trouble": writable(trouble)} if trouble else {})
    )


def reports(client: redis.Redis) -> tuple[SpoolReport, ...]:
    """Return all reports, the longest silent first; the sum of their depths is what is spooled.

    Raises StorageUnavailable.
    """
    found = StoreClient(client).ask("hgetall", keys.SPOOLS)
    read = (_report(name.decode("utf-8", "replace"), stored) for name, stored in found.items())
    return tuple(sorted((report for report in read if report), key=lambda report: report.reported_ms))


def forget(client: redis.Redis, name: str) -> bool:
    """Forget the report of a spool that will never be drained, because its disk is lost. Raises StorageUnavailable."""
    return bool(StoreClient(client).ask("hdel", keys.SPOOLS, name))


def tidy(client: redis.Redis, now_ms: int) -> None:
    """Forget what receivers that are gone said of empty spools. Raises StorageUnavailable."""
    for report in reports(client):
        if not report.depth and report.is_orphaned(now_ms):
            forget(client, report.name)


def _report(name: str, stored: bytes) -> SpoolReport | None:
    """Return a report, or None for what is not one: a probe leaves an empty value for a moment."""
    try:
        fields = orjson.loads(stored)
        return SpoolReport(
            name=name,
            host=str(fields["host"]),
            folder=str(fields["folder"]),
            depth=int(fields["depth"]),
            bytes=int(fields["bytes"]),
            oldest_ms=int(fields["oldest_ms"]),
            reported_ms=int(fields["reported_ms"]),
            trouble=str(fields.get("trouble", "")),
        )
    except (ValueError, TypeError, KeyError, OverflowError):
        return None
