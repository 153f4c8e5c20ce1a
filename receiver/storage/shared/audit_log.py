"""The audit log: who did what with stored events, and when. It is kept for a year and names no person in an event."""

import contextlib
import getpass
import hashlib
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import redis

from receiver.core import timestamps
from receiver.core.durations import HOUR_MS
from receiver.core.errors import StorageUnavailable
from receiver.core.sanitize import encodable, writable
from receiver.process import logs
from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

KEPT_MS = 366 * 86_400_000
_MOST = 100_000
_PAGE = 500
_LONGEST = 200
_LOG = "log"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act of a person. *what* is a word or two, such as `replay` or `audit.repair`; *detail*: its kind and
    extent; *id* names its place in the log."""

    at_ms: int
    who: str
    what: str
    detail: dict[str, Any]
    id: str = ""


class AuditLog:
    """The audit log in the store. Every method raises StorageUnavailable."""

    def __init__(self, client: redis.Redis, *, is_logged: bool = False) -> None:
        """*is_logged*: `record` also logs the act; otherwise `AuditLogForwarder` does."""
        self._calls = StoreClient(client)
        self._is_logged = is_logged

    def record(self, what: str, who: str | None = None, **detail: object) -> None:
        """Record an act. *who* None: the user of this process. *detail*: no personal data; None values are left out."""
        said = {name: value for name, value in detail.items() if value is not None}
        fields = {"who": writable(who or operator())[:_LONGEST], "what": what, "detail": orjson.dumps(encodable(said))}
        self._calls.ask("xadd", keys.ACTS, fields | ({"logged": 1} if self._is_logged else {}))
        oldest = self._calls.now_ms() - KEPT_MS
        self._calls.ask("xtrim", keys.ACTS, minid=oldest, approximate=False)
        self._calls.ask("xtrim", keys.ACTS, maxlen=_MOST, approximate=True)

    def newest(
        self,
        since_ms: int | None = None,
        until_ms: int | None = None,
        *,
        after: str | None = None,
        at_once: int = _PAGE,
    ) -> Iterator[AuditEntry]:
        """Yield acts, newest first. *since_ms*, *until_ms*: Unix ms, both included. *after*: continue after the act of
        this id. *at_once*: how many are read in one call."""
        last: str | int = f"({after}" if after else "+" if until_ms is None else until_ms
        while page := self._calls.ask("xrevrange", keys.ACTS, last, since_ms or "-", count=at_once):
            for identifier, fields in page:
                yield _act(identifier.decode(), fields)
            last = f"({page[-1][0].decode()}"


class AuditLogForwarder:
    """Logs the acts of commands, whose own log nobody keeps.

    Several processes may do it; each act is logged once. The store remembers how far they got.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client)

    def write(self) -> None:
        """Log the acts since the last call, a bounded number at once. Raises StorageUnavailable."""
        if not self._is_begun():
            return
        read = self._calls.ask("xreadgroup", _LOG, operator(), {keys.ACTS: ">"}, count=_PAGE, noack=True)
        for identifier, fields in read[0][1] if read else ():
            if b"logged" not in fields:
                act = _act(identifier.decode(), fields)
                detail = {name: value for name, value in act.detail.items() if name != "event"}  # a line's own name
                said = detail | {"who": act.who, "act": act.what, "at": timestamps.show(act.at_ms)}
                logs.get().info("act.recorded", **said)

    def _is_begun(self) -> bool:
        """Whether the store remembers, or does from now on; there is nothing to remember before the first act."""
        if not self._calls.ask("exists", keys.ACTS):
            return False
        known = {group["name"] for group in self._calls.ask("xinfo_groups", keys.ACTS)}
        if _LOG.encode() not in known:
            with contextlib.suppress(StorageUnavailable):  # somebody else was quicker
                self._calls.ask("xgroup_create", keys.ACTS, _LOG, id=self._calls.now_ms() - HOUR_MS)
        return True


def operator() -> str:
    """Return the user of this process as user@host."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # a container may run under a number that has no name
        user = "somebody"
    return f"{user}@{socket.gethostname()}"


def seal_of(subject: str) -> str:
    """Return the salted digest that an act stores instead of a person's address or number.

    It suffices to confirm a name that is already known, but not to find one out. The salt comes first.
    """
    salt = hashlib.blake2b(str(time.time_ns()).encode(), digest_size=8).hexdigest()
    return f"{salt}:{_digest(salt, subject)}"


def is_sealed(subject: str, seal: str) -> bool:
    """Return whether a seal was made from this subject."""
    salt, _, digest = seal.partition(":")
    return _digest(salt, subject) == digest


def _digest(salt: str, subject: str) -> str:
    return hashlib.blake2b(subject.casefold().encode(), salt=bytes.fromhex(salt), digest_size=8).hexdigest()


def _act(identifier: str, fields: dict[bytes, bytes]) -> AuditEntry:
    return AuditEntry(
        at_ms=decoding.moment(identifier.partition("-")[0]) or 0,
        who=decoding.text(fields.get(b"who", b"?")),
        what=decoding.text(fields.get(b"what", b"?")),
        detail=_detail(fields.get(b"detail", b"{}")),
        id=identifier,
    )


def _detail(written: bytes) -> dict[str, Any]:
    try:
        detail: Any = orjson.loads(written)
    except ValueError:
        detail = None
    return detail if isinstance(detail, dict) else {"unreadable": True}
