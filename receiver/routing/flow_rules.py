"""The keys of a route that make deliveries wait: for earlier deliveries of the same key, for a limit, or for a time.
Pure.

A key is computed when the event is stored, and stored as a digest, so that no text of a record becomes part of a name
in Redis. If it cannot be computed, the delivery is neither ordered nor debounced and runs at once; under limits that
count by a key, all such deliveries count together."""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from receiver.routing.filters import Filter

ENTITY = "entity"
GIVE_UP_MS = 3 * 86_400_000


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The parts of an event from which keys are computed. *entity* None: the record has no usable `Id`."""

    business_id: int
    action: str
    record: Mapping[str, Any]
    entity: str | None


@dataclass(frozen=True, slots=True)
class Key:
    """What deliveries are grouped by: the entity of their event, or the result of a CEL expression for it."""

    expression: Filter | None = None

    @property
    def source(self) -> str:
        """The key as it is written in routes.yaml."""
        return self.expression.source if self.expression else ENTITY

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Key) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    def of(self, event: Occurrence) -> tuple[str, str | None]:
        """Return the digest of an event's key and None, or an empty digest and why there is none."""
        if self.expression is None:
            return (_digest(event.entity), None) if event.entity else ("", "the record has no whole number as its Id")
        value, failure = self.expression.evaluate(event.business_id, event.action, event.record)
        if failure is None and not isinstance(value, str | int | float):
            failure = "the result is neither a text nor a number"
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON can write the same number as 1 and as 1.0
        return ("", failure) if failure is not None else (_digest(f"={value}"), None)


@dataclass(frozen=True, slots=True)
class Limit:
    """At most *count* starts in any *period_ms*."""

    count: int
    period_ms: int
    source: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What one delivery has to wait for. *failure*: why one of its keys could not be computed."""

    lane: str = ""
    per: str = ""
    delay_ms: int = 0
    debounced: bool = False
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class Flow:
    """The keys of a route that make its deliveries wait; None or 0 for each key that the route does not have.

    *per* is the key by which *limit* and *concurrency* count. *give_up_ms*: how long deliveries wait for a target that
    is down or asks to wait.
    """

    order: Key | None = None
    debounce_ms: int = 0
    delay_ms: int = 0
    limit: Limit | None = None
    concurrency: int = 0
    per: Key | None = None
    give_up_ms: int = GIVE_UP_MS

    @property
    def has_terms(self) -> bool:
        """Whether a delivery gets terms when it is created. Limits are not among them: they are read at each claim."""
        return bool(self.order or self.debounce_ms or self.delay_ms or self.per)

    @property
    def has_lanes(self) -> bool:
        """Whether deliveries of one key run one after another."""
        return bool(self.order or self.debounce_ms)

    @property
    def has_rules(self) -> bool:
        """Whether the route has rules that are checked when a delivery is claimed."""
        return bool(self.limit or self.concurrency or self.give_up_ms != GIVE_UP_MS)

    def terms(self, event: Occurrence) -> Terms:
        """Return what a delivery of this event has to wait for. Never raises, whatever the record holds."""
        key = self.order or (Key() if self.debounce_ms else None)
        lane, lane_failure = key.of(event) if key else ("", None)
        per, per_failure = self.per.of(event) if self.per else ("", None)
        debounced = bool(self.debounce_ms and lane)
        delay_ms = self.debounce_ms if debounced else self.delay_ms
        return Terms(lane, per, delay_ms, debounced, lane_failure or per_failure)


def _digest(key: str) -> str:
    return base64.urlsafe_b64encode(
        hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).digest()
    ).decode()
