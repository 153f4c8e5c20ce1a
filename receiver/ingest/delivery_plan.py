"""What a route wants when it wants an event: a delivery, and what that is to wait for. Pure."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any, Protocol

from receiver.nexudus import fingerprint
from receiver.routing.flow_rules import Flow, Occurrence
from receiver.storage.model.entries import Wanted, terms


class Route(Protocol):
    """What is needed of a route."""

    @property
    def name(self) -> str: ...
    @property
    def queue(self) -> str: ...
    @property
    def timeout_ms(self) -> int: ...
    @property
    def flow(self) -> Flow | None: ...


def delivery(
    route: Route,
    business_id: int,
    action: str,
    record: Mapping[str, Any],
    keyless: Callable[[str], None] = lambda name: None,
) -> Wanted:
    """Return the delivery that *route* makes of an event.

    *keyless* is told the name of a route whose key cannot be worked out for it.
    """
    if route.flow is None or not route.flow.has_terms:
        return _plain(route.name, route.queue, route.timeout_ms)
    found = route.flow.terms(Occurrence(business_id, action, record, fingerprint.entity(action, record)))
    if found.failure is not None:
        keyless(route.name)
    written = terms(found.lane, found.per, found.delay_ms, debounced=found.debounced)
    return Wanted(route.name, route.queue, route.timeout_ms, written)


@lru_cache(maxsize=1_024)
def _plain(route: str, queue: str, timeout_ms: int) -> Wanted:
    """Nearly all deliveries wait for nothing, and are then the same for every event."""
    return Wanted(route, queue, timeout_ms)


def shadow(route: Route) -> Wanted:
    """Return what is noted of an event that a route in the shadow wants."""
    return Wanted(route.name)
