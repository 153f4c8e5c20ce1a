"""What is known already: what hooks brought, as far as it is kept, and what back-fill made before.

A hook's event and a record of the API differ in their bytes, so they are compared by kind, Id, action and the field
that tells when it happened, to the second; where there is none, by the time at which the hook's event came.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import islice
from typing import Any, Final

import redis

from receiver.core.events import Envelope
from receiver.reconcile.rules.action_rules import RULES
from receiver.reconcile.search.candidates import NEAR_AFTER_MS, NEAR_BEFORE_MS, Candidate, key_of
from receiver.storage.model import decoding
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter, StoredEvent
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

REMEMBERED_MS: Final = 31 * 86_400_000
"""How long the store remembers what back-fill made, although the event may be over."""

_EARLIER_MS: Final = 3_600_000
"""Clocks differ: kept events are read from so long before the gap on."""

_AGAIN_MS: Final = 120_000
"""What was kept while it was read is read again."""

_HASHES_AT_ONCE: Final = 64
"""A first load may ask for 200,000 events; they are spread over 1,024 hashes."""

_Occurrence = tuple[str, int, str]


def fingerprint(candidate: Candidate, routes: Collection[str] = ()) -> bytes:
    """Return the fingerprint of the event that a candidate becomes. *routes*: those that it is made for; empty: all."""
    parts = (candidate.action, candidate.business_id, candidate.number, candidate.key, ",".join(sorted(routes)))
    return hashlib.sha256("/".join(("backfill", *map(str, parts))).encode()).digest()[:16]


class KnownEvents:
    """Knows what is kept of some actions since *since_ms*. Every method raises StorageUnavailable."""

    def __init__(self, client: redis.Redis, actions: Iterable[str], *, since_ms: int) -> None:
        self._calls = StoreClient(client)
        self._archive = EventReader(client)
        self._actions = sorted(actions)
        self._since_ms = max(since_ms - _EARLIER_MS, 0)
        self._kept: dict[_Occurrence, str] = {}
        self._came: dict[tuple[str, int], list[tuple[int, str]]] = {}
        self._seen: set[str] = set()
        self._claimed_by: dict[str, Candidate] = {}

    def refresh(self) -> None:
        """Read what was kept since the last time."""
        began_ms = self._calls.now_ms()
        for action in self._actions:
            for stored in self._archive.newest(EventFilter(action=action, since_ms=self._since_ms)):
                if stored.envelope.id not in self._seen:
                    self._seen.add(stored.envelope.id)
                    self._note(stored)
        self._since_ms = began_ms - _AGAIN_MS

    def _note(self, stored: StoredEvent) -> None:
        envelope = stored.envelope
        rule = RULES.get(envelope.action)
        number, record = _record(envelope)
        if number is None or rule is None or envelope.quarantine:
            return
        self._kept.setdefault((envelope.action, number, key_of(rule, record)), envelope.id)
        if envelope.origin != "backfill":
            self._came.setdefault((envelope.action, number), []).append((envelope.received_ms, envelope.id))

    def event(self, candidate: Candidate) -> str | None:
        """Return the id of the kept event that a candidate is, None when none is kept. Each event is one occurrence."""
        if not candidate.is_sourced:
            return self._kept.get((candidate.action, candidate.number, candidate.key))
        lowest, highest = candidate.moment_ms - NEAR_BEFORE_MS, candidate.moment_ms + NEAR_AFTER_MS
        for at_ms, event_id in sorted(self._came.get((candidate.action, candidate.number), ())):
            if lowest <= at_ms <= highest and self._claimed_by.setdefault(event_id, candidate) == candidate:
                return event_id
        return None

    def event_of_record(self, candidate: Candidate, record: Mapping[str, Any]) -> str | None:
        """Return the id of the kept event with the record that a candidate turned out to have."""
        rule = candidate.rule
        key = key_of(rule, record)
        return self._kept.get((candidate.action, candidate.number, key)) if key else None

    def made(self, fingerprints: Sequence[bytes]) -> list[str | None]:
        """Return for each fingerprint the id of the event that claimed it within the time it is remembered, or None."""
        generation = self._calls.now_ms() // REMEMBERED_MS
        places: dict[str, list[tuple[int, bytes]]] = {}
        for one in (generation - 1, generation, generation + 1):
            for at, each in enumerate(fingerprints):
                key, name = keys.fingerprints(REMEMBERED_MS, one, each)
                places.setdefault(key, []).append((at, name))
        firsts: list[str | None] = [None] * len(fingerprints)
        rest = iter(places.items())
        while some := list(islice(rest, _HASHES_AT_ONCE)):
            replies = self._calls.ask_each(("hmget", key, [name for _, name in listed]) for key, listed in some)
            for (_, listed), found in zip(some, replies, strict=True):
                for (at, _), first in zip(listed, found, strict=True):
                    firsts[at] = firsts[at] or (decoding.text(first) if first else None)
        return firsts


class Newest:
    """The newest kept event of each entity."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client)
        self._archive = EventReader(client)

    def of(self, entity: str) -> StoredEvent | None:
        """Return that of an entity, such as `Booking:7`. Raises StorageUnavailable."""
        newest = self._calls.ask("hget", keys.newest(entity), entity)
        found = self._archive.many([decoding.text(newest)]) if newest else ()
        return next(iter(found), None)

    def place(self, entity: str) -> int | None:
        """Return its location. Raises StorageUnavailable."""
        found = self.of(entity)
        return None if found is None else found.envelope.business_id


def _record(envelope: Envelope) -> tuple[int | None, Mapping[str, Any]]:
    """Return the Id and the record of a kept event; None for what has none."""
    try:
        record = envelope.record()
    except ValueError:
        return None, {}
    number = record.get("Id") if isinstance(record, dict) else None
    return (number, record) if type(number) is int else (None, {})
