"""The keys of a route that make deliveries wait: for earlier deliveries of the same key, for a limit, or for a time.
Pure.

A key is computed when the event is stored, and stored as a digest, so that no text of a record becomes part of a name
in Redis. If it cannot be computed, the delivery is neither ordered nor debounced and runs at once; under limits that
count by a key, all such deliveries count together.

With `at`, a delivery waits for a time in its record. For each entity only the newest delivery waits.
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal, NamedTuple

from receiver.routing.filters import Filter

ENTITY = "entity"
GIVE_UP_MS = 3 * 86_400_000

FURTHEST = timedelta(days=3_660)
"""How far ahead a planned time may be. Nexudus, as .NET does, writes the year 9999 or 1 for a time that it has not."""

NO_ENTITY = "the record has no whole number as its Id"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Occurrence:
    """The parts of an event from which keys are computed. *entity* None: the record has no usable `Id`.

    *updated_s*: the Unix second of the record's `UpdatedOn`, 0 if it has none; only routes with `at` need it.
    """

    business_id: int
    action: str
    record: Mapping[str, Any]
    entity: str | None
    updated_s: int = 0


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
            return (_digest(event.entity), None) if event.entity else ("", NO_ENTITY)
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
class PlannedTime:
    """When deliveries of a route start: what a CEL expression yields for their event."""

    expression: Filter

    @property
    def source(self) -> str:
        """The expression as it is written."""
        return self.expression.source

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PlannedTime) and other.source == self.source

    def __hash__(self) -> int:
        return hash(self.source)

    def of(self, business_id: int, action: str, record: Mapping[str, Any]) -> tuple[int, str | None]:
        """Return the Unix ms at which the delivery of an event starts; or 0, and why there is none. Total."""
        value, failure = self.expression.evaluate(business_id, action, record)
        if failure is not None:
            return 0, failure
        if not isinstance(value, datetime):
            return 0, "the result is no time"
        if value < _EPOCH:
            return 0, f"the year {value.year} stands for no time"
        if value > datetime.now(UTC) + FURTHEST:
            return 0, f"the year {value.year} is more than ten years ahead"
        return int((value - _EPOCH) / timedelta(milliseconds=1)), None


Ending = Literal["", "action", "where", "no time"]
"""Why an event calls off the delivery that waits: it does not; its action does; `where` does not match it; its record
has no time, which is why it replaces the delivery that waits and starts none."""


class Timed(NamedTuple):
    """When the delivery of a route with `at` starts, or what its event ends.

    *lane*: the key of its entity, empty when it has none; *per*: the key that limits count by; *due_ms*: Unix ms;
    *updated_s*: see Occurrence; *why*: the action that calls off what waits, or why there is no time.
    """

    lane: str
    per: str
    due_ms: int
    updated_s: int
    ending: Ending = ""
    why: str = ""

    @property
    def failure(self) -> str | None:
        """Why something of it could not be worked out, if so."""
        if self.ending == "no time":
            return f"no time: {self.why}"
        return None if self.lane else NO_ENTITY


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
    is down or asks to wait. *at*: when deliveries start; then *cancelled_by* are the actions that call them off.
    """

    order: Key | None = None
    debounce_ms: int = 0
    delay_ms: int = 0
    limit: Limit | None = None
    concurrency: int = 0
    per: Key | None = None
    give_up_ms: int = GIVE_UP_MS
    at: PlannedTime | None = None
    cancelled_by: tuple[str, ...] = ()

    @property
    def has_terms(self) -> bool:
        """Whether a delivery gets terms when it is created. Limits are not among them: they are read at each claim."""
        return bool(self.order or self.debounce_ms or self.delay_ms or self.per or self.at)

    @property
    def has_lanes(self) -> bool:
        """Whether deliveries of one key run one after another."""
        return bool(self.debounce_ms or (self.order and not self.at))

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

    def timed(self, event: Occurrence, ending: Ending = "") -> Timed:
        """Return when the delivery of this event starts, for a route with `at`; total over hostile records.

        *ending*: the event starts none, and calls off what waits, for this reason.
        """
        lane, _ = Key().of(event)
        per, _ = self.per.of(event) if self.per else ("", None)
        if ending or self.at is None:
            return Timed(lane, per, 0, event.updated_s, ending, event.action)
        due_ms, no_time = self.at.of(event.business_id, event.action, event.record)
        if no_time is not None:
            return Timed(lane, per, 0, event.updated_s, "no time", no_time)
        return Timed(lane, per, due_ms, event.updated_s)


def _digest(key: str) -> str:
    return base64.urlsafe_b64encode(
        hashlib.blake2b(key.encode("utf-8", "surrogatepass"), digest_size=12).digest()
    ).decode()
