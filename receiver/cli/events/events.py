"""`events`, `show`, `tail`: what came in, and what became of it."""

import time
from itertools import islice
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from receiver.cli.context import Context
from receiver.cli.ui import event_rows, output
from receiver.cli.ui.event_options import EVERYTHING, SelectionOptions
from receiver.core.errors import StorageUnavailable
from receiver.operations import json_views
from receiver.storage.query.event_tail import EventTail
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.shared.audit_log import AuditLog

_ROWS = 50
_PAUSE_S = 0.2

Json = Annotated[bool, Parameter(help="one JSON object per line")]
Limit = Annotated[int | None, Parameter(validator=Number(gte=1, lte=1_000_000_000))]


def events(*, which: SelectionOptions = EVERYTHING, limit: Limit = None, json: Json = False) -> None:
    """List events, newest first.

    Parameters
    ----------
    limit
        how many at most; by default 50 in a table, all with --json
    """
    wanted = which.wanted()
    archive = Context().archive
    if json:
        for stored in islice(archive.newest(wanted), limit):
            output.json_line(json_views.brief(stored, redact=False))
        return
    found = [event_rows.row(stored) for stored in islice(archive.newest(wanted), limit or _ROWS)]
    if not found:
        output.say("No events" + (" of that kind." if wanted != EventFilter() else " yet."))
        return
    output.table(event_rows.HEADINGS, found)


def show(event_id: Annotated[str, Parameter(name="ID")], /, *, redact: bool = False, json: Json = False) -> None:
    """Show one event: the record, how it was verified, its deliveries and every attempt.

    Who saw the texts of a record is kept (`frontdesk acts`), as for everybody who makes the console show them.

    Parameters
    ----------
    redact
        mask what the record and the errors of handlers say about people
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
    """Follow events as they are kept, until Ctrl-C. A store that goes away is waited for."""
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
                output.say("  ".join(str(cell) for cell in event_rows.row(stored)))
        time.sleep(_PAUSE_S)
