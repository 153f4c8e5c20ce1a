"""Search for events: by the indexes of the store as far as they go, then by reading events, within bounds."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from receiver.console.framework.page import PageRequest
from receiver.core import ids, timestamps
from receiver.core.errors import RequestRefused, UsageError
from receiver.core.events import EventStatus
from receiver.operations.search_query import SearchQuery
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter, StoredEvent

ROWS: Final = 50
BUDGET_S: Final = 0.05
"""How long one search may look through events. When it is used up, the page says how far it came and goes on there."""

NAMES: Final = ("action", "business", "route", "status", "since", "until", "text")


@dataclass(frozen=True, slots=True)
class SearchResult:
    """*more*: the id to go on after, None when everything was looked at. *is_cut*: time was up before the page was
    full; *looked_at* events were gone through, the last of them received at *looked_back_to_ms*, and none left out."""

    events: tuple[StoredEvent, ...]
    more: str | None
    looked_at: int = 0
    is_cut: bool = False
    looked_back_to_ms: int | None = None


def read_query(request: PageRequest) -> SearchQuery:
    """Read a search from a query or a form. Only an admin may search for a text, and the audit log records it.

    Raises UsageError, RequestRefused, StorageUnavailable.
    """
    status = request.asked("status")
    if status is not None and status not in set(EventStatus):
        raise UsageError(f"status: {status!r} is not a status; the statuses are {', '.join(EventStatus)}")
    wanted = EventFilter(
        action=request.asked("action"),
        business_id=request.number("business"),
        route=request.asked("route"),
        status=EventStatus(status) if status else None,
        since_ms=timestamps.parse("since", request.asked("since")),
        until_ms=timestamps.parse("until", request.asked("until")),
    )
    return SearchQuery(wanted, _text(request))


def _text(request: PageRequest) -> str | None:
    """Return the text to search for. A search by text reveals what records hold, as showing them does."""
    text = request.asked("text")
    if text is not None:
        if not request.session.identity.may_act:
            raise RequestRefused(403, "text: only an admin may search for texts in records; ask for an admin token")
        request.record("search", by_text=True)
    return text


def cursor(request: PageRequest) -> str | None:
    """Return the id after which the page begins. Raises UsageError."""
    after = request.asked("after")
    if after is not None and not (after.isascii() and after.isalnum() and 20 <= len(after) <= 32):
        raise UsageError(f"after: {after!r} is not an event ID")
    return after


def find(
    archive: EventReader,
    what: SearchQuery,
    *,
    after: str | None = None,
    most: int = ROWS,
    budget_s: float = BUDGET_S,
    clock: Callable[[], float] = time.monotonic,
) -> SearchResult:
    """Return the newest matching events, at most *most*."""
    until = clock() + budget_s
    found: list[StoredEvent] = []
    looked_at = 0
    for step in what.steps(archive, after=after):
        found += step.events
        looked_at += step.looked_at
        if len(found) > most:
            return SearchResult(tuple(found[:most]), found[most - 1].envelope.id, looked_at)
        if clock() > until:
            reached_ms = ids.milliseconds_of(step.last)
            return SearchResult(tuple(found), step.last, looked_at, is_cut=True, looked_back_to_ms=reached_ms)
    return SearchResult(tuple(found), None, looked_at)
