"""What `frontdesk try --dry-run` prints: whether the route matches, and what its handler would send."""

from typing import Any

import orjson

from receiver.cli.ui import output
from receiver.core.events import Event
from receiver.routing.table import Route
from workers.plugins.loader import Handler
from workers.plugins.safe_error_text import describe, masked


def report(route: Route, event: Event, handler: Handler, why_not: str | None, *, json: bool) -> int:
    """Print what would be sent, and return the exit status: 1 when that cannot be made of the event."""
    would_send, error = _made(handler, event)
    if json:
        about: dict[str, Any] = {"route": route.name, "handler": route.handler, "event_id": event.id}
        about |= {"action": event.action, "business_id": event.business_id, "why_not": why_not}
        output.json_line(about | {"would_send": would_send, "error": error})
        return 1 if error else 0
    output.say(f"{event.action} at business {event.business_id} -> route {route.name}, handler {route.handler}")
    if why_not:
        output.say(f"note: the route does not match this event: {why_not}")
    if error:
        output.say(f"nothing can be sent: {error}")
    elif would_send is None:
        output.say(f"the handler {route.handler} does not tell what it would send; it was not run")
    else:
        for name, value in would_send.items():
            _say_value(name, value)
        output.say("nothing was sent")
    return 1 if error else 0


def _made(handler: Handler, event: Event) -> tuple[dict[str, Any] | None, str | None]:
    if handler.preview is None:
        return None, None
    try:
        found = orjson.dumps(handler.preview(event), default=str).decode()
    except Exception as error:  # noqa: BLE001 - the preview of a plugin is foreign code
        return None, describe(error, handler.secrets)
    shown: dict[str, Any] = orjson.loads(masked(found, handler.secrets))
    return shown, None


def _say_value(name: str, value: Any) -> None:
    text = value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
    lines = text.split("\n")
    if len(lines) == 1:
        output.say(f"{name}: {text}")
        return
    output.say(f"{name}:")
    for line in lines:
        output.say(f"    {line}")
