"""`events`, `show`, `tail`: what came in, and what became of it."""

import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import Annotated, Final

from cyclopts import Parameter
from cyclopts.validators import Number
from rich.text import Text

from receiver.cli.context import Context
from receiver.cli.events import export as files
from receiver.cli.ui import output
from receiver.cli.ui.event_options import EVERYTHING, MOST, EventSelection, SelectionOptions
from receiver.core import ids, timestamps
from receiver.core.errors import StorageUnavailable, UsageError
from receiver.core.events import EventStatus
from receiver.core.sanitize import counted
from receiver.operations import json_views, record_diff
from receiver.operations.record_diff import FieldChange
from receiver.operations.search_query import SearchQuery
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.event_tail import EventTail
from receiver.storage.query.stored_event import StoredDelivery, StoredEvent
from receiver.storage.shared.audit_log import AuditLog

_HEADINGS = ("received", "id", "action", "business", "name", "status", "deliveries")

_COLOURS = {
    EventStatus.SUCCEEDED: "green",
    EventStatus.DEAD: "bold red",
    EventStatus.QUARANTINED: "bold yellow",
    EventStatus.UNROUTED: "yellow",
    EventStatus.IN_FLIGHT: "cyan",
}

_ROWS = 50
_PAUSE_S = 0.2
_LONGEST_TEXT = 300
_ENTITY: Final = re.compile(r"[A-Za-z]{1,60}:-?\d{1,19}", re.ASCII)
_ID: Final = re.compile(r"[0-9a-z]{20,32}", re.ASCII)

Json = Annotated[bool, Parameter(help="one JSON object per line")]
Limit = Annotated[int | None, Parameter(validator=Number(gte=1, lte=1_000_000_000))]


def events(
    *,
    which: SelectionOptions = EVERYTHING,
    entity: str | None = None,
    text: str | None = None,
    after: str | None = None,
    limit: Limit = None,
    full: bool = False,
    export: Annotated[Path | None, Parameter(name="--export")] = None,
    json: Json = False,
) -> None:
    """List events, newest first.

    Parameters
    ----------
    entity
        only events of one record, such as Booking:123; the table says what changed from one to the next
    text
        only events whose record contains this text; the audit log records that somebody searched
    after
        go on after the event with this id
    limit
        the most events to list; by default 50 in a table, all with --json and --export
    full
        with --json: records, how they were verified, and all attempts; the audit log records it
    export
        write the events with their records into this new file, .jsonl or .csv; the audit log records it
    """
    query = _query(which, entity, text, after)
    if full and not json:
        raise UsageError("events --full needs --json")
    if export is not None:
        files.check(export)
    context = Context()
    if text is not None or full or export is not None:
        what = "export" if full or export is not None else "search"
        AuditLog(context.client).record(what, by_text=True if text else None, **which.told())
    _list(EventSearch(context.archive, query, after), limit, context.names, full=full, export=export, json=json)


def _list(
    search: "EventSearch", limit: int | None, names: Mapping[int, str], *, full: bool, export: Path | None, json: bool
) -> None:
    if export is not None:
        number = files.write(export, islice(search, limit), names)
        output.say(f"{counted(number, 'event')} written to {export}.")
    elif json:
        for stored in islice(search, limit):
            view = json_views.full if full else json_views.brief
            output.json_line(view(stored, redact=False, names=names))
    else:
        _table(list(islice(search, limit or _ROWS)), search.query, names)
    if search.stopped_at:
        output.warn(f"searched back to {search.stopped_at}; go on with --after {search.last}")


def _query(which: EventSelection, entity: str | None, text: str | None, after: str | None) -> SearchQuery:
    if entity is not None and not _ENTITY.fullmatch(entity):
        raise UsageError(f"--entity: {entity[:80]!r} is not a record; write its kind and its Id, as in Booking:123")
    if text is not None and not 0 < len(text) <= _LONGEST_TEXT:
        raise UsageError(f"--text: give 1 to {_LONGEST_TEXT} characters")
    if after is not None and not _ID.fullmatch(after):
        raise UsageError(f"--after: {after[:40]!r} is not the id of an event")
    return SearchQuery(replace(which.wanted(), entity=entity), text)


def _table(found: list[StoredEvent], query: SearchQuery, names: Mapping[int, str]) -> None:
    if not found:
        output.say("No events" + (" yet." if query.is_everything else " of that kind."))
    elif query.wanted.entity is not None:
        told = record_diff.story(found, redact=True)
        rows = [(*_row(stored, names)[:-1], _changed(changes), _row(stored, names)[-1]) for stored, changes in told]
        output.table((*_HEADINGS[:-1], "changed", _HEADINGS[-1]), rows)
    else:
        output.table(_HEADINGS, [_row(stored, names) for stored in found])


def _changed(changes: list[FieldChange] | None) -> str:
    return "" if changes is None else ", ".join(one.name for one in changes) or "nothing"


class EventSearch:
    """Yields the events that a search finds, looking through a bounded number of them.

    *stopped_at*: it ended there although older events are left; then *last* is the id to go on after.
    """

    def __init__(self, archive: EventReader, query: SearchQuery, after: str | None) -> None:
        self.query = query
        self._steps = query.steps(archive, after=after)
        self.stopped_at: str | None = None
        self.last = ""

    def __iter__(self) -> Iterator[StoredEvent]:
        looked_at = 0
        for step in self._steps:
            yield from step.events
            looked_at += step.looked_at
            if looked_at >= MOST:
                self.last, self.stopped_at = step.last, timestamps.show(ids.milliseconds_of(step.last))
                return


def show(
    event_id: Annotated[str, Parameter(name="ID", help="its id")], /, *, redact: bool = False, json: Json = False
) -> None:
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
    shape = json_views.full(stored, redact=redact, names=context.names)
    if json:
        output.json_line(shape)
    else:
        output.pretty(shape)


def tail(*, json: Json = False) -> None:
    """Print events as they arrive, until Ctrl-C. While the store is away, wait for it."""
    context = Context()
    following = EventTail(context.archive)
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
                output.json_line(json_views.brief(stored, redact=False, names=context.names))
            else:
                output.say("  ".join(str(cell) for cell in _row(stored, context.names) if cell != ""))
        time.sleep(_PAUSE_S)


def _row(stored: StoredEvent, names: Mapping[int, str]) -> tuple[object, ...]:
    """One line of the table of events."""
    envelope = stored.envelope
    received = (timestamps.show(envelope.received_ms) or "")[5:19].replace("T", " ")
    status = Text(str(stored.status), style=_COLOURS.get(stored.status, ""))
    said = [_in_words(delivery) for delivery in stored.deliveries] + [f"{route}: shadow" for route in stored.shadow]
    deliveries = ", ".join(said) or stored.unreadable or envelope.quarantine or ""
    place = (envelope.business_id, names.get(envelope.business_id, ""))
    return (received, envelope.id, envelope.action, *place, status, output.plain(deliveries))


def _in_words(delivery: StoredDelivery) -> str:
    error = f" ({delivery.error})" if delivery.error and delivery.status != "succeeded" else ""
    at = f" at {timestamps.show(delivery.next_attempt_ms)}" if delivery.next_attempt_ms else ""
    return f"{delivery.route}: {delivery.state or delivery.status}{at}{error}"
