"""`events`, `show`, `tail`: what came in, and what became of it."""

import time
from itertools import islice
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from receiver.cli.context import Context
from receiver.cli.ui import output
from receiver.cli.ui.event_options import EVERYTHING, SelectionOptions
from receiver.core import timestamps
from receiver.core.errors import StorageUnavailable
from receiver.core.events import EventStatus
from receiver.operations import json_views
from receiver.storage.query.event_tail import EventTail
from receiver.storage.query.stored_event import EventFilter, StoredDelivery, StoredEvent
from receiver.storage.shared.audit_log import AuditLog

_HEADINGS = ("received", "id", "action", "business", "status", "deliveries")

_COLOURS = {
    EventStatus.SUCCEEDED: "green",
    EventStatus.DEAD: "bold red",
    EventStatus.QUARANTINED: "bold yellow",
    EventStatus.UNROUTED: "yellow",
    EventStatus.IN_FLIGHT: "cyan",
}

_ROWS = 50
_PAUSE_S = 0.2

Json = Annotated[bool, Parameter(help="one JSON object per line")]
Limit = Annotated[int | None, Parameter(validator=Number(gte=1, lte=1_000_000_000))]


def events(*, which: SelectionOptions = EVERYTHING, limit: Limit = None, json: Json = False) -> None:
    """List events, newest first.

    Parameters
    ----------
    limit
        the most events to list; by default 50 in a table, all with --json
    """
    wanted = which.wanted()
    archive = Context().archive
    if json:
        for stored in islice(archive.newest(wanted), limit):
            output.json_line(json_views.brief(stored, redact=False))
        return
    found = [_row(stored) for stored in islice(archive.newest(wanted), limit or _ROWS)]
    if not found:
        output.say("No events" + (" of that kind." if wanted != EventFilter() else " yet."))
        return
    output.table(_HEADINGS, found)


def show(event_id: Annotated[str, Parameter(name="ID")], /, *, redact: bool = False, json: Json = False) -> None:
    """Show one event: the record, how it was verified, its deliveries and every attempt.

    Unless --redact is given, the audit log records who saw the texts (`frontdesk acts`), as it does for the console.

    Parameters
    ----------
    redact
        mask personal data in the record and in the errors of handlers
    """
    context = Context()
    stored = context.archive.get(event_id)
    if not redact:
        AuditLog(context.client).record("unmask", event_id=stored.envelope.id, action=stored.envelope.action)
    shape = json_views.full(stored, redact=redact)
    if json:
        output.json_line(shape)
    else:
        output.pretty(shape)


def tail(*, json: Json = False) -> None:
    """Print events as they arrive, until Ctrl-C. While the store is away, wait for it."""
    following = EventTail(Context().archive)
    is_away = False
    while True:
        try:
            found = following.look()
            is_away = False
        except StorageUnavailable as error:
            if not is_away:
                output.warn(f"{error}; waiting for it")
            found, is_away = [], True
        for stored in found:
            if json:
                output.json_line(json_views.brief(stored, redact=False))
            else:
                output.say("  ".join(str(cell) for cell in _row(stored)))
        time.sleep(_PAUSE_S)


def _row(stored: StoredEvent) -> tuple[object, ...]:
    """One line of the table of events."""
    envelope = stored.envelope
    received = (timestamps.show(envelope.received_ms) or "")[5:19].replace("T", " ")
    status = Text(str(stored.status), style=_COLOURS.get(stored.status, ""))
    said = [_in_words(delivery) for delivery in stored.deliveries] + [f"{route}: shadow" for route in stored.shadow]
    deliveries = ", ".join(said) or stored.unreadable or envelope.quarantine or ""
    return (received, envelope.id, envelope.action, envelope.business_id, status, output.plain(deliveries))


def _in_words(delivery: StoredDelivery) -> str:
    error = f" ({delivery.error})" if delivery.error and delivery.status != "succeeded" else ""
    return f"{delivery.route}: {delivery.state or delivery.status}{error}"
