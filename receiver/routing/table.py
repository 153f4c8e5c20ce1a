"""The routing table: which routes want an event. Pure; made by `receiver.routing.file`, never changed."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from receiver.core.events import Business
from receiver.routing.enrichment import Enrichment
from receiver.routing.filters import Filter, Verdict
from receiver.routing.flow_rules import Flow

NEVER = "None"
"""The action that stands for no action at Nexudus (eWebhookAction 1). No event has it and no route matches it."""

_MAX_REMEMBERED = 20_000
"""Pairs of business and action whose routes are remembered; there are 89 actions, and a location is a business."""


@dataclass(frozen=True, slots=True)
class Route:
    """One rule: which events go to which handler, and how.

    *actions* are names and wildcards as written; *businesses* None: all of them. *options* are the handler's, with
    references (`env/NAME`, `file/PATH`) as written. *retry_ms* holds the delay before each further attempt. *line* is
    where the route begins in its file, *handler_line* where its handler stands, *option_lines* where each option does,
    and each value within it (`body.name`), and each enriched record (`enrich.member`). *confirms_replay*: replays leave
    it out unless they name it. *shadow*: it is noted what it wants, and nothing is delivered. *writes*: its handler may
    change records at Nexudus. *backfill*: whether it takes events that back-fill found. *max_age_ms*: how long after
    its event came an attempt may still start; 0: for ever. *flow*: what its deliveries wait for; None: for nothing.
    *enrich*: the records that workers read for each event. *tests* are its own examples, for `frontdesk check`.
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


@dataclass(frozen=True, slots=True)
class Example:
    """A record that a route of the file says it wants, or does not want.

    *record*: the record itself, or the path of a file with it, from the folder of routes.yaml. *action*, *business_id*
    None: the first that the route wants. *match*: what is expected. *line* is where it stands.
    """

    record: Mapping[str, Any] | str
    action: str | None
    business_id: int | None
    match: bool
    line: int


class Matched(NamedTuple):
    """The routes that want an event, in the order of the file.

    *failed*: names of those whose filter failed on it. *shadow*: those that want it in the shadow, and get nothing.
    """

    routes: tuple[Route, ...]
    failed: tuple[str, ...] = ()
    shadow: tuple[Route, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """Whether a route wants an event, and if not, the first condition that does not hold, in words.

    *shadow*: it wants it in the shadow, and gets nothing. *asks_worker*: a worker decides, because its filter reads
    enriched records.
    """

    route: str
    matched: bool
    why_not: str | None = None
    failed: bool = False
    shadow: bool = False
    asks_worker: bool = False


_NOBODY = Matched(())


@dataclass(frozen=True, slots=True)
class Reconciling:
    """What is done about events that no webhook brought. *window_ms*: how far back; above *limit* events a person is
    asked first; *deletes*: whether Ids are compared daily to find deletes."""

    backfill: Literal["auto", "confirm", "never"] = "auto"
    window_ms: int = 31 * 86_400_000
    limit: int = 500
    deletes: Literal["off", "daily"] = "off"


@dataclass(frozen=True, slots=True)
class RoutingTable:
    """All routes of one file.

    *queues* are in order of priority and include every queue that a route names. *hash* is the first 16 hexadecimal
    digits of the SHA-256 of *text*. *businesses* are the locations that the registrar looks after; *locations* what is
    said of some of them.
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
    _candidates: dict[tuple[int, str], tuple[Route, ...]] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def has_order(self) -> bool:
        """Whether deliveries of one key follow one another on any of the routes."""
        return any(route.flow is not None and route.flow.has_lanes for route in self.routes)

    def business(self, business_id: int) -> Business:
        """Return what the file says of a location."""
        return self.locations.get(business_id, self.default_business)

    def match(self, business_id: int, action: str, record: Mapping[str, Any]) -> Matched:
        """Return the routes that want this event; costs what their filters cost, however many other routes there are.

        Total over hostile records: a filter that cannot be evaluated is false, and its route is named in `failed`.
        """
        candidates = self.candidates(business_id, action)
        if not candidates:
            return _NOBODY
        routes: list[Route] = []
        shadow: list[Route] = []
        failed: list[str] = []
        for route in candidates:
            where = route.where_at_receipt
            if where is not None:
                verdict = where.judge(business_id, action, record)
                if not verdict.is_true:
                    if verdict.failure is not None:
                        failed.append(route.name)
                    continue
            (shadow if route.shadow else routes).append(route)
        return Matched(tuple(routes), tuple(failed), tuple(shadow))

    def candidates(self, business_id: int, action: str) -> tuple[Route, ...]:
        """Return the routes that take events of this business and action, if their filters let them pass."""
        found = self._candidates.get((business_id, action))
        return self._remember(business_id, action) if found is None else found

    def match_any(self, business_id: int, action: str) -> Matched | None:
        """Return what `match` returns for every record; None: that depends on the record."""
        candidates = self.candidates(business_id, action)
        is_any = all(route.where_at_receipt is None for route in candidates)
        return self.match(business_id, action, {}) if is_any else None

    def _remember(self, business_id: int, action: str) -> tuple[Route, ...]:
        candidates = tuple(route for route in self.routes if _obstacle(route, business_id, action) is None)
        if len(self._candidates) >= _MAX_REMEMBERED:
            self._candidates.clear()
        self._candidates[business_id, action] = candidates
        return candidates

    def explain(self, business_id: int, action: str, record: Mapping[str, Any]) -> tuple[Explanation, ...]:
        """Say of each route whether it wants this event, and why not."""
        return tuple(explain(route, business_id, action, record) for route in self.routes)

    def route(self, name: str) -> Route | None:
        """Return the route of that name, enabled or not."""
        return next((route for route in self.routes if route.name == name), None)

    def actions(self, known: Iterable[str]) -> frozenset[str]:
        """Return the actions that enabled routes want, with wildcards expanded over the *known* ones."""
        patterns = {pattern for route in self.routes if route.enabled for pattern in route.actions}
        exact = {pattern for pattern in patterns if "*" not in pattern}
        wild = patterns - exact
        return frozenset(exact | {name for name in known if matches(wild, name)}) - {NEVER}


def matches(patterns: Iterable[str], action: str) -> bool:
    """Does one of *patterns* (names, or wildcards where `*` stands for any characters) match *action*?"""
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


def _obstacle(route: Route, business_id: int, action: str) -> str | None:
    """Return the first condition that keeps the route from events of this business and action, if any."""
    if not route.enabled:
        return "the route is not enabled"
    if not matches(route.actions, action):
        return f"it wants {', '.join(route.actions)}, not {action}"
    if route.businesses is not None and business_id not in route.businesses:
        return f"it wants business {', '.join(map(str, sorted(route.businesses)))}, not {business_id}"
    return None


def explain(route: Route, business_id: int, action: str, record: Mapping[str, Any]) -> Explanation:
    """Say whether one route wants an event, and why not."""
    why_not = _obstacle(route, business_id, action)
    if why_not is not None:
        return Explanation(route.name, matched=False, why_not=why_not)
    where = route.where_at_receipt
    verdict = where.judge(business_id, action, record) if where is not None else None
    if where is None or verdict is None or verdict.is_true:
        return Explanation(route.name, matched=True, shadow=route.shadow, asks_worker=route.where_at_work is not None)
    return Explanation(
        route.name, matched=False, why_not=why_it_is_not_true(where, verdict), failed=verdict.failure is not None
    )


def why_it_is_not_true(where: Filter, verdict: Verdict) -> str:
    """Say why a filter does not let an event pass."""
    if verdict.failure is not None:
        return f"its filter failed: {verdict.failure} ({where.source})"
    return f"its filter is false: {where.source}"
