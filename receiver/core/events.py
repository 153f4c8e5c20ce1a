"""The nouns that everything else is about: an event as it is kept, and an event as a handler sees it.

An **envelope** holds one record of one request, byte for byte as Nexudus sent it, with what Frontdesk knows about it.
A **delivery** is one envelope for one route; an **attempt** is one run of that route's handler.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Generic, Literal, NamedTuple

import orjson
from typing_extensions import TypeVar

from receiver.core import ids

Origin = Literal["webhook", "replay", "backfill", "simulated", "edited"]


class EventStatus(StrEnum):
    """What became of an event; the first that applies, in this order."""

    QUARANTINED = "quarantined"
    UNROUTED = "unrouted"
    IN_FLIGHT = "in_flight"
    DEAD = "dead"
    SUCCEEDED = "succeeded"
    DISCARDED = "discarded"
    EXPIRED = "expired"


class DeliveryStatus(StrEnum):
    """What became of a delivery."""

    IN_FLIGHT = "in_flight"
    DEAD = "dead"
    SUCCEEDED = "succeeded"
    DISCARDED = "discarded"
    EXPIRED = "expired"


class Outcome(StrEnum):
    """How an attempt ended."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    TIMED_OUT = "timed_out"
    DISCARDED = "discarded"
    CRASHED = "crashed"


class Envelope(NamedTuple):
    """One event as it is kept. `body` is the record's own bytes; for a quarantined request, the whole body.

    *received_ms* is Unix time in milliseconds; *action_code* is None for an action that Nexudus added after our table;
    *verified_by* names the reading of the signature that matched; *routes* is the hash of the table that routed it;
    *quarantine* is the reason why a request was set aside, and *headers* then are those that a later check needs.
    *erased_ms* is the Unix time at which the record was erased for somebody's sake and replaced by `{}`; 0: it was not.
    *trace* is the W3C traceparent of the request's span, when there are traces. *edited_from* is the id of the event
    whose record somebody edited and sent again as this one.
    """

    id: str
    business_id: int
    action: str
    action_code: int | None
    received_ms: int
    body: bytes
    origin: Origin = "webhook"
    verified_by: str | None = None
    routes: str = ""
    entity: str | None = None
    quarantine: str | None = None
    headers: Mapping[str, str] = MappingProxyType({})
    erased_ms: int = 0
    trace: str = ""
    edited_from: str = ""

    @property
    def received_at(self) -> datetime:
        """When the request arrived, in UTC."""
        return datetime.fromtimestamp(self.received_ms / 1_000, UTC)

    @property
    def hour(self) -> int:
        """The hour (Unix hours) under which the event is indexed and counted: that of its id, wherever it waited."""
        return ids.hour_of(self.id)

    def record(self) -> Any:
        """Return the record as Python values. Raises ValueError for a quarantined body that is no JSON."""
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Business:
    """What routes.yaml says of a location: its name, its time zone ("Europe/Paris") and its currency; "": nothing."""

    name: str = ""
    time_zone: str = ""
    currency: str = ""


Data = TypeVar("Data", default=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Event(Generic[Data]):
    """An event as a handler sees it.

    *key* is the same over attempts and replays: the idempotency key for whatever the handler does elsewhere.
    *attempt* counts from 1. *superseded*: a newer event of the same entity is already kept. *data* is the record as
    Nexudus sent it, in PascalCase: a dict, or what a handler that takes `Event[Booking]` asks for. *business* is what
    routes.yaml says of its location. *enriched* are the records that the route's `enrich` names: as types where their
    kinds have one, else dicts; None for one that Nexudus does not have.
    """

    id: str
    key: str
    action: str
    action_code: int | None
    business_id: int
    received_at: datetime
    origin: Origin
    attempt: int
    superseded: bool
    data: Data
    business: Business = Business()
    enriched: Mapping[str, Any] = field(default_factory=dict)
