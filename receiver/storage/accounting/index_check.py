"""Checks that all lists of events are complete: compares every event with every list that should name it."""

from collections.abc import Iterable, Iterator
from itertools import islice

from receiver.core import ids
from receiver.storage.accounting.missing_jobs import CompactSet
from receiver.storage.model import decoding
from receiver.storage.query import stored_event
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

_PAGE = 256
_ASKED_AT_ONCE = 16
_MOST_ASKED = 10_000
_ID = frozenset(b"0123456789abcdefghijklmnopqrstuvwxyz")


class IndexCheck:
    """Checks the lists of ids. The script that repairs checks once more whether the event is really missing."""

    def __init__(self, calls: StoreClient) -> None:
        """*calls* must know the script `missing_ids`."""
        self._calls = calls

    def unlisted(self, hour: int, *, repair: bool) -> set[str]:
        """Return events of an hour that are missing from the lists of their action, business or routes."""
        lists: dict[str, CompactSet] = {}
        candidates = (
            (name, event_id)
            for page in self._pages(keys.index(hour))
            for name, event_id in self._expected(page)
            if event_id not in _cached(lists, name, self)
        )
        return self._confirm(candidates, repair=repair)

    def unindexed(self, hours: Iterable[int], *, repair: bool) -> set[str]:
        """Return events that are missing from the list of their hour. Reads all keys, in pages."""
        listed = CompactSet()
        for hour in hours:
            for page in self._pages(keys.index(hour)):
                listed.add_all(page)
        candidates = (
            (_hour_of(event_id), event_id)
            for pattern in ("fd:d:*", "fd:e:*")
            for event_id in self._scan(pattern)
            if event_id not in listed
        )
        return self._confirm(candidates, repair=repair)

    def members_of(self, name: str) -> CompactSet:
        """Return all ids of one list."""
        members = CompactSet()
        for page in self._pages(keys.INDEX + name):
            members.add_all(page)
        return members

    def _confirm(self, candidates: Iterable[tuple[str, bytes]], *, repair: bool) -> set[str]:
        missing: set[str] = set()
        bounded = islice(candidates, _MOST_ASKED)
        while some := [part for pair in islice(bounded, _ASKED_AT_ONCE) for part in pair]:
            reply = self._calls.run("missing_ids", "repair" if repair else "look", *some)
            missing |= {decoding.text(event_id) for event_id in reply}
        return set() if repair else missing

    def _expected(self, page: list[bytes]) -> Iterator[tuple[str, bytes]]:
        """Yield the narrower lists that should name each of these events."""
        names = [decoding.text(event_id) for event_id in page]
        envelopes = self._calls.ask_all("get", map(keys.envelope, names))
        states = self._calls.ask_all("hgetall", map(keys.state, names))
        for event_id, packed, state in zip(page, envelopes, states, strict=True):
            if not packed or not state or not _is_id(event_id):
                continue
            stem = _hour_of(event_id)
            envelope, unreadable = stored_event.read(event_id.decode(), packed)
            if not unreadable:
                yield f"{stem}:a:{envelope.action}", event_id
                yield f"{stem}:b:{envelope.business_id}", event_id
            for number in stored_event.numbers_of(fields := decoding.texts(state)):
                if f"{number}r" in fields:
                    yield f"{stem}:r:{fields[f'{number}r']}", event_id

    def _pages(self, key: str) -> Iterator[list[bytes]]:
        start = 0
        while page := self._calls.ask("lrange", key, start, start + _PAGE - 1):
            yield page
            start += len(page)

    def _scan(self, pattern: str) -> Iterator[bytes]:
        for key in self._calls.scan(pattern):
            event_id = key.rpartition(b":")[2]
            if _is_id(event_id):
                yield event_id


def _cached(lists: dict[str, CompactSet], name: str, indexes: IndexCheck) -> CompactSet:
    if name not in lists:
        lists[name] = indexes.members_of(name)
    return lists[name]


def _is_id(event_id: bytes) -> bool:
    return len(event_id) == ids.LENGTH and _ID.issuperset(event_id)


def _hour_of(event_id: bytes) -> str:
    return str(ids.hour_of(event_id.decode()))
