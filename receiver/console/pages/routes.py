"""The routing table as this process has loaded it, the traffic of each route, and a form that explains a record."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from receiver.console.framework.page import Done, Facts, Operation, Page, PageRequest, Shown
from receiver.core import durations, timestamps
from receiver.core.errors import UsageError
from receiver.nexudus import actions
from receiver.routing.flow_rules import Flow
from receiver.routing.route import Route
from receiver.storage.queue.flow_control import Gate

_ROWS: Final = 100
_DAY: Final = 24
_DEEPEST: Final = 100


def facts(request: PageRequest) -> Facts:
    """The table, a hundred routes at a time. Query: `from`, the number of routes to leave out."""
    current = request.services.routes
    table = current.table
    start = request.number("from") or 0
    routes = table.routes[start : start + _ROWS] if table else ()
    names = [route.name for route in routes]
    status = request.services.store_status
    hour = status.hour()
    gates = request.services.gates.standing()
    day, last = status.routed(names, hour, _DAY), status.routed(names, hour, 1)
    return {
        "file": table.file if table else None,
        "hash": table.hash if table else None,
        "problems": [
            {"file": problem.file, "line": problem.line, "message": problem.message} for problem in current.problems
        ],
        "queues": list(table.queues) if table else [],
        "businesses": table.businesses if table else [],
        "number": len(table.routes) if table else 0,
        "from": start,
        "more": start + _ROWS if table and start + _ROWS < len(table.routes) else None,
        "routes": [
            _route(route) | {"day": day[route.name], "hour": last[route.name], "gate": _gate(gates.get(route.name))}
            for route in routes
        ],
        "explained": None,
    }


def _route(route: Route) -> dict[str, Any]:
    """A route without the values of its options: somebody may have written a secret there."""
    return {
        "name": route.name,
        "line": route.line,
        "actions": list(route.actions),
        "businesses": sorted(route.businesses) if route.businesses is not None else None,
        "where": route.where.source if route.where else None,
        "handler": route.handler,
        "options": sorted(route.options),
        "queue": route.queue,
        "timeout_ms": route.timeout_ms,
        "retry_ms": list(route.retry_ms),
        "enabled": route.enabled,
        "shadow": route.shadow,
        "flow": _flow(route.flow or Flow()),
    }


def _flow(flow: Flow) -> dict[str, str]:
    """What its deliveries wait for, as far as it says so, in the words of routes.yaml."""
    fields = {
        "order": flow.order.source if flow.order else "",
        "debounce": durations.show(flow.debounce_ms) if flow.debounce_ms else "",
        "delay": durations.show(flow.delay_ms) if flow.delay_ms else "",
        "limit": flow.limit.source if flow.limit else "",
        "concurrency": str(flow.concurrency or ""),
        "per": flow.per.source if flow.per else "",
        "at": flow.at.source if flow.at else "",
        "cancelled_by": ", ".join(flow.cancelled_by),
    }
    return {name: value for name, value in fields.items() if value}


def _gate(gate: Gate | None) -> dict[str, Any] | None:
    """What stands before a route now."""
    if gate is None:
        return None
    return {
        "state": gate.state,
        "waiting": gate.waiting,
        "paused_at": timestamps.show(gate.pause.since_ms) if gate.pause else None,
        "paused_by": gate.pause.who if gate.pause else None,
    }


def pause(request: PageRequest) -> Done:
    """Hold the deliveries of a route: they are kept, and wait until it is resumed."""
    route = request.path["route"]
    if request.services.table().route(route) is None:
        raise UsageError(f"route: the current table has no route {route!r}")
    request.record("pause", route=route)
    changed = request.services.gates.pause(route, request.session.identity.name)
    return Done(f"{route} is paused." if changed else f"{route} was already paused.", "/routes", {"changed": changed})


def resume(request: PageRequest) -> Done:
    """Let the deliveries of a paused route run, whether the current table has it or not."""
    route = request.path["route"]
    request.record("resume", route=route)
    changed = request.services.gates.resume(route)
    return Done(f"{route} is resumed." if changed else f"{route} was not paused.", "/routes", {"changed": changed})


def more(request: PageRequest, values: Facts) -> Mapping[str, Any]:
    """What the form needs."""
    asked = {name: request.form.get(name, "") for name in ("action", "business", "record")}
    return {"actions": actions.NAMES, "asked": asked}


def explain(request: PageRequest) -> Shown:
    """Say which routes a pasted record would match, and why not the others. Form: action, business, record (JSON)."""
    action, business = request.asked("action"), request.number("business")
    if action is None or business is None:
        raise UsageError("explain: give an action and a business (a number) with the record")
    record = _record(request.form.get("record", ""))
    explained = request.services.table().explain(business, action, record)
    order = sorted(explained, key=lambda one: (not one.matched, not one.failed))
    names = ("route", "matched", "why_not", "failed", "note")
    rows = [{name: getattr(one, name) for name in names} for one in order]
    return Shown(PAGE, facts(request) | {"explained": rows})


def _record(written: str) -> Mapping[str, Any]:
    """Read a record as it is found in a body: one object, or an array with one in it."""
    try:
        value: Any = orjson.loads(written or "{}")
    except orjson.JSONDecodeError as error:
        raise UsageError(f"record: not valid JSON: {error}") from None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise UsageError("record: must be one JSON object, or an array with one in it, as Nexudus sends it")
    return value


_COLUMNS: Final = ("name", "line", "handler", "queue", "timeout_ms", "-hour", "-day")
PAGE: Final = Page("/routes", "Routes", "routes.html", facts, more, tables={"routes": _COLUMNS})
OPERATIONS: Final = (
    Operation("/routes/explain", explain, for_viewers=True),
    Operation("/routes/{route}/pause", pause),
    Operation("/routes/{route}/resume", resume),
)
