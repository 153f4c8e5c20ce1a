"""What `frontdesk try --dry-run` tells: whether the route matches, what it enriches, what would be sent."""

from typing import Any

import orjson

from receiver.cli.ui import output
from receiver.core.events import Event
from receiver.routing.route import Route
from workers.enriched_records import plain_records
from workers.plugins.loader import Handler
from workers.plugins.safe_error_text import describe, masked


def told(
    route: Route, event: Event, handler: Handler, why_not: str | None, *, name: str | None = None
) -> dict[str, Any]:
    """Return what would become of an event, as JSON says it; nothing is sent.

    *why_not*: why the route does not match, as far as that can be told from the event alone. *name*: the location's.
    """
    about: dict[str, Any] = {"route": route.name, "handler": route.handler, "event_id": event.id}
    about |= {"action": event.action, "business_id": event.business_id, "business": name}
    enriched, error = _enriched(handler, event)
    if why_not is None and handler.why_not and not error:
        why_not = handler.why_not(enriched)
    would_send, failure = (None, error) if error else _made(handler, enriched)
    return about | {
        "why_not": why_not,
        "enriched": plain_records(enriched),
        "would_send": would_send,
        "error": failure,
    }


def report(found: dict[str, Any], *, json: bool) -> int:
    """Print what `told` returned, and return the exit status: 1 when nothing to send can be made of the event."""
    if json:
        output.json_line(found)
        return 1 if found["error"] else 0
    where = f"{found['business_id']} {found['business'] or ''}".rstrip()
    output.say(f"{found['action']} at business {where} -> route {found['route']}, handler {found['handler']}")
    if found["why_not"]:
        output.say(f"note: the route does not match this event: {found['why_not']}")
    for name, record in found["enriched"].items():
        _say_value(name, record)
    if found["error"]:
        output.say(f"nothing can be sent: {found['error']}")
    elif found["would_send"] is None:
        output.say(f"the handler {found['handler']} does not tell what it would send; it was not run")
    else:
        for name, value in found["would_send"].items():
            _say_value(name, value)
        output.say("nothing was sent")
    return 1 if found["error"] else 0


def _enriched(handler: Handler, event: Event) -> tuple[Event, str | None]:
    if handler.enrich is None:
        return event, None
    try:
        return handler.enrich(event), None
    except Exception as error:  # noqa: BLE001 - whatever Nexudus does, it is told
        return event, describe(error, handler.secrets)


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
