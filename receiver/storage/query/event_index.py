"""Reads the ids of stored events from the lists in the store, newest first, without loading events."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import redis

from receiver.core import ids
from receiver.core.durations import HOUR_MS
from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

_ID: Final = re.compile(rb"[0-9a-z]{%d}" % ids.LENGTH)
_SIZES: Final = (100, 1_000, 5_000)
"""The sizes of the first page, the second, and all others: most callers need only a screenful."""

_LAST_MS: Final = 36**9 - 1
"""The last time that an id can contain."""

_STEPPED_BACK_MS: Final = 10_000
"""If a receiver's clock is set back a little, its ids still ascend and contain a later time than the event. So whether
an event came before a time can only be read from the event itself."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """The bounds of a search: Unix milliseconds, and the id of the event *after* which it continues."""

    since_ms: int | None = None
    until_ms: int | None = None
    after: str | None = None

    @property
    def lowest(self) -> bytes:
        """The lower bound: every event since that time has an id at or above it."""
        return b"0" if self.since_ms is None else _edge(self.since_ms)

    @property
    def highest(self) -> bytes:
        """The upper bound: every event until that time has an id below it."""
        return b"z" * ids.LENGTH if self.until_ms is None else _edge(self.until_ms + _STEPPED_BACK_MS)


@dataclass(frozen=True, slots=True)
class IndexPage:
    """A part of a list: *named* are the ids within the bounds, among *looked_at* ids that were read, down to *last*."""

    named: tuple[str, ...]
    looked_at: int
    last: str


class EventIndex:
    """The lists of ids. Every method raises StorageUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client)

    def hours(self) -> list[int]:
        """The hours that have events, newest first."""
        found = (decoding.number(hour) for hour in self._calls.ask("zrevrange", keys.HOURS, 0, -1))
        return [hour for hour in found if hour is not None]

    def standing(self, status: str, bounds: Bounds) -> Iterator[IndexPage]:
        """Yield the events with a *status* that lasts: dead, unrouted or quarantined."""
        upper = [ids.milliseconds_of(bounds.after)] if bounds.after else []
        if bounds.until_ms is not None:
            upper.append(bounds.until_ms + _STEPPED_BACK_MS)
        highest = min(upper) if upper else "+inf"
        lowest = "-inf" if bounds.since_ms is None else bounds.since_ms
        start = 0
        below = bounds.after.encode() if bounds.after else b"~"
        for size in _sizes():
            page = self._calls.ask("zrevrangebyscore", keys.standing(status), highest, lowest, start=start, num=size)
            if not page:
                return
            start += len(page)
            yield from _pages([one for one in page if one < below], bounds)

    def listed(
        self, bounds: Bounds, *, action: str = "", business_id: int | None = None, route: str = ""
    ) -> Iterator[IndexPage]:
        """Yield the events of the hours' lists: all, or those of one action, business or route."""
        highest = ids.hour_of(bounds.highest.decode())
        lowest = (bounds.since_ms or 0) // HOUR_MS
        at = ids.hour_of(bounds.after) if bounds.after else None
        for hour in self.hours():
            if lowest <= hour <= (highest if at is None else min(highest, at)):
                key = keys.index(hour, action=action, business_id=business_id, route=route)
                end = self._place(key, bounds.after) if bounds.after and hour == at else self._length(key)
                yield from self._before(key, end, bounds)

    def place_behind(self, hour: int, event_id: str) -> int:
        """Return how many ids of an hour's list come before those stored after *event_id*."""
        key = keys.index(hour)
        found = self._calls.ask("lpos", key, event_id, rank=-1)
        return self._place_by_order(key, event_id) if found is None else int(found) + 1

    def _before(self, key: str, end: int, bounds: Bounds) -> Iterator[IndexPage]:
        """Yield the ids before position *end* of a list, from there to its beginning."""
        for size in _sizes():
            if end <= 0:
                return
            page = self._calls.ask("lrange", key, max(end - size, 0), end - 1)
            end -= size
            page.reverse()
            yield from _pages(page, bounds)

    def _length(self, key: str) -> int:
        return int(self._calls.ask("llen", key))

    def _place(self, key: str, event_id: str) -> int:
        """Return how many ids of a list come before *event_id*.

        A list is in the order in which its events were stored. Events from a spool were stored late, so the list has to
        be searched. An id that has expired is placed by its order.
        """
        found = self._calls.ask("lpos", key, event_id, rank=-1)
        return self._place_by_order(key, event_id) if found is None else int(found)

    def _place_by_order(self, key: str, event_id: str) -> int:
        begin, end = 0, self._length(key)
        while begin < end:
            middle = (begin + end) // 2
            found = self._calls.ask("lindex", key, middle)
            if found is not None and found < event_id.encode():
                begin = middle + 1
            else:
                end = middle
        return begin


def _sizes() -> Iterator[int]:
    yield from _SIZES
    while True:
        yield _SIZES[-1]


def _pages(page: list[bytes], bounds: Bounds) -> Iterator[IndexPage]:
    there = [one for one in page if _ID.fullmatch(one)]  # shorter members mark the progress of retention
    if there:
        lowest, highest = bounds.lowest, bounds.highest
        named = tuple(one.decode() for one in there if lowest <= one < highest)
        yield IndexPage(named, len(there), there[-1].decode())


def _edge(milliseconds: int) -> bytes:
    return ids.lowest(min(max(milliseconds, 0), _LAST_MS)).encode()
