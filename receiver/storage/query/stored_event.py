"""A stored event with its deliveries, and the filter that selects events. Pure; `storage/redis/keys.py` explains the
stored fields."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from receiver.core import ids
from receiver.core.events import DeliveryStatus, Envelope, EventStatus, Origin
from receiver.storage.model import codec, decoding
from receiver.storage.queue import delivery_state

STANDING = (EventStatus.QUARANTINED, EventStatus.UNROUTED, EventStatus.DEAD)
"""Statuses that last until a person acts; the store has a list of the events with each."""

_STATES = {"s": DeliveryStatus.SUCCEEDED, "d": DeliveryStatus.DEAD, "c": DeliveryStatus.DISCARDED}


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """One event for one route, as it is stored. *state*: what a delivery in flight does (queued, scheduled until
    *next_attempt_ms*, running) or waits for. *attempts*: the records of the ended ones."""

    id: str
    route: str
    queue: str
    status: DeliveryStatus
    state: str
    origin: Origin | None
    next_attempt_ms: int | None
    attempts: tuple[Mapping[str, Any], ...]

    @property
    def error(self) -> str | None:
        """The error of the last ended attempt."""
        return self.attempts[-1].get("error") if self.attempts else None


@dataclass(frozen=True, slots=True)
class StoredEvent:
    """An event with all of its deliveries. *shadow*: shadow routes that wanted it.

    *unreadable*: why the stored envelope cannot be read; *envelope* then holds only what the id says.
    """

    envelope: Envelope
    status: EventStatus
    deliveries: tuple[StoredDelivery, ...]
    shadow: tuple[str, ...] = ()
    unreadable: str | None = None

    @property
    def loss(self) -> str | None:
        """Why the event has no usable record any more; None: it has one."""
        if self.unreadable:
            return f"it cannot be read: {self.unreadable}"
        return "its record was erased" if self.envelope.erased_ms else None


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Selects events; None selects all. Times are Unix milliseconds, *until_ms* exclusive. *entity*: `Booking:123`."""

    action: str | None = None
    business_id: int | None = None
    route: str | None = None
    status: EventStatus | None = None
    since_ms: int | None = None
    until_ms: int | None = None
    entity: str | None = None

    def wants(self, stored: StoredEvent) -> bool:
        """Return whether an event matches."""
        return (
            self.names(stored.envelope)
            and (
                self.route is None
                or self.route in stored.shadow
                or any(one.route == self.route for one in stored.deliveries)
            )
            and (self.status is None or stored.status == self.status)
        )

    @property
    def is_manifold(self) -> bool:
        """Whether no single list of the store holds exactly the matching events."""
        standing = self.status if self.status in STANDING else None
        return sum(one is not None for one in (self.action, self.business_id, self.route, standing)) > 1

    def names(self, envelope: Envelope) -> bool:
        """Return whether the envelope of an event matches."""
        return (
            (self.action is None or envelope.action == self.action)
            and (self.business_id is None or envelope.business_id == self.business_id)
            and (self.since_ms is None or envelope.received_ms >= self.since_ms)
            and (self.until_ms is None or envelope.received_ms < self.until_ms)
            and (self.entity is None or envelope.entity == self.entity)
        )


def read(event_id: str, packed: bytes) -> tuple[Envelope, str | None]:
    """Return an event's envelope and None; if it cannot be read, a substitute and the reason."""
    try:
        envelope = codec.unpack(packed)
    except ValueError as error:
        return _stand_in(event_id), str(error)
    if not _is_sound(envelope):
        return _stand_in(event_id), "its fields are of other types than those of an event"
    return envelope, None


def _stand_in(event_id: str) -> Envelope:
    return Envelope(event_id, 0, "?", None, ids.milliseconds_of(event_id), b"")


def _is_sound(envelope: Envelope) -> bool:
    """Return whether the fields have the right types."""
    return (
        isinstance(envelope.id, str)
        and isinstance(envelope.action, str)
        and isinstance(envelope.business_id, int)
        and isinstance(envelope.received_ms, int)
        and decoding.moment(envelope.received_ms) is not None
        and isinstance(envelope.quarantine, str | None)
        and (envelope.erased_ms is None or decoding.moment(envelope.erased_ms) is not None)
    )


def numbers_of(state: Mapping[str, str]) -> range:
    """Return the numbers of an event's deliveries. Each delivery has its own fields in *state*."""
    return range(1, min(decoding.number(state.get("n")) or 0, len(state)) + 1)


def delivery(
    event_id: str, number: int, state: Mapping[str, str], attempts: Sequence[bytes], paused: frozenset[str]
) -> StoredDelivery:
    """Return delivery *number* of an event from its *state*. *attempts*: their records; *paused*: the paused routes."""
    letter = state.get(f"{number}s", "")
    origin: Any = state.get(f"{number}m")
    return StoredDelivery(
        id=f"{event_id}-{number}",
        route=state.get(f"{number}r", "?"),
        queue=state.get(f"{number}q", "?"),
        status=_STATES.get(letter, DeliveryStatus.IN_FLIGHT),
        state=delivery_state.in_words(number, state, paused),
        origin=origin,
        next_attempt_ms=decoding.moment(state.get(f"{number}t")) or None,
        attempts=tuple(_attempt(attempt) for attempt in attempts),
    )


def _attempt(record: bytes) -> Mapping[str, Any]:
    """Return the record of an ended attempt; if it cannot be read, one that says so."""
    try:
        fields = orjson.loads(record)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        return {"error": "the record of this attempt cannot be read"}
    times = {name: decoding.moment(fields[name]) for name in ("started_ms", "ended_ms") if name in fields}
    error = fields.get("error")
    return fields | times | {"error": error if error is None else str(error)}


def status_of(state: Mapping[str, str]) -> EventStatus:
    """Return the status of an event by its *state*: the first that applies, in the order of EventStatus."""
    standing = {"q": EventStatus.QUARANTINED, "u": EventStatus.UNROUTED}.get(state.get("k", ""))
    if standing:
        return standing
    found = {_STATES.get(state.get(f"{number}s", ""), DeliveryStatus.IN_FLIGHT) for number in numbers_of(state)}
    return next((status for status in EventStatus if status.value in found), EventStatus.EXPIRED)
