"""The reports on spools in the store, so that the spool of a receiver that has ended is not forgotten.

The hash `fd:spools` has one field for each spool that holds events: the folder's identity and the slot. The value says
where the folder is, for the person who has to find it.
"""

import socket
from dataclasses import dataclass
from pathlib import Path

import orjson
import redis

from receiver.core.sanitize import writable
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient
from receiver.storage.spool.handle import Contents

REPORT_EVERY_S = 5.0
"""How often a receiver reports a spool that is not empty."""

SILENT_AFTER_MS = 30_000
"""A spool that was not reported for so long has no running owner."""


@dataclass(frozen=True, slots=True)
class SpoolReport:
    """The last report on a spool: it has *depth* events, the oldest of them from *oldest_ms*. Times are Unix ms.
    *trouble*: a clause that says why it cannot take events; empty: it can."""

    name: str
    host: str
    folder: str
    depth: int
    bytes: int
    oldest_ms: int
    reported_ms: int
    trouble: str = ""

    def is_orphaned(self, now_ms: int) -> bool:
        """Return whether no running process owns it."""
        return now_ms - self.reported_ms > SILENT_AFTER_MS

    def is_unusable(self, now_ms: int) -> bool:
        """Return whether a running receiver could not spool there."""
        return bool(self.trouble) and not self.is_orphaned(now_ms)


def name_without_file(folder: Path) -> str:
    """Return the name for the report of a spool that has no file, and so no name, because its folder is unusable."""
    return f"{socket.gethostname()}:{writable(str(folder))}"


def value(folder: Path, contents: Contents, *, now_ms: int, trouble: str | None = None) -> bytes:
    """Return the report for a spool that holds events or cannot be used; *trouble* says why it cannot.

    *now_ms*: the store's time.
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
    """Return all reports, the oldest first; the sum of their depths is the number of spooled events.

    Raises StorageUnavailable.
    """
    found = StoreClient(client).ask("hgetall", keys.SPOOLS)
    read = (_report(name.decode("utf-8", "replace"), stored) for name, stored in found.items())
    return tuple(sorted((report for report in read if report), key=lambda report: report.reported_ms))


def forget(client: redis.Redis, name: str) -> bool:
    """Remove the report of a spool that will never be drained, because its disk is lost. Raises StorageUnavailable."""
    return bool(StoreClient(client).ask("hdel", keys.SPOOLS, name))


def tidy(client: redis.Redis, now_ms: int) -> None:
    """Remove reports of ended receivers on empty spools. Raises StorageUnavailable."""
    for report in reports(client):
        if not report.depth and report.is_orphaned(now_ms):
            forget(client, report.name)


def _report(name: str, stored: bytes) -> SpoolReport | None:
    """Return a report; None for a value that is not one, such as the empty one that a probe briefly writes."""
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
