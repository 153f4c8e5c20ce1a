"""`routes`: the routing table as it is read, why an event goes where it goes, and the schema of the file."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import cyclopts
import orjson
from cyclopts import Parameter

from receiver.cli.context import Context
from receiver.cli.routes import route_rows, routes_diff
from receiver.cli.ui import output
from receiver.core import timestamps
from receiver.core.errors import UsageError
from receiver.core.suggest import hint
from receiver.nexudus.actions import CODES
from receiver.routing.document.schema import schema as json_schema
from receiver.routing.explanation import Explanation
from receiver.routing.table import RoutingTable
from receiver.storage.query.stored_event import StoredEvent
from receiver.storage.shared.business_names import place

app = cyclopts.App(name="routes", help="Show the routes of routes.yaml.")
app.command(routes_diff.diff)

Json = Annotated[bool, Parameter(help="one JSON object per line")]

_EVENT_ID = re.compile(r"[0-9a-z]{20,32}")


@app.default
def routes(*, json: Json = False) -> None:
    """Show the routes, as routes.yaml says them."""
    context = Context()
    table = context.table
    gates = route_rows.standing(context)
    for name in sorted(set(gates or ()) - {route.name for route in table.routes}):
        if gates and gates[name].pause:
            output.warn(
                f"route {name!r} is paused and not in {table.file}; `frontdesk resume {name}` resumes its deliveries"
            )
    if json:
        for route in table.routes:
            output.json_line(route_rows.shape(route, gates))
        return
    if not table.routes:
        output.say(f"{table.file} has no routes: events are kept, and none is handled.")
        return
    output.table(route_rows.HEADINGS, [route_rows.cells(route, gates) for route in table.routes])


@app.command
def explain(
    action: str,
    event: Annotated[str | None, Parameter(name="FILE|EVENT_ID")] = None,
    /,
    *,
    business: int | None = None,
    json: Json = False,
) -> None:
    """Show for each route whether it matches an event, and if not, why.

    Parameters
    ----------
    action
        the action of the event, or the id of a kept event, whose action is used
    event
        a file with a record as JSON (or an array of records), or the id of a kept event
    business
        the Nexudus location of the event; default: that of the kept event, else one that routes.yaml names
    """
    context = Context()
    table = context.table
    if event is None:
        action, event = _kept_action(action, context), action
    if action not in CODES:
        output.warn(f"{action!r} is not a known action{hint(action, CODES)}")
    found = _records(event, context)
    location = business or found[0][1] or _any_location(table, context.names)
    for record, _ in found:
        explained = table.explain(location, action, record)
        keyless = route_rows.keyless(table, location, action, record)
        if json:
            shown = [_shape(each) | {"no_key": keyless.get(each.route)} for each in explained]
            where = {"business_id": location, "business": context.names.get(location)}
            output.json_line({"action": action, **where, "routes": shown})
        else:
            output.table(("route", "matches", "why not"), [_row(each, keyless.get(each.route)) for each in explained])


def _kept_action(event_id: str, context: Context) -> str:
    """Return the action of an event that was named alone."""
    if not _EVENT_ID.fullmatch(event_id):
        raise UsageError(
            f"{event_id[:60]}: a single argument must be the id of an event; otherwise give ACTION FILE|EVENT_ID"
        )
    return context.archive.get(event_id).envelope.action


@app.command
def schema() -> None:
    """Print the JSON Schema of routes.yaml. Editors complete and check the file with it."""
    print(orjson.dumps(json_schema(CODES), option=orjson.OPT_INDENT_2).decode())


def _row(explained: Explanation, no_key: str | None) -> tuple[str, str, str]:
    wants = "in the shadow" if explained.shadow else "yes" if explained.matched else "no"
    if explained.asks_worker:
        wants = "the worker decides"
    why = explained.note if explained.why_not is not None or not no_key else f"but it has no key: {no_key}"
    return explained.route, wants, why


def _shape(explained: Explanation) -> dict[str, Any]:
    shape = asdict(explained)
    return shape | {"starts_at": timestamps.show(shape.pop("starts_ms"))}


def _records(event: str, context: Context) -> list[tuple[dict[str, Any], int | None]]:
    """Return each record with the location that it came from, where that is known."""
    path = Path(event)
    if path.is_file():
        return [(record, None) for record in _of_file(path, context.settings.max_body)]
    if not _EVENT_ID.fullmatch(event):
        raise UsageError(f"{event} is neither a file nor the id of an event")
    return [_of_event(context.archive.get(event))]


def _of_event(stored: StoredEvent) -> tuple[dict[str, Any], int]:
    try:
        record = stored.envelope.record()
    except ValueError:
        record = None
    if not isinstance(record, dict):
        unread, set_aside = stored.unreadable, stored.envelope.quarantine
        state = f"cannot be read ({unread})" if unread else f"is quarantined ({set_aside})"
        raise UsageError(f"event {stored.envelope.id!r} {state}; it holds no record to route")
    return record, stored.envelope.business_id


def _of_file(path: Path, most: int) -> list[dict[str, Any]]:
    try:
        with path.open("rb") as opened:
            content = opened.read(most + 1)
    except OSError as error:
        raise UsageError(f"{path}: cannot be read: {error.strerror}") from None
    if len(content) > most:
        raise UsageError(f"{path}: is larger than {most} bytes (FRONTDESK_MAX_BODY)")
    try:
        found = orjson.loads(content)
    except orjson.JSONDecodeError as error:
        raise UsageError(f"{path}: is not JSON: {error}") from None
    records = found if isinstance(found, list) else [found]
    if not records or not all(isinstance(record, dict) for record in records):
        raise UsageError(f"{path}: holds no record; a record is a JSON object, or an array of them")
    return records


def _any_location(table: RoutingTable, names: Mapping[int, str]) -> int:
    """Return a location to explain for when none was named, and say so where a route asks which one it is."""
    named = sorted({number for route in table.routes for number in route.businesses or ()})
    listed = () if table.businesses == "all" else table.businesses
    location = next(iter((*listed, *named)), 1)
    if named or any(route.where and "business_id" in route.where.source for route in table.routes):
        output.warn(f"explained for business {place(location, names)}; --business selects another one")
    return location
