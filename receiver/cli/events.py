"""`events`, `show`, `tail`: what came in, and what became of it."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Annotated

from cyclopts import Parameter

from receiver.cli import moments, output, shapes
from receiver.cli.context import Context
from receiver.errors import UsageError
from receiver.events import EventStatus
from receiver.storage.archive import Archive, Filter, Stored

_ROWS = 50
_PAUSE_S = 0.2

Json = Annotated[bool, Parameter(help="one JSON object per line")]


def filtered(
    action: str | None,
    business: int | None,
    route: str | None,
    status: str | None,
    since: str | None,
    until: str | None,
) -> Filter:
    """Return the filter that these options ask for. Raises UsageError."""
    if status is not None and status not in set(EventStatus):
        raise UsageError(f"--status: {status!r} is no status; the statuses are {', '.join(EventStatus)}")
    return Filter(
        action=action,
        business_id=business,
        route=route,
        status=EventStatus(status) if status else None,
        since_ms=moments.parse("--since", since),
        until_ms=moments.parse("--until", until),
    )


def events(
    *,
    action: str | None = None,
    business: int | None = None,
    route: str | None = None,
    status: str | None = None,
    since: str | None = None,
    until: str | None = None,
    limit: int | None = None,
    json: Json = False,
) -> None:
    """List events, newest first.

    Parameters
    ----------
    status
        quarantined, unrouted, in_flight, dead, succeeded, discarded or expired
    since
        a time (2026-05-01T12:00:00Z) or how long ago (2h)
    until
        as --since
    limit
        how many at most; by default 50 in a table, all with --json
    """
    wanted = filtered(action, business, route, status, since, until)
    archive = Context().archive
    if json:
        for stored in islice(archive.newest(wanted), limit):
            output.json_line(shapes.brief(stored))
        return
    rows = [shapes.row(stored) for stored in islice(archive.newest(wanted), limit or _ROWS)]
    if not rows:
        output.say("No events" + (" of that kind." if wanted != Filter() else " yet."))
        return
    output.table(shapes.HEADINGS, rows)


def show(event_id: Annotated[str, Parameter(name="ID")], /, *, redact: bool = False, json: Json = False) -> None:
    """Show one event: the record, how it was verified, its deliveries and every attempt.

    Parameters
    ----------
    redact
        replace every text of the record by its length
    """
    shape = shapes.full(Context().archive.get(event_id), redact=redact)
    if json:
        output.json_line(shape)
    else:
        output.pretty(shape)


def tail(*, json: Json = False) -> None:
    """Follow events as they are kept, until Ctrl-C."""
    for stored in _follow(Context().archive):
        if json:
            output.json_line(shapes.brief(stored))
        else:
            output.say("  ".join(str(cell) for cell in shapes.row(stored)))


def _follow(archive: Archive) -> Iterator[Stored]:
    """Yield events as they are kept. Two hours are looked at, because a batch may be kept just after its hour."""
    hour = int(time.time() // 3_600)
    seen = {hour: archive.hour_length(hour)}
    while True:
        hour = int(time.time() // 3_600)
        seen = {one: seen.get(one, 0) for one in (hour - 1, hour) if one == hour or one in seen}
        for one in seen:
            page = archive.hour_page(one, seen[one])
            seen[one] += len(page)
            yield from archive.many(page)
        time.sleep(_PAUSE_S)
