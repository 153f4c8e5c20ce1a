"""Compares two routing tables over the same events: which events only the new one handles, and which only the old one.
Pure; its memory is bounded by the number of routes, not of events.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from receiver.routing.flow_rules import Flow
from receiver.routing.route import Route
from receiver.routing.table import Matched, RoutingTable

EXAMPLES = 3
"""Event ids that are kept as examples for each kind of difference of a route: the first ones that were compared."""

_HOW = {
    "handler": "handler",
    "options": "with",
    "queue": "queue",
    "timeout_ms": "timeout",
    "retry_ms": "retry",
    "shadow": "shadow",
    "enabled": "enabled",
    "writes": "nexudus",
}
"""What may change for an event that a route gets from both tables, with the key of routes.yaml that decides it."""


@dataclass(slots=True)
class Differing:
    """Events that only one table handles: their number, and the ids of a few."""

    count: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, event_id: str) -> None:
        """Count one event."""
        self.count += 1
        if len(self.examples) < EXAMPLES:
            self.examples.append(event_id)


@dataclass(slots=True)
class RouteChange:
    """One route of either table: its deliveries *before* and *after*, and those it *gained* and *lost*.

    *changed*: the names of the keys by which it handles the same deliveries differently. *shadow*: events that it wants
    as a shadow route of the new table. *failed*: events on which its new filter fails.
    """

    route: str
    is_old: bool
    is_new: bool
    changed: tuple[str, ...] = ()
    before: int = 0
    after: int = 0
    shadow: int = 0
    failed: int = 0
    gained: Differing = field(default_factory=Differing)
    lost: Differing = field(default_factory=Differing)


class Comparison:
    """Routes events by two tables and counts the differences. *events*: the number compared. *handled*: events that
    routes of the new table handle and no route of the old one does. *unhandled*: the reverse."""

    def __init__(self, old: RoutingTable, new: RoutingTable) -> None:
        self._old = old
        self._new = new
        self.events = 0
        self.handled = Differing()
        self.unhandled = Differing()
        names = dict.fromkeys([route.name for table in (new, old) for route in table.routes])
        self._routes = {name: _change(name, old.route(name), new.route(name)) for name in names}

    @property
    def routes(self) -> tuple[RouteChange, ...]:
        """All routes of both tables: those of the new one in its order, then those that only the old one has."""
        return tuple(self._routes.values())

    @property
    def is_same(self) -> bool:
        """Whether every event went to the same routes."""
        return not any(route.gained.count or route.lost.count for route in self.routes)

    def add(self, event_id: str, business_id: int, action: str, record: Mapping[str, Any]) -> None:
        """Route one event by both tables."""
        self.events += 1
        before = self._old.match(business_id, action, record)
        after = self._new.match(business_id, action, record)
        had = {route.name for route in before.routes}
        gets = {route.name for route in after.routes}
        for name in had:
            self._routes[name].before += 1
        for name in gets:
            self._routes[name].after += 1
        self._note_the_rest(after)
        if had == gets:
            return
        for name in gets - had:
            self._routes[name].gained.add(event_id)
        for name in had - gets:
            self._routes[name].lost.add(event_id)
        if not had:
            self.handled.add(event_id)
        if not gets:
            self.unhandled.add(event_id)

    def _note_the_rest(self, after: Matched) -> None:
        for route in after.shadow:
            self._routes[route.name].shadow += 1
        for name in after.failed:
            self._routes[name].failed += 1


def _change(name: str, old: Route | None, new: Route | None) -> RouteChange:
    changed: tuple[str, ...] = ()
    if old and new:
        keys = [key for attribute, key in _HOW.items() if getattr(old, attribute) != getattr(new, attribute)]
        before, after = old.flow or Flow(), new.flow or Flow()
        waits = [one.name for one in fields(Flow) if getattr(before, one.name) != getattr(after, one.name)]
        changed = (*keys, *(wait.removesuffix("_ms") for wait in waits))
    return RouteChange(name, old is not None, new is not None, changed)
