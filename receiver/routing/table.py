"""The routing table, which decides which routes want an event. Pure and immutable; `receiver.routing.file` makes it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, NamedTuple

from receiver.core import timestamps
from receiver.core.events import Business
from receiver.routing.enrichment import Enrichment
from receiver.routing.filters import Filter, Verdict
from receiver.routing.flow_rules import Flow

NEVER = "None"
"""Nexudus's name for no action (eWebhookAction 1). No event has it and no route matches it."""

_MAX_REMEMBERED = 20_000
"""Pairs of business and action whose routes are cached. There are 89 actions, and each location is a business."""


@dataclass(frozen=True, slots=True)
class Route:
    """One rule: which events go to which handler, and how.

    *actions* are names and wildcards as written. *businesses* None: all. *options* are the handler's, with references
    (`env/NAME`, `file/PATH`) as written. *retry_ms* holds the delay before each further attempt. *line* is the line of
    the file where the route begins, *handler_line* that of its handler; *option_lines* has the line of each option and
    of each value within it (`body.name`), and of enriched records (`enrich.member`). *confirms_replay*: a replay skips
    the route unless it names the route. *shadow*: matching events are noted, but nothing is delivered. *writes*: the
    handler may change records at Nexudus. *backfill*: whether the route takes events that back-fill found.
    *max_age_ms*: how long after its event arrived an attempt may still start; 0: no limit. *flow*: what its deliveries
    wait for; None: nothing. *enrich*: records that workers read. *tests* are its own examples, for `frontdesk check`.
    """

    name: str
    actions: tuple[str, ...]
    businesses: frozenset[int] | None
    where: Filter | None
    handler: str
    options: Mapping[str, Any]
    queue: str
    timeout_ms: int
    retry_ms: tuple[int, ...]
    enabled: bool
    line: int
    confirms_replay: bool = False
    shadow: bool = False
    writes: bool = False
    backfill: Literal["auto", "confirm", "never"] = "auto"
    max_age_ms: int = 0
    flow: Flow | None = None
    enrich: tuple[Enrichment, ...] = ()
    tests: tuple["Example", ...] = field(default=(), compare=False, repr=False)
    handler_line: int = field(default=0, compare=False)
    option_lines: Mapping[str, int] = field(default_factory=dict, compare=False, repr=False)

    @property
    def where_at_receipt(self) -> Filter | None:
        """The filter that decides when an event is kept; None: every event passes."""
        return self.where if self.where is not None and not self.where.records else None

    @property
    def where_at_work(self) -> Filter | None:
        """The filter that a worker evaluates, because it reads enriched records; None: there is none."""
        return self.where if self.where is not None and self.where.records else None

    @property
    def is_timed(self) -> bool:
        """Whether deliveries start at a time of their record."""
        return self.flow is not None and self.flow.at is not None

    @property
    def concerning(self) -> tuple[str, ...]:
        """The actions that the route wants, and those that call its deliveries off; names and wildcards."""
        return self.actions + (self.flow.cancelled_by if self.flow else ())


@dataclass(frozen=True, slots=True)
class Example:
    """A test of a route: a record that the route is expected to want, or not to want.

    *record*: the record itself, or the path of a file with it, relative to the folder of routes.yaml. *action* or
    *business_id* None: the first that the route wants. *match*: whether the route should want it. *line*: its line in
    the file.
    """

    record: Mapping[str, Any] | str
    action: str | None
    business_id: int | None
    match: bool
    line: int


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


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a route wants an event, and if not, a sentence with the first condition that is not met.

    *shadow*: the route wants the event, but is a shadow route and gets no delivery. For a route with `at`, *starts_ms*:
    when the delivery starts (Unix ms); *no_time*: why there is no such time; *calls_off*: the event calls off the
    delivery that waits. *asks_worker*: a worker decides, because the filter reads enriched records.
    """

    route: str
    matched: bool
    why_not: str | None = None
    failed: bool = False
    shadow: bool = False
    asks_worker: bool = False
    starts_ms: int | None = None
    no_time: str | None = None
    calls_off: bool = False

    @property
    def note(self) -> str:
        """What there is to say of it in words: why the route does not want the event, or when its delivery starts."""
        if self.why_not is not None:
            return f"{self.why_not}; it calls off the delivery that waits" if self.calls_off else self.why_not
        if self.no_time is not None:
            return f"its delivery is discarded: no time: {self.no_time}"
        return f"its delivery starts at {timestamps.show(self.starts_ms)}" if self.starts_ms is not None else ""


_NOBODY = Matched(())


@dataclass(frozen=True, slots=True)
class Reconciling:
    """How Frontdesk handles events for which no webhook came. *window_ms*: how far back it looks. Above *limit* events
    it asks a person first. *deletes*: whether it compares Ids daily to find deletes."""

    backfill: Literal["auto", "confirm", "never"] = "auto"
    window_ms: int = 31 * 86_400_000
    limit: int = 500
    deletes: Literal["off", "daily"] = "off"


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
    default_business: Business = field(default_factory=Business)
    locations: Mapping[int, Business] = field(default_factory=dict)
    reconcile: Reconciling = Reconciling()
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
        concerned = [route for route in self.routes if _place_obstacle(route, business_id) is None]
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


def matches(patterns: Iterable[str], action: str) -> bool:
    """Return whether one of *patterns* (names, or wildcards where `*` means any characters) matches *action*."""
    return action != NEVER and any(_matches(pattern, action) for pattern in patterns)


def _matches(pattern: str, action: str) -> bool:
    """Match without backtracking: the pieces between the stars, each as far left as it fits."""
    head, *pieces = pattern.split("*")
    if not pieces:
        return pattern == action
    tail = pieces.pop()
    if not action.startswith(head) or len(action) < len(head) + len(tail) or not action.endswith(tail):
        return False
    return _fits(action[len(head) : len(action) - len(tail)], pieces)


def _fits(text: str, pieces: Sequence[str]) -> bool:
    at = 0
    for piece in pieces:
        found = text.find(piece, at)
        if found < 0:
            return False
        at = found + len(piece)
    return True


def calls_off(route: Route, action: str) -> bool:
    """Whether events of this action call off the delivery that waits of their entity."""
    return route.flow is not None and bool(route.flow.cancelled_by) and matches(route.flow.cancelled_by, action)


def _obstacle(route: Route, business_id: int, action: str) -> str | None:
    """Return the first condition that keeps the route from events of this business and action, if any."""
    if route.enabled and not matches(route.actions, action):
        return f"it wants {', '.join(route.actions)}, not {action}"
    return _place_obstacle(route, business_id)


def _place_obstacle(route: Route, business_id: int) -> str | None:
    """Return why no event of this business concerns the route, if none does."""
    if not route.enabled:
        return "the route is not enabled"
    if route.businesses is not None and business_id not in route.businesses:
        return f"it wants business {', '.join(map(str, sorted(route.businesses)))}, not {business_id}"
    return None


def explain(route: Route, business_id: int, action: str, record: Mapping[str, Any]) -> Explanation:
    """Return whether one route wants an event, and if not, why."""
    if calls_off(route, action) and _place_obstacle(route, business_id) is None:
        return Explanation(route.name, matched=False, why_not=f"`cancelled_by` names {action}", calls_off=True)
    why_not = _obstacle(route, business_id, action)
    if why_not is not None:
        return Explanation(route.name, matched=False, why_not=why_not)
    where = route.where_at_receipt
    verdict = where.judge(business_id, action, record) if where else None
    if where is None or verdict is None or verdict.is_true:
        at = route.flow.at if route.flow else None
        starts_ms, no_time = at.of(business_id, action, record) if at else (None, None)
        found = Explanation(route.name, matched=True, shadow=route.shadow, no_time=no_time)
        starts_ms = starts_ms if no_time is None else None
        return replace(found, starts_ms=starts_ms, asks_worker=route.where_at_work is not None)
    why_not, failed = why_it_is_not_true(where, verdict), verdict.failure is not None
    return Explanation(route.name, matched=False, why_not=why_not, failed=failed, calls_off=route.is_timed)


def why_it_is_not_true(where: Filter, verdict: Verdict) -> str:
    """Return why a filter does not let an event pass."""
    if verdict.failure is not None:
        return f"its filter failed: {verdict.failure} ({where.source})"
    return f"its filter is false: {where.source}"
