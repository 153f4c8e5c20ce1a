"""Why a route wants an event, or does not: for people. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from receiver.core import timestamps
from receiver.routing.filters import Filter, FilterResult
from receiver.routing.route import Route, calls_off, matches, place_obstacle


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


def _obstacle(route: Route, business_id: int, action: str) -> str | None:
    """Return the first condition that keeps the route from events of this business and action, if any."""
    if route.enabled and not matches(route.actions, action):
        return f"it wants {', '.join(route.actions)}, not {action}"
    return place_obstacle(route, business_id)


def explain(route: Route, business_id: int, action: str, record: Mapping[str, Any]) -> Explanation:
    """Return whether one route wants an event, and if not, why."""
    if calls_off(route, action) and place_obstacle(route, business_id) is None:
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


def why_it_is_not_true(where: Filter, verdict: FilterResult) -> str:
    """Return why a filter does not let an event pass."""
    if verdict.failure is not None:
        return f"its filter failed: {verdict.failure} ({where.source})"
    return f"its filter is false: {where.source}"
