"""The routing table, which decides which routes want an event. Pure and immutable; `receiver.routing.file` makes it.

A route whose filter fails on an event does not want it, and the event names the route among those that failed. A filter
over records that are read from Nexudus is evaluated by the worker instead (`workers/plugins/enrichment_reader.py`), and
ends the delivery as discarded."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from receiver.core.events import Business
from receiver.routing.explanation import Explanation, explain
from receiver.routing.route import NEVER, Route, calls_off, matches, place_obstacle

_MAX_REMEMBERED = 20_000
"""Pairs of business and action whose routes are cached. There are 89 actions, and each location is a business."""


class Matched(NamedTuple):
    """The routes that want an event, in the order of the file.

    *failed*: names of routes whose filter failed on it. *shadow*: shadow routes that want it; they get no delivery.
    Among routes with `at`, *cancelled*: those whose delivery the event's action calls off; *unfit*: those whose filter
    does not match it, so that it calls off the delivery that waits for its entity.
    """

    routes: tuple[Route, ...]
    failed: tuple[str, ...] = ()
    shadow: tuple[Route, ...] = ()
    cancelled: tuple[Route, ...] = ()
    unfit: tuple[Route, ...] = ()

    def narrowed(self, takes: Callable[[Route], bool]) -> "Matched":
        """Return it without the routes that *takes* refuses."""

        def some(routes: tuple[Route, ...]) -> tuple[Route, ...]:
            return tuple(route for route in routes if takes(route))

        return Matched(some(self.routes), self.failed, some(self.shadow), some(self.cancelled), some(self.unfit))


class _Candidates(NamedTuple):
    """The routes that a business and an action concern: those that take the events, and those that they call off."""

    routes: tuple[Route, ...]
    cancelled: tuple[Route, ...]


_NOBODY = Matched(())


@dataclass(frozen=True, slots=True)
class BackfillSettings:
    """How Frontdesk handles events for which no webhook came. *window_ms*: how far back it looks. Above *limit* events
    it asks a person first. *deletes*: whether it compares Ids daily to find deletes."""

    backfill: Literal["auto", "confirm", "never"]
    window_ms: int
    limit: int
    deletes: Literal["off", "daily"]


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """All routes of one file.

    *queues* are in order of priority and include every queue that a route names. *hash* is the first 16 hexadecimal
    digits of the SHA-256 of *text*. *businesses* are the locations where the registrar registers webhooks; *locations*
    describes some of them for templates.
    """

    routes: tuple[Route, ...]
    queues: tuple[str, ...]
    businesses: tuple[int, ...] | Literal["all"]
    hash: str
    text: str = field(repr=False)
    file: str
    reconcile: BackfillSettings
    default_business: Business = field(default_factory=Business)
    locations: Mapping[int, Business] = field(default_factory=dict)
    _candidates: dict[tuple[int, str], _Candidates] = field(default_factory=dict, init=False, repr=False, compare=False)

    @property
    def has_order(self) -> bool:
        """Whether any route has an order, so that deliveries of one key run one after another."""
        return any(route.flow is not None and route.flow.has_lanes for route in self.routes)

    @property
    def business_names(self) -> dict[int, str]:
        """The names that the file gives to locations, by number."""
        return {number: one.name for number, one in self.locations.items() if one.name}

    def business(self, business_id: int) -> Business:
        """Return the file's description of a location."""
        return self.locations.get(business_id, self.default_business)

    def match(self, business_id: int, action: str, record: Mapping[str, Any]) -> Matched:
        """Return the routes that want this event. The cost is that of their filters, whatever the number of routes.

        Never raises: a filter that cannot be evaluated counts as false, and its route is named in `failed`.
        """
        candidates = self._candidates.get((business_id, action)) or self._remember(business_id, action)
        if not candidates.routes:
            return Matched((), cancelled=candidates.cancelled) if candidates.cancelled else _NOBODY
        routes: list[Route] = []
        shadow: list[Route] = []
        failed: list[str] = []
        unfit: list[Route] = []
        for route in candidates.routes:
            where = route.where_at_receipt
            if where is not None:
                verdict = where.judge(business_id, action, record)
                if not verdict.is_true:
                    if verdict.failure is not None:
                        failed.append(route.name)
                    if route.is_timed and not route.shadow:
                        unfit.append(route)
                    continue
            (shadow if route.shadow else routes).append(route)
        return Matched(tuple(routes), tuple(failed), tuple(shadow), candidates.cancelled, tuple(unfit))

    def candidates(self, business_id: int, action: str) -> tuple[Route, ...]:
        """Return the routes that take events of this business and action, if their filters let them pass, and those
        whose deliveries these events call off."""
        found = self._candidates.get((business_id, action)) or self._remember(business_id, action)
        return found.routes + found.cancelled

    def match_any(self, business_id: int, action: str) -> Matched | None:
        """Return the result of `match` if it is the same for every record; None if it depends on the record."""
        candidates = self.candidates(business_id, action)
        is_any = all(route.where_at_receipt is None for route in candidates)
        return self.match(business_id, action, {}) if is_any else None

    def _remember(self, business_id: int, action: str) -> _Candidates:
        concerned = [route for route in self.routes if place_obstacle(route, business_id) is None]
        cancelled = tuple(route for route in concerned if calls_off(route, action))
        takes = tuple(route for route in concerned if matches(route.actions, action) and route not in cancelled)
        candidates = _Candidates(takes, tuple(route for route in cancelled if not route.shadow))
        if len(self._candidates) >= _MAX_REMEMBERED:
            self._candidates.clear()
        self._candidates[business_id, action] = candidates
        return candidates

    def explain(self, business_id: int, action: str, record: Mapping[str, Any]) -> tuple[Explanation, ...]:
        """Return for each route whether it wants this event, and if not, why."""
        return tuple(explain(route, business_id, action, record) for route in self.routes)

    def route(self, name: str) -> Route | None:
        """Return the route with that name, enabled or not."""
        return next((route for route in self.routes if route.name == name), None)

    def actions(self, known: Iterable[str]) -> frozenset[str]:
        """Return the actions that enabled routes want, or whose events call off their deliveries, with wildcards
        expanded over the *known* ones."""
        patterns = {pattern for route in self.routes if route.enabled for pattern in route.concerning}
        exact = {pattern for pattern in patterns if "*" not in pattern}
        wild = patterns - exact
        return frozenset(exact | {name for name in known if matches(wild, name)}) - {NEVER}
