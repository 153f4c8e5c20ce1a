"""Reads stored events: one with its deliveries and attempts, or many by a filter, newest first."""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import redis

from receiver.core.errors import EventUnknown
from receiver.core.events import EventStatus
from receiver.storage.model import decoding
from receiver.storage.query.event_index import Bounds, EventIndex, IndexPage
from receiver.storage.query.stored_event import (
    STANDING,
    EventFilter,
    StoredEvent,
    delivery,
    numbers_of,
    read,
    status_of,
)
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

_PAGE = 500

FIRST_BATCH: Final = 64
LEAST_BATCH: Final = 8
MOST_BATCH: Final = 512
"""Bounds on the events in one batch, which should take a few milliseconds; the cost of one event is not known
before."""

_QUICK_S: Final = 0.004
_SLOW_S: Final = 0.012

BodyTest = Callable[[bytes], bool]


@dataclass(frozen=True, slots=True)
class SearchPage:
    """The result of a few milliseconds of search: the events found, among *looked_at* events down to the id *last*."""

    events: tuple[StoredEvent, ...]
    looked_at: int
    last: str


class AdaptiveBatch:
    """The size of the next batch. It starts with a screenful, and adapts to the time that the last batch took."""

    def __init__(self) -> None:
        self.size = FIRST_BATCH

    def took(self, seconds: float) -> None:
        """Adapt *size* to the time that a batch of this size took."""
        if seconds < _QUICK_S:
            self.size = min(self.size * 2, MOST_BATCH)
        elif seconds > _SLOW_S:
            self.size = max(self.size // 2, LEAST_BATCH)


class EventReader:
    """Reads stored events. Every method raises StorageUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client, "entity")
        self._index = EventIndex(client)

    def get(self, event_id: str) -> StoredEvent:
        """Return one event; for a duplicate that came from a spool, the event stored first. Raises EventUnknown."""
        found = next(iter(self._load([event_id])), None)
        if found is None and (first := self._calls.ask("get", keys.alias(event_id))):
            found = next(iter(self._load([first.decode()])), None)
        if found is None:
            raise EventUnknown(f"event {event_id!r} is not kept: the id is wrong, or its time is over")
        return found

    def newest(self, wanted: EventFilter, *, after: str | None = None) -> Iterator[StoredEvent]:
        """Yield the matching events, newest first; *after*: only those older than the event with this id.

        It reads lazily, so taking fifty of millions of events costs a few calls.
        """
        for page in self.search(wanted, after=after):
            yield from page.events

    def search(
        self, wanted: EventFilter, *, after: str | None = None, body: BodyTest | None = None
    ) -> Iterator[SearchPage]:
        """Search for events, newest first; every few milliseconds, yield what was found, which may be nothing.

        *body*: a test of the record's bytes. *after*: as in `newest`. With the last id of a page, the search continues
        where that page ended, and finds each event once, even if others are stored meanwhile.
        """
        batch = AdaptiveBatch()
        for listed in self._pages(wanted, after):
            passed_by, start = listed.looked_at - len(listed.named), 0
            while start < len(listed.named):
                began = time.monotonic()
                some = listed.named[start : start + batch.size]
                found = tuple(self._sifted(some, wanted, body))
                batch.took(time.monotonic() - began)
                start += len(some)
                yield SearchPage(found, len(some), some[-1])
            if passed_by:
                yield SearchPage((), passed_by, listed.last)

    def hour_page(self, hour: int, start: int, most: int = _PAGE) -> list[str]:
        """Return ids of an hour in the order in which they were stored, from position *start*."""
        return _texts(self._calls.ask("lrange", keys.index(hour), start, start + most - 1))

    def hour_length(self, hour: int) -> int:
        """Return how many ids an hour has."""
        return int(self._calls.ask("llen", keys.index(hour)))

    def place_behind(self, hour: int, event_id: str) -> int:
        """Return the position in an hour's list after *event_id*, or where that would be if it has expired."""
        return self._index.place_behind(hour, event_id)

    def hours(self) -> list[int]:
        """The hours that have events, newest first."""
        return self._index.hours()

    def many(self, event_ids: Sequence[str]) -> list[StoredEvent]:
        """Return those of *event_ids* that are stored, in the given order."""
        return list(self._load(event_ids))

    def counters(self, hour: int) -> dict[str, int]:
        """What happened to the events of an hour."""
        return decoding.numbers(self._calls.ask("hgetall", keys.counters(hour)))

    def _pages(self, wanted: EventFilter, after: str | None) -> Iterator[IndexPage]:
        """Yield the ids of the narrowest list that holds all matching events."""
        bounds = Bounds(wanted.since_ms, wanted.until_ms, after)
        if wanted.status in STANDING:
            return self._index.standing(str(wanted.status), bounds)
        if wanted.action:
            return self._index.listed(bounds, action=wanted.action)
        if wanted.route:
            return self._index.listed(bounds, route=wanted.route)
        return self._index.listed(bounds, business_id=wanted.business_id)

    def _sifted(self, event_ids: Sequence[str], wanted: EventFilter, body: BodyTest | None) -> Iterator[StoredEvent]:
        """Yield the matching events; of others, load only as much as is needed to see that they do not match."""
        if wanted.entity is not None:
            event_ids = _texts(self._calls.run("entity", wanted.entity, *event_ids))
        if event_ids and (body is not None or wanted.is_manifold):
            event_ids = self._with_envelope(event_ids, wanted, body)
        if wanted.status is not None and wanted.status not in STANDING:
            event_ids = self._with_status(event_ids, wanted.status)
        return (stored for stored in self._load(event_ids) if wanted.wants(stored))

    def _with_envelope(self, event_ids: Sequence[str], wanted: EventFilter, body: BodyTest | None) -> list[str]:
        packed = self._calls.ask("mget", [keys.envelope(event_id) for event_id in event_ids])
        envelopes = [read(event_id, one)[0] for event_id, one in zip(event_ids, packed, strict=True) if one]
        return [one.id for one in envelopes if wanted.names(one) and (body is None or body(one.body))]

    def _with_status(self, event_ids: Sequence[str], status: EventStatus) -> list[str]:
        if not event_ids:
            return []
        states = self._calls.ask_all("hgetall", map(keys.state, event_ids))
        return [
            event_id
            for event_id, state in zip(event_ids, states, strict=True)
            if state and status_of(decoding.texts(state)) == status
        ]

    def _load(self, event_ids: Sequence[str]) -> Iterator[StoredEvent]:
        for start in range(0, len(event_ids), _PAGE):
            yield from self._load_page(event_ids[start : start + _PAGE])

    def _load_page(self, event_ids: Sequence[str]) -> Iterator[StoredEvent]:
        replies = self._calls.ask_each(
            command
            for event_id in event_ids
            for command in (("get", keys.envelope(event_id)), ("hgetall", keys.state(event_id)))
        )
        found = [
            (*read(event_id, packed), decoding.texts(state))
            for event_id, packed, state in zip(event_ids, replies[::2], replies[1::2], strict=True)
            if packed and state
        ]
        asked = (
            ("lrange", keys.attempts(f"{envelope.id}-{number}"), 0, -1)
            for envelope, _, state in found
            for number in numbers_of(state)
        )
        *ended, paused = self._calls.ask_each([*asked, ("hkeys", keys.PAUSED)])
        attempts, held = iter(ended), frozenset(_texts(paused))
        for envelope, unreadable, state in found:
            deliveries = tuple(
                delivery(envelope.id, number, state, next(attempts), held) for number in numbers_of(state)
            )
            shadow = tuple(state["w"].split(",")) if "w" in state else ()
            yield StoredEvent(envelope, status_of(state), deliveries, shadow, unreadable)


def _texts(values: Sequence[bytes]) -> list[str]:
    return [decoding.text(value) for value in values]
