"""The groups of failures in the store: one process looks at all failures now and then, all others read the result."""

import secrets
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from itertools import islice
from typing import Any, Final

import orjson
import redis

from receiver.core.errors import UsageError
from receiver.failures import failure_records
from receiver.failures.error_patterns import kind_of, without_texts
from receiver.failures.failure_groups import OTHER, Failure, Found, Grouped, grouped
from receiver.failures.failure_records import META, FailureGroup, Said, Summary
from receiver.failures.failure_scan import FailureScan
from receiver.storage.model import codec
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient, replies

PATIENCE_MS: Final = 30_000
"""For how long others leave looking to the process that looked last."""

LONGEST_REASON: Final = 200

_REST: Final = 20
"""How often the time that a look took passes until the next one: looking takes a twentieth of the time at most."""

_WRITTEN_EVERY_MS: Final = 60_000
_NAMED_AT_ONCE: Final = 50
_TRIES: Final = 3


class FailureLedger:
    """Finds, groups and keeps failures. Threads may share it. Methods raise StorageUnavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._calls = StoreClient(client, "failures")
        self._scan = FailureScan(client)
        self._grouped = Grouped({}, {}, frozenset())
        self._token = secrets.token_hex(8)
        self._rests_until = 0.0
        self._written_ms = 0
        self._lock = threading.Lock()

    def summary(self) -> Summary:
        """Return what the last look found, whoever looked."""
        return read(self._client)

    def refresh(self, *, older_ms: int = 0) -> Summary:
        """Look at all failures now, unless the last look is younger than *older_ms*; return what is known then."""
        with self._lock:
            for _ in range(_TRIES):
                meta, before, now_ms = self._known()
                if older_ms and now_ms - before.at_ms < older_ms:
                    break
                if self._look(meta, before, now_ms):
                    break
            return self.summary()

    def turn(self, *, every_ms: int) -> None:
        """Look when it is time to: another process may be at it, and a look that took long is followed by a rest."""
        meta, before, now_ms = self._known()
        is_ours = _by(meta) == self._token
        if now_ms - before.at_ms < (every_ms if is_ours else PATIENCE_MS) or time.monotonic() < self._rests_until:
            return
        with self._lock:
            self._look(meta, before, now_ms)

    def members(self, group_id: str) -> list[Failure]:
        """Return the failures of a group by the last look of this process, the oldest event first."""
        with self._lock:
            return [one for one in self._scan.failures() if self._grouped.home(one) == group_id]

    def acknowledge(self, group_id: str, who: str, reason: str) -> FailureGroup:
        """Say that a group is known: no alert until it is closed and comes back. Raises UsageError."""
        return self._say(group_id, Said("acknowledged", who, _checked(reason), self._calls.now_ms()))

    def snooze(self, group_id: str, who: str, reason: str, for_ms: int) -> FailureGroup:
        """Leave a group alone for a while, or until it is closed and comes back. Raises UsageError."""
        now_ms = self._calls.now_ms()
        return self._say(group_id, Said("snoozed", who, _checked(reason), now_ms, now_ms + for_ms))

    def group(self, group_id: str) -> FailureGroup | None:
        """Return a group as the last look found it; None when there is none of this id."""
        named = group_id.encode("utf-8", "replace")
        asked = [("HGET", keys.FAILURES, named), ("HGET", keys.FAILURE_ACTS, named)]
        stored = [{named: one} if one is not None else {} for one in replies(self._client, asked)]
        return failure_records.read(*stored).group(group_id)

    def get(self, group_id: str) -> FailureGroup:
        """Return a group. Raises UsageError."""
        found = self.group(group_id)
        if found is None:
            raise UsageError(f"no group of failures has the id {group_id[:40]!r}; `frontdesk failures` lists them")
        return found

    def _say(self, group_id: str, said: Said) -> FailureGroup:
        if self.get(group_id).closed_ms:
            raise UsageError(f"group {group_id} is closed: it has no failures any more")
        self._calls.ask("hset", keys.FAILURE_ACTS, group_id, orjson.dumps(asdict(said)))
        return self.get(group_id)

    def _known(self) -> tuple[bytes, Summary, int]:
        groups, acts = self._calls.ask_all("hgetall", (keys.FAILURES, keys.FAILURE_ACTS))
        return groups.get(META.encode(), b""), failure_records.read(groups, acts), self._calls.now_ms()

    def _look(self, meta: bytes, before: Summary, now_ms: int) -> bool:
        """Look and write. Returns whether nobody else wrote meanwhile."""
        began = time.monotonic()
        self._scan.refresh()
        self._grouped = grouped(self._scan.failures(), now_ms)
        groups = failure_records.merged(before, self._grouped, now_ms, self._names)
        self._rests_until = time.monotonic() + _REST * (time.monotonic() - began)
        return self._write(meta, before, groups, now_ms)

    def _write(self, meta: bytes, before: Summary, groups: tuple[FailureGroup, ...], now_ms: int) -> bool:
        is_same = groups == before.groups and now_ms - self._written_ms < _WRITTEN_EVERY_MS
        mark = {"at_ms": now_ms, "by": self._token, "is_cut": self._scan.is_cut}
        was_open = {one.id for one in before.groups if not one.closed_ms}
        ended = [one.id for one in groups if one.closed_ms and one.id in was_open]
        told: list[Any] = [meta, orjson.dumps(mark), "same" if is_same else "all", len(ended), *ended]
        for one in () if is_same else groups:
            told += (one.id, failure_records.written(one))
        is_written = bool(self._calls.run("failures", *told))
        if is_written and not is_same:
            self._written_ms = now_ms
        return is_written

    def _names(self, found: Iterable[Found]) -> dict[str, tuple[str, str]]:
        """Name new groups: what the record of a sample says is taken out."""
        names = {}
        waiting = iter(found)
        while some := list(islice(waiting, _NAMED_AT_ONCE)):
            packed = self._calls.ask("mget", [keys.envelope(one.sample) for one in some])
            for one, stored in zip(some, packed, strict=True):
                error = one.pattern if one.pattern == OTHER else without_texts(one.pattern, _record(stored))
                names[one.id] = (error, one.pattern if one.pattern == OTHER else kind_of(one.pattern))
        return names


def read(client: redis.Redis) -> Summary:
    """Return what the last look found. Raises StorageUnavailable."""
    groups, acts = replies(client, [("HGETALL", keys.FAILURES), ("HGETALL", keys.FAILURE_ACTS)])
    return failure_records.read(groups, acts)


def _by(meta: bytes) -> str | None:
    try:
        fields: Mapping[str, Any] = orjson.loads(meta)
        return str(fields["by"])
    except (ValueError, KeyError, TypeError):
        return None


def _checked(reason: str) -> str:
    reason = " ".join(reason.split())
    if not reason:
        raise UsageError("give a reason: whoever looks next wants to know it")
    if len(reason) > LONGEST_REASON:
        raise UsageError(f"the reason has {len(reason)} characters; at most {LONGEST_REASON} are kept")
    return reason


def _record(stored: bytes | None) -> Any:
    try:
        return codec.unpack(stored).record() if stored else None
    except ValueError:
        return None
