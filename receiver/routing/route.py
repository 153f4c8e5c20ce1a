"""One route of the routing table, and which events concern it by their action and location. Pure and immutable."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from receiver.routing.enrichment import Enrichment
from receiver.routing.filters import Filter
from receiver.routing.flow_rules import Flow

NEVER = "None"
"""Nexudus's name for no action (eWebhookAction 1). No event has it and no route matches it."""


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


def place_obstacle(route: Route, business_id: int) -> str | None:
    """Return why no event of this business concerns the route, if none does."""
    if not route.enabled:
        return "the route is not enabled"
    if route.businesses is not None and business_id not in route.businesses:
        return f"it wants business {', '.join(map(str, sorted(route.businesses)))}, not {business_id}"
    return None
