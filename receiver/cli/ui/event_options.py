"""Which events a command is about: the options that say so, and the events that they choose, read in pages."""

import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Annotated, Any

from cyclopts import Parameter

from receiver.cli.ui import output, terminal
from receiver.core import timestamps
from receiver.core.errors import UsageError
from receiver.core.events import EventStatus
from receiver.core.suggest import hint
from receiver.nexudus.actions import CODES
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter, StoredEvent


@dataclass(frozen=True, kw_only=True)
class Origin:
    """Where and when events came in.

    Parameters
    ----------
    action
        only events of this action, such as BookingCreate
    business
        only events of this location
    since
        a time (2026-05-01T12:00:00Z), a date (2026-05-01, 20260501), or an age with its unit (2h)
    until
        as --since; events of exactly that moment are left out
    """

    action: str | None = None
    business: int | None = None
    since: str | None = None
    until: str | None = None

    def told(self) -> dict[str, Any]:
        """The options that were given."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def filter(self, *, route: str | None = None, status: EventStatus | None = None) -> EventFilter:
        """Return the filter. Raises UsageError.

        An unknown action is only warned of: Nexudus may have added it, and its events are kept.
        """
        if self.action is not None and self.action not in CODES:
            output.warn(f"--action: {self.action[:60]!r} is not a known action{hint(self.action, CODES)}")
        since_ms, until_ms = timestamps.parse("--since", self.since), timestamps.parse("--until", self.until)
        if since_ms is not None and until_ms is not None and since_ms >= until_ms:
            raise UsageError(f"--since: {self.since} is not before --until {self.until}")
        return EventFilter(
            action=self.action,
            business_id=self.business,
            route=route,
            status=status,
            since_ms=since_ms,
            until_ms=until_ms,
        )


@dataclass(frozen=True, kw_only=True)
class EventSelection(Origin):
    """Where and when events came in, their route, and their status.

    Parameters
    ----------
    route
        only events with a delivery by this route
    status
        quarantined, unrouted, in_flight, dead, succeeded, discarded or expired
    """

    route: str | None = None
    status: str | None = None

    def wanted(self) -> EventFilter:
        """Return what is asked for. Raises UsageError."""
        if self.status is not None and self.status not in set(EventStatus):
            raise UsageError(f"--status: {self.status!r} is not a status; the statuses are {', '.join(EventStatus)}")
        return self.filter(route=self.route, status=EventStatus(self.status) if self.status else None)


Flat = Parameter(name="*")
"""Spreads the fields of a dataclass over options of their own names."""

SelectionOptions = Annotated[EventSelection, Flat]
OriginOptions = Annotated[Origin, Flat]

EVERYTHING = EventSelection()
ANYWHERE = Origin()

MOST = 1_000_000
"""Events that one command takes at most; an id takes about 70 bytes."""

_PAGE = 200


def chosen(archive: EventReader, event_ids: Sequence[str], wanted: EventFilter) -> list[str]:
    """Return the ids given, or those of the newest events that match the filter. Raises EventUnknown.

    The oldest comes first, so that events are handled again in their order.
    """
    if event_ids:
        return [archive.get(event_id).envelope.id for event_id in dict.fromkeys(event_ids)]
    return [stored.envelope.id for stored in islice(archive.newest(wanted), MOST)][::-1]


def read(archive: EventReader, event_ids: Sequence[str]) -> Iterator[StoredEvent]:
    """Yield the events that are still kept, as they are now."""
    for start in range(0, len(event_ids), _PAGE):
        yield from archive.many(event_ids[start : start + _PAGE])


def paced(
    archive: EventReader, event_ids: Sequence[str], label: str, *, rate: float | None = None, shown: bool = True
) -> Iterator[StoredEvent]:
    """Yield the events under a progress bar, at most *rate* a second."""
    began = time.monotonic()
    with terminal.bar(label, lambda: len(event_ids), shown=shown) as advance:
        for number, stored in enumerate(read(archive, event_ids)):
            early = began + number / rate - time.monotonic() if rate else 0
            if early > 0:
                time.sleep(early)
            yield stored
            advance(1)
