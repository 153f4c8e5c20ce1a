"""The routing table as this process has loaded it, what each route gets, and a form that explains a pasted record."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from receiver.console.pages import Act, Facts, Page, Shown
from receiver.console.visit import Visit
from receiver.errors import UsageError
from receiver.nexudus import actions
from receiver.routing.table import Route

_ROWS: Final = 100
_DAY: Final = 24
_DEEPEST: Final = 100


def facts(visit: Visit) -> Facts:
    """The table, a hundred routes at a time. Query: `from`, the number of routes to leave out."""
    current = visit.desk.routes
    table = current.table
    start = visit.number("from") or 0
    routes = table.routes[start : start + _ROWS] if table else ()
    names = [route.name for route in routes]
    hour = visit.desk.pulse.hour()
    day, last = visit.desk.pulse.routed(names, hour, _DAY), visit.desk.pulse.routed(names, hour, 1)
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
        "routes": [_route(route) | {"day": day[route.name], "hour": last[route.name]} for route in routes],
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
    }


def more(visit: Visit, told: Facts) -> Mapping[str, Any]:
    """What the form needs."""
    asked = {name: visit.form.get(name, "") for name in ("action", "business", "record")}
    return {"actions": actions.NAMES, "asked": asked}


def explain(visit: Visit) -> Shown:
    """Say which routes a pasted record would match, and why not the others. Form: action, business, record (JSON)."""
    action, business = visit.asked("action"), visit.number("business")
    if action is None or business is None:
        raise UsageError("explain: an action and a business (a number) are needed beside the record")
    record = _record(visit.form.get("record", ""))
    explained = visit.desk.table().explain(business, action, record)
    order = sorted(explained, key=lambda one: (not one.matched, not one.failed))
    rows = [{"route": one.route, "matched": one.matched, "why_not": one.why_not, "failed": one.failed} for one in order]
    return Shown(PAGE, facts(visit) | {"explained": rows})


def _record(written: str) -> Mapping[str, Any]:
    """Read a record as it is found in a body: one object, or an array with one in it."""
    try:
        value: Any = orjson.loads(written or "{}")
    except orjson.JSONDecodeError as error:
        raise UsageError(f"record: no JSON: {error}") from None
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    if not isinstance(value, dict):
        raise UsageError("record: must be one JSON object, or an array with one in it, as Nexudus sends it")
    return value


PAGE: Final = Page("/routes", "Routes", "routes.html", facts, more)
ACTS: Final = (Act("/routes/explain", explain, for_viewers=True),)
