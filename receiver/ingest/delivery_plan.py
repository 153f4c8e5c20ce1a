"""Which deliveries an event gets: one for each route that matches it, with what each has to wait for. Pure."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from receiver.core.events import Envelope
from receiver.nexudus import fingerprint, payload
from receiver.routing.flow_rules import Occurrence
from receiver.routing.table import Matched, Route
from receiver.storage.model.entries import Entry, PlannedDelivery, terms


class Table(Protocol):
    """What ingest needs of a routing table."""

    @property
    def hash(self) -> str: ...

    def match(self, business_id: int, action: str, record: dict[str, Any]) -> Matched: ...


class Failures(Protocol):
    """Counts the routes whose `where` or key could not be evaluated on an event."""

    def where_failed(self, route: str) -> None: ...
    def key_failed(self, route: str) -> None: ...


def entry(
    envelope: Envelope,
    record: payload.Record,
    table: Table | None,
    *,
    dedup_window_ms: int,
    failures: Failures | None = None,
) -> Entry:
    """Return what the store keeps of an event: with its fingerprint, and its deliveries by *table* (None: no table)."""
    business_id, action = envelope.business_id, envelope.action
    return Entry(
        envelope=envelope,
        fingerprint=fingerprint.of(business_id, action, record.lasting),
        window_ms=fingerprint.window_ms(action, dedup_window_ms),
        wanted=_planned(table, business_id, action, record.data, failures) if table else (),
    )


def delivery(
    route: Route,
    business_id: int,
    action: str,
    record: Mapping[str, Any],
    key_failed: Callable[[str], None] | None = None,
) -> PlannedDelivery:
    """Return the delivery that *route* makes of an event.

    *key_failed* is called with the name of a route whose key cannot be evaluated on the event.
    """
    if route.flow is None or not route.flow.has_terms:
        return _plain(route.name, route.queue, route.timeout_ms)
    found = route.flow.terms(Occurrence(business_id, action, record, fingerprint.entity(action, record)))
    if found.failure is not None and key_failed is not None:
        key_failed(route.name)
    written = terms(found.lane, found.per, found.delay_ms, debounced=found.debounced)
    return PlannedDelivery(route.name, route.queue, route.timeout_ms, written)


def _planned(
    table: Table, business_id: int, action: str, record: dict[str, Any], failures: Failures | None
) -> tuple[PlannedDelivery, ...]:
    matched = table.match(business_id, action, record)
    if failures is not None:
        for name in matched.failed:
            failures.where_failed(name)
    place = (business_id, action, record, failures.key_failed if failures else None)
    planned = tuple(delivery(route, *place) for route in matched.routes)
    if matched.shadow:
        planned += tuple(PlannedDelivery(route.name) for route in matched.shadow)
    return planned


@lru_cache(maxsize=1_024)
def _plain(route: str, queue: str, timeout_ms: int) -> PlannedDelivery:
    """Nearly all deliveries wait for nothing, and are then the same for every event."""
    return PlannedDelivery(route, queue, timeout_ms)
