"""How routes look to people and to programs: what routes.yaml says of them, and how they stand now."""

from collections.abc import Mapping
from typing import Any

from receiver.cli.context import Context
from receiver.core import durations, timestamps
from receiver.core.errors import StorageUnavailable
from receiver.nexudus import fingerprint
from receiver.routing.flow_rules import Flow, Occurrence
from receiver.routing.route import Route
from receiver.routing.table import RoutingTable
from receiver.storage.queue.flow_control import Gate, Gates

HEADINGS = ("name", "action", "business", "handler", "queue", "enabled")

Standing = Mapping[str, Gate] | None
"""What stands before routes now, by name; None when the store does not say."""


def standing(context: Context) -> Standing:
    """Return what stands before routes now. The file can be shown without."""
    try:
        return Gates(context.client).standing()
    except StorageUnavailable:
        return None


def shape(route: Route, gates: Standing) -> dict[str, Any]:
    """The object that `routes --json` prints for a route."""
    return {
        "name": route.name,
        "action": list(route.actions),
        "business": None if route.businesses is None else sorted(route.businesses),
        "where": route.where.source if route.where else None,
        "enrich": {one.name: {"kind": one.kind, "id": one.number.source} for one in route.enrich},
        "handler": route.handler,
        "queue": route.queue,
        "timeout": durations.show(route.timeout_ms),
        "retry": [durations.show(delay) for delay in route.retry_ms],
        "enabled": route.enabled,
        "shadow": route.shadow,
        "nexudus": "write" if route.writes else "read",
        **_flow(route.flow),
        "max_age": durations.show(route.max_age_ms) if route.max_age_ms else None,
        "line": route.line,
        **_now(route, gates),
    }


def cells(route: Route, gates: Standing) -> tuple[str, ...]:
    """One line of the table of routes."""
    businesses = "all" if route.businesses is None else ", ".join(map(str, sorted(route.businesses)))
    enabled = "no" if not route.enabled else "shadow" if route.shadow else "yes"
    gate = (gates or {}).get(route.name)
    state = f"{enabled}, {gate.state}: {gate.waiting} waiting" if gate else enabled
    return route.name, ", ".join(route.actions), businesses, route.handler, route.queue, state


def keyless(table: RoutingTable, business_id: int, action: str, record: Mapping[str, Any]) -> dict[str, str]:
    """Return why the keys of some of the routes that want an event cannot be worked out, by route."""
    event = Occurrence(business_id, action, record, fingerprint.entity(action, record))
    found = {}
    for route in table.match(business_id, action, record).routes:
        timed = route.flow.timed(event) if route.flow and route.flow.at else None
        failure = (timed and timed.failure) or (route.flow.terms(event).failure if route.flow else None)
        if failure is not None:
            found[route.name] = failure
    return found


def _now(route: Route, gates: Standing) -> dict[str, Any]:
    """Return how a route stands now; all of it None when the store does not say."""
    if gates is None:
        return dict.fromkeys(("state", "waiting", "paused_at", "paused_by", "down_since", "told_to_wait_until"))
    gate = gates.get(route.name, Gate(route.name))
    return {
        "state": gate.state,
        "waiting": gate.waiting,
        "paused_at": timestamps.show(gate.pause.since_ms) if gate.pause else None,
        "paused_by": gate.pause.who if gate.pause else None,
        "down_since": timestamps.show(gate.down_since_ms or None),
        "told_to_wait_until": timestamps.show(gate.told_until_ms or None),
    }


def _flow(flow: Flow | None) -> dict[str, Any]:
    flow = flow or Flow()
    return {
        "order": flow.order.source if flow.order else None,
        "debounce": durations.show(flow.debounce_ms) if flow.debounce_ms else None,
        "delay": durations.show(flow.delay_ms) if flow.delay_ms else None,
        "limit": flow.limit.source if flow.limit else None,
        "concurrency": flow.concurrency or None,
        "per": flow.per.source if flow.per else None,
        "give_up": durations.show(flow.give_up_ms),
        "at": flow.at.source if flow.at else None,
        "cancelled_by": list(flow.cancelled_by),
    }
