"""`routes diff`: route the events of the last days by the current file and by a new one."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from receiver.cli.context import Context
from receiver.cli.ui import output, terminal
from receiver.cli.ui.event_options import ANYWHERE, OriginOptions
from receiver.core.events import Envelope
from receiver.routing.loading import read_table
from receiver.routing.table_diff import Comparison, Differing, RouteChange
from receiver.storage.query.envelopes import Envelopes

_SINCE = "7d"
_STEP = 100


def diff(
    new: Annotated[Path, Parameter(name="NEW.yaml")],
    /,
    *,
    which: OriginOptions = ANYWHERE,
    json: Annotated[bool, Parameter(help="print one object")] = False,
) -> None:
    """Route kept events by routes.yaml and by another file, and show the differences.

    Nothing is delivered or changed. Without --since, it takes the events of the last 7 days.

    Parameters
    ----------
    new
        the new routing file
    """
    context = Context()
    wanted = (which if which.since else replace(which, since=_SINCE)).filter()
    compared = Comparison(context.table, read_table(new))
    events = Envelopes(context.client, wanted)
    skipped = 0
    with terminal.bar("routing", events.count, shown=not json) as advance:
        for number, envelope in enumerate(events.newest(), 1):
            skipped += not _add(compared, envelope)
            if number % _STEP == 0:
                advance(_STEP)
    skipped += events.unreadable
    if json:
        output.json_line(_object(compared, skipped))
    else:
        _say(compared, skipped)


def _add(compared: Comparison, envelope: Envelope) -> bool:
    """Route one event; not one without a record to route: quarantined, erased, or no object."""
    if envelope.quarantine or envelope.erased_ms:
        return False
    try:
        record = envelope.record()
    except ValueError:
        return False
    if not isinstance(record, dict):
        return False
    compared.add(envelope.id, envelope.business_id, envelope.action, record)
    return True


def _object(compared: Comparison, skipped: int) -> dict[str, Any]:
    return {
        "events": compared.events,
        "skipped": skipped,
        "same": compared.is_same,
        "newly_handled": _differing(compared.handled),
        "no_longer_handled": _differing(compared.unhandled),
        "routes": [
            {
                "route": route.route,
                "is": "in both" if route.is_old and route.is_new else "new" if route.is_new else "gone",
                "before": route.before,
                "after": route.after,
                "gained": _differing(route.gained),
                "lost": _differing(route.lost),
                "changed": list(route.changed),
                "shadow": route.shadow,
                "failed": route.failed,
            }
            for route in compared.routes
        ],
    }


def _differing(found: Differing) -> dict[str, Any]:
    return {"count": found.count, "examples": found.examples}


def _say(compared: Comparison, skipped: int) -> None:
    if compared.routes:
        rows = [
            (route.route, route.before, route.after, f"+{route.gained.count}", f"-{route.lost.count}", _note(route))
            for route in compared.routes
        ]
        output.table(("route", "before", "after", "gained", "lost", "note"), rows)
    for route in compared.routes:
        for found, would in ((route.gained, "would get"), (route.lost, "would no longer get")):
            if found.count:
                output.say(f"{route.route} {would}: {', '.join(found.examples)}{_more(found)}")
    output.say(_summary(compared, skipped))


def _more(found: Differing) -> str:
    return f" and {found.count - len(found.examples)} more" if found.count > len(found.examples) else ""


def _note(route: RouteChange) -> str:
    notes = [] if route.is_old else ["new"]
    notes += [] if route.is_new else ["gone"]
    notes += [f"other {', '.join(route.changed)}"] if route.changed else []
    notes += [f"{route.shadow} in the shadow"] if route.shadow else []
    notes += [f"its filter fails on {route.failed}"] if route.failed else []
    return "; ".join(notes)


def _summary(compared: Comparison, skipped: int) -> str:
    left_out = f" ({skipped} without a record were skipped)" if skipped else ""
    if compared.is_same:
        return f"{compared.events} events{left_out} would go to the same routes as today."
    return (
        f"Of {compared.events} events{left_out}, {compared.handled.count} that no route handles would be handled, and "
        f"{compared.unhandled.count} that are handled now would no longer be."
    )
