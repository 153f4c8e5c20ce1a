"""Which deliveries an event gets: one for each route that matches it, with what each has to wait for. Pure.

`receiver.routing.table` decides which routes match, also when a filter fails; this only counts such failures."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from receiver.core import timestamps
from receiver.nexudus import fingerprint
from receiver.routing.flow_rules import Ending, Flow, Occurrence
from receiver.routing.route import Route
from receiver.routing.table import Matched
from receiver.storage.model.entries import PlannedDelivery, terms, timed_terms


class MatchingTable(Protocol):
    """What ingest needs of a routing table."""

    @property
    def hash(self) -> str: ...

    def match_any(self, business_id: int, action: str) -> Matched | None: ...

    def match(self, business_id: int, action: str, record: dict[str, Any]) -> Matched: ...


class FilterFailures(Protocol):
    """Counts the routes whose `where` or key could not be evaluated on an event."""

    def where_failed(self, route: str) -> None: ...
    def key_failed(self, route: str) -> None: ...


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
    if route.flow.at is not None:
        return _timed(route, "", business_id, action, record, key_failed)
    found = route.flow.terms(Occurrence(business_id, action, record, fingerprint.entity(action, record)))
    if found.failure is not None and key_failed is not None:
        key_failed(route.name)
    written = terms(found.lane, found.per, found.delay_ms, debounced=found.debounced)
    return PlannedDelivery(route.name, route.queue, route.timeout_ms, written)


def calling_off(
    matched: Matched, business_id: int, action: str, record: Mapping[str, Any]
) -> tuple[PlannedDelivery, ...]:
    """Return what an event does to routes with `at` that do not want it: it calls off what waits of its entity.

    The action's own is a delivery that ends at once; one whose filter does not match is made only if something waits.
    """
    place = (business_id, action, record)
    found = [_timed(route, "action", *place) for route in matched.cancelled]
    return tuple(found + [_timed(route, "where", *place) for route in matched.unfit])


def _timed(
    route: Route,
    ending: Ending,
    business_id: int,
    action: str,
    record: Mapping[str, Any],
    key_failed: Callable[[str], None] | None = None,
) -> PlannedDelivery:
    flow = route.flow or Flow()
    updated_s = timestamps.second(record.get("UpdatedOn"))
    entity = fingerprint.entity(action, record)
    occurrence = Occurrence(business_id, action, record, entity, updated_s)
    found = flow.timed(occurrence, ending)
    if key_failed is not None and (found.failure or flow.terms(occurrence).failure):
        key_failed(route.name)
    return PlannedDelivery(route.name, route.queue, route.timeout_ms, timed_terms(*found))


class DeliveryPlan:
    """Which deliveries the events of one hook get. Where no record decides, they are made ready here."""

    def __init__(self, table: MatchingTable, business_id: int, action: str) -> None:
        self._table = table
        self._business_id = business_id
        self._action = action
        always = table.match_any(business_id, action)
        is_ready = (
            always is not None
            and not always.cancelled
            and not any(route.flow and route.flow.has_terms for route in always.routes)
        )
        self._ready = self._deliveries(always, {}, None) if always is not None and is_ready else None

    def wanted(self, record: dict[str, Any], failures: FilterFailures | None) -> tuple[PlannedDelivery, ...]:
        """Return the deliveries of one event, those that are only noted behind them."""
        if self._ready is not None:
            return self._ready
        matched = self._table.match(self._business_id, self._action, record)
        if failures is not None:
            for name in matched.failed:
                failures.where_failed(name)
        return self._deliveries(matched, record, failures.key_failed if failures else None)

    def _deliveries(
        self, matched: Matched, record: Mapping[str, Any], key_failed: Callable[[str], None] | None
    ) -> tuple[PlannedDelivery, ...]:
        place = (self._business_id, self._action, record, key_failed)
        planned = tuple([delivery(route, *place) for route in matched.routes])
        if matched.cancelled or matched.unfit:
            planned += calling_off(matched, self._business_id, self._action, record)
        return planned + tuple([PlannedDelivery(route.name) for route in matched.shadow])


@lru_cache(maxsize=1_024)
def _plain(route: str, queue: str, timeout_ms: int) -> PlannedDelivery:
    """Nearly all deliveries wait for nothing, and are then the same for every event."""
    return PlannedDelivery(route, queue, timeout_ms)
