"""The central types: an event as it is stored, an event as a handler sees it, and what can become of both.

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
    """What became of an event. When several apply, the first one in this order counts."""

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
    """One event as it is stored. `body` is the record's own bytes; for a quarantined request, the whole body.

    *received_ms* is Unix time in milliseconds. *action_code* is None for an action that our table does not know.
    *verified_by* names the reading of the signature that matched. *routes* is the hash of the table that routed it.
    *quarantine* is the reason why a request was quarantined; *headers* are then the headers that a later check needs.
    *erased_ms* is the Unix time at which `frontdesk erase` replaced the record by `{}`; 0: it was not erased.
    *trace* is the W3C traceparent of the request's span, if tracing is on. *edited_from* is the id of the event whose
    record somebody edited and sent again as this one.
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
        """The Unix hour under which the event is indexed and counted: that of its id, even if it waited in a spool."""
        return ids.hour_of(self.id)

    def record(self) -> Any:
        """Return the record as Python values. Raises ValueError for a quarantined body that is not JSON."""
        return orjson.loads(self.body)


@dataclass(frozen=True, slots=True)
class Business:
    """A location as routes.yaml describes it: name, time zone ("Europe/Paris") and currency; "" where it says none."""

    name: str = ""
    time_zone: str = ""
    currency: str = ""


Data = TypeVar("Data", default=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Event(Generic[Data]):
    """An event as a handler sees it.

    *key* stays the same over attempts and replays: the idempotency key for whatever the handler does elsewhere.
    *attempt* counts from 1. *superseded*: a newer event of the same entity is already stored. *data* is the record as
    Nexudus sent it, with names in PascalCase: a dict, or a `Booking` for a handler that takes `Event[Booking]`.
    *business* describes its location, as far as routes.yaml does. *enriched* has the records that the route's `enrich`
    names: a type where their kind has one, else a dict; None for one that Nexudus does not have.
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
