"""Reads envelopes without their deliveries, newest first, for searches over many events."""

from collections.abc import Iterator

import redis

from receiver.core.durations import HOUR_MS
from receiver.core.events import Envelope
from receiver.storage.model import codec, decoding
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

_PAGE = 200
"""Envelopes that are in memory at a time; one may have a megabyte."""


class Envelopes:
    """Reads the envelopes of a time, an action or a business. Raises StorageUnavailable.

    *unreadable* counts those that this version cannot read. Only one page is in memory at a time.
    """

    def __init__(self, client: redis.Redis, wanted: EventFilter) -> None:
        """*wanted*: its route and status are ignored."""
        self._calls = StoreClient(client)
        self._wanted = wanted
        self.unreadable = 0

    def count(self) -> int:
        """Return roughly how many there are, because whole hours are counted."""
        return sum(self._calls.ask_all("llen", [self._index(hour) for hour in self._hours()]))

    def newest(self) -> Iterator[Envelope]:
        """Yield them, newest first."""
        for hour in self._hours():
            end = int(self._calls.ask("llen", self._index(hour)))
            while end > 0:
                page = self._calls.ask("lrange", self._index(hour), max(end - _PAGE, 0), end - 1)
                yield from self._read([decoding.text(event_id) for event_id in reversed(page)])
                end -= _PAGE

    def _read(self, event_ids: list[str]) -> Iterator[Envelope]:
        found = self._calls.ask("mget", [keys.envelope(event_id) for event_id in event_ids]) if event_ids else []
        for stored in found:
            if stored is None:
                continue
            try:
                envelope = codec.unpack(stored)
            except ValueError:
                self.unreadable += 1
                continue
            if self._wants(envelope):
                yield envelope

    def _wants(self, envelope: Envelope) -> bool:
        wanted, at = self._wanted, envelope.received_ms
        return (
            (wanted.since_ms is None or at >= wanted.since_ms)
            and (wanted.until_ms is None or at < wanted.until_ms)
            and (wanted.action is None or envelope.action == wanted.action)
            and (wanted.business_id is None or envelope.business_id == wanted.business_id)
        )

    def _hours(self) -> list[int]:
        lowest = (self._wanted.since_ms or 0) // HOUR_MS
        highest = (self._wanted.until_ms or 2**52) // HOUR_MS
        hours = decoding.hours(self._calls.ask("zrevrange", keys.HOURS, 0, -1))
        return [hour for hour in hours if lowest <= hour <= highest]

    def _index(self, hour: int) -> str:
        business = None if self._wanted.action else self._wanted.business_id
        return keys.index(hour, action=self._wanted.action or "", business_id=business)
