"""Events that have a state and no envelope: never kept in whole, or robbed of their record.

Nothing lists the former, so all keys have to be gone through: at once for a person who asks, and a bit at each turn of
the sweeper.
"""

from collections.abc import Collection, Iterable
from itertools import islice

from receiver.storage.model import decoding
from receiver.storage.model.keep_script import rq_time
from receiver.storage.redis import keys
from receiver.storage.redis.client import StoreClient

_KEYS_AT_ONCE = 1_000
_IDS_AT_ONCE = 64
_MOST_KNOWN = 10_000
_CURSOR = "cursor"


class Incomplete:
    """Finds such events and clears them away. Methods raise StorageUnavailable."""

    def __init__(self, calls: StoreClient) -> None:
        """*calls* must know the script `incomplete`."""
        self._calls = calls

    def all(self) -> set[str]:
        """Return all of them, at most 10,000; a million keys take the store a second, in pieces of a millisecond."""
        found, cursor = set[str](), b"0"
        while True:
            cursor, page = self._scan(cursor)
            found |= page
            if cursor == b"0" or len(found) >= _MOST_KNOWN:
                return found

    def some(self, pages: int) -> set[str]:
        """Go on with the search for *pages* of a thousand keys, and return those that are known by now.

        Where the search stands, and what it has found, is in the store. A cursor means nothing to another server.
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

    def forget(self, ids: Collection[str]) -> None:
        """Take ids off what `some` has found."""
        if ids:
            self._calls.ask("hdel", keys.INCOMPLETE, *ids)

    def clear(self, ids: Collection[str]) -> set[str]:
        """Clear away what is left of those that were never kept, also what their fingerprints claim; return them."""
        cleared = self._ask("clear", ids)
        if cleared:
            self._free_fingerprints({event_id.encode() for event_id in cleared})
        self.forget(cleared)
        return cleared

    def drop(self, ids: Collection[str]) -> None:
        """Clear away the state of all of them, so that those which were kept can be reckoned with as lost."""
        self.forget(self._ask("drop", ids))

    def _scan(self, cursor: bytes) -> tuple[bytes, set[str]]:
        at, *found = self._calls.run("incomplete", "scan", cursor, _KEYS_AT_ONCE)
        return at, {decoding.text(event_id) for event_id in found}

    def _ask(self, verb: str, ids: Iterable[str]) -> set[str]:
        found, rest = set[str](), iter(sorted(ids)[:_MOST_KNOWN])
        while some := list(islice(rest, _IDS_AT_ONCE)):
            found |= {decoding.text(event_id) for event_id in self._calls.run("incomplete", verb, rq_time(), *some)}
        return found

    def _free_fingerprints(self, gone: set[bytes]) -> None:
        """Else an event that comes would be a duplicate of one that never was."""
        for key in self._calls.scan("fd:f:*"):
            claims = self._calls.ask("hgetall", key)
            if free := [field for field, event_id in claims.items() if event_id in gone]:
                self._calls.ask("hdel", key, *free)
