"""Incomplete events: finds those with a state but no envelope, and accounts for those without a state.

The former were never stored completely, or have lost their record. No list names them, so all keys have to be searched:
at once for a person who asks, and a few at each turn of maintenance.

The latter exist only after somebody deleted a key, or after the store came back without its last writes. The audit
names them until a person decides to write them off: an event that still has its record is stored again, unrouted, and
can be replayed; one without a record is counted as expired.
"""

from collections.abc import Collection, Iterable, Mapping
from itertools import islice

from receiver.core import ids
from receiver.storage.accounting.hour_counters import FOUND, HourCounters
from receiver.storage.model import codec, decoding
from receiver.storage.model.keep_script import rq_time
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

_KEYS_AT_ONCE = 1_000
_IDS_AT_ONCE = 64
_MOST_KNOWN = 10_000
_CURSOR = "cursor"


class IncompleteEvents:
    """Finds and deletes events that have a state but no envelope. Methods raise StorageUnavailable."""

    def __init__(self, calls: StoreClient) -> None:
        """*calls* must know the script `incomplete`."""
        self._calls = calls

    def all(self) -> set[str]:
        """Return all of them, at most 10,000. A million keys take the store a second, in steps of a millisecond."""
        found, cursor = set[str](), b"0"
        while True:
            cursor, page = self._scan(cursor)
            found |= page
            if cursor == b"0" or len(found) >= _MOST_KNOWN:
                return found

    def some(self, pages: int) -> set[str]:
        """Continue the search for *pages* of a thousand keys, and return the events found so far.

        The store holds the cursor and what was found. Another server cannot use the cursor and starts the search again.
        """
        server = self._calls.ask("info", "server")["run_id"]
        known = self._calls.ask("hgetall", keys.INCOMPLETE)
        began, _, cursor = decoding.text(known.pop(_CURSOR.encode(), b"")).partition(" ")
        at = cursor.encode() if began == server and cursor.isdecimal() else b"0"
        found = {decoding.text(event_id) for event_id in known}
        for _ in range(pages):
            at, page = self._scan(at)
            found |= page
            if at == b"0":
                break
        still = self._ask("look", found)
        self._calls.ask(
            "hset", keys.INCOMPLETE, mapping={_CURSOR: f"{server} {at.decode()}"} | dict.fromkeys(still, "")
        )
        self.forget(found - still)
        return still

    def forget(self, event_ids: Collection[str]) -> None:
        """Remove ids from what `some` has found."""
        if event_ids:
            self._calls.ask("hdel", keys.INCOMPLETE, *event_ids)

    def clear(self, event_ids: Collection[str]) -> set[str]:
        """Delete the remains of events that were never stored, with their fingerprints; return the deleted ones."""
        cleared = self._ask("clear", event_ids)
        if cleared:
            self._free_fingerprints({event_id.encode() for event_id in cleared})
        self.forget(cleared)
        return cleared

    def drop(self, event_ids: Collection[str]) -> None:
        """Delete the state of all of them, so that those that were stored can be written off."""
        self.forget(self._ask("drop", event_ids))

    def _scan(self, cursor: bytes) -> tuple[bytes, set[str]]:
        at, *found = self._calls.run("incomplete", "scan", cursor, _KEYS_AT_ONCE)
        return at, {decoding.text(event_id) for event_id in found}

    def _ask(self, verb: str, event_ids: Iterable[str]) -> set[str]:
        found, rest = set[str](), iter(sorted(event_ids)[:_MOST_KNOWN])
        while some := list(islice(rest, _IDS_AT_ONCE)):
            found |= {decoding.text(event_id) for event_id in self._calls.run("incomplete", verb, rq_time(), *some)}
        return found

    def _free_fingerprints(self, gone: set[bytes]) -> None:
        """Delete what they claim: a new event would otherwise be a duplicate of one that was never stored."""
        for key in (key for pattern in ("fd:f:*", "fd:made:*") for key in self._calls.scan(pattern)):
            claims = self._calls.ask("hgetall", key)
            if free := [field for field, claim in claims.items() if claim[: ids.LENGTH] in gone]:
                self._calls.ask("hdel", key, *free)


class WriteOff:
    """Accounts for lost events, hour by hour. *kept* and *written_off* count them. Raises StorageUnavailable."""

    def __init__(self, calls: StoreClient) -> None:
        """*calls* must know the script `write_off`."""
        self._calls = calls
        self.kept = 0
        self.written_off = 0

    def settle(self, hour: int, before: Mapping[bytes, bytes], found: HourCounters, lost: Iterable[str]) -> bool:
        """Account for the *lost* events of an hour; *found* are its other events while its counters were *before*.

        Return False, and change nothing, if the counters have changed or do not agree that exactly these are lost.
        """
        fates = [part for event_id in sorted(lost) for part in (event_id, self._fate(event_id))]
        counters = [part for pair in before.items() for part in pair]
        numbers = [found[name] for name in FOUND]
        reply = self._calls.run("write_off", hour, *numbers, len(before), *counters, *fates)
        if reply is None:
            return False
        kept, gone = reply
        self.kept += kept
        self.written_off += gone
        if gone:
            self._tidy(hour, {event_id for event_id, fate in zip(fates[::2], fates[1::2], strict=True) if fate == "-"})
        return True

    def _fate(self, event_id: str) -> str:
        """Return what the script should make of an event: unrouted, quarantined under its hook, or written off."""
        stored = self._calls.ask("get", keys.envelope(event_id))
        if stored is None:
            return "-"
        try:
            envelope = codec.unpack(stored)
        except ValueError:
            return "-"
        return f"{envelope.business_id}/{envelope.action}" if envelope.quarantine else "u"

    def _tidy(self, hour: int, gone: set[str]) -> None:
        """Delete the attempts, which nothing else would delete, and let retention clean the lists of routes and so
        on."""
        attempts = [key for key in self._calls.scan("fd:a:*") if key[5 : 5 + ids.LENGTH].decode() in gone]
        for key in attempts:
            self._calls.ask("delete", key)
        routes = [key.decode().removeprefix(keys.INDEX) for key in self._calls.scan(keys.index(hour, route="*"))]
        self._calls.ask("sadd", keys.stale(hour), "*", *routes)
        self._calls.ask("sadd", keys.STALE, str(hour))
