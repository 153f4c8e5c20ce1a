"""What replaying and releasing all matching events have in common."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from receiver.console.framework.bulk_tasks import MOST, ProgressReport, Run, paced
from receiver.console.framework.page import PageRequest
from receiver.console.selection import event_search
from receiver.operations.search_query import SearchQuery
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import StoredEvent

_AT_LEAST: Final = 16
"""Events that are counted between two looks at the clock: a busy machine, too, gets on by so many a page."""

ACT_S: Final = 1.0
"""How long an act counts what it is about to do, to say so. A page has less time, and goes on where it stopped."""


@dataclass(frozen=True, slots=True)
class SelectionCount:
    """How many *events* an act would concern, and how much it would make of them (*weight*).

    *more*: time was up before all were counted; the id to go on after.
    """

    events: int
    weight: int
    more: str | None


def count(
    archive: EventReader,
    what: SearchQuery,
    weigh: Callable[[StoredEvent], int],
    *,
    so_far: SelectionCount | None = None,
    budget_s: float = event_search.BUDGET_S,
) -> SelectionCount:
    """Count the matching events with a weight above 0, at most MOST, going on from *so_far*."""
    until = time.monotonic() + budget_s
    begun = so_far or SelectionCount(0, 0, None)
    events, weight = begun.events, begun.weight
    for step in what.steps(archive, after=begun.more):
        for number, stored in enumerate(step.events, 1):
            if one := weigh(stored):
                events, weight = events + 1, weight + one
            if number % _AT_LEAST == 0 and time.monotonic() > until and number < len(step.events):
                return SelectionCount(events, weight, stored.envelope.id)
        if time.monotonic() > until or events >= MOST:
            return SelectionCount(events, weight, step.last)
    return SelectionCount(events, weight, None)


def so_far(request: PageRequest) -> SelectionCount:
    """Return what the previous pages counted. Query: `after` (an id), `counted` and `weight`. Raises UsageError."""
    return SelectionCount(request.number("counted") or 0, request.number("weight") or 0, event_search.cursor(request))


def run_over(archive: EventReader, what: SearchQuery, step: Callable[[str], str]) -> Run:
    """Return a run over the newest MOST events, oldest first, so that they are handled in their first order again."""

    def run(count: ProgressReport, stop: threading.Event) -> str:
        found = _oldest_first(archive, what)
        count.expect(len(found))
        return paced(iter(found), step)(count, stop)

    return run


def _oldest_first(archive: EventReader, what: SearchQuery) -> list[str]:
    found: list[str] = []
    for step in what.steps(archive):
        found += [stored.envelope.id for stored in step.events]
        if len(found) >= MOST:
            break
    return found[:MOST][::-1]


def audit_detail(what: SearchQuery) -> dict[str, object]:
    """What the audit log says about a search: never the text, which may be somebody's name."""
    wanted = what.wanted
    return {
        "action": wanted.action,
        "business": wanted.business_id,
        "route": wanted.route,
        "status": str(wanted.status) if wanted.status else None,
        "since_ms": wanted.since_ms,
        "until_ms": wanted.until_ms,
        "by_text": True if what.text else None,
    }


def progress(request: PageRequest) -> dict[str, Any] | None:
    """The progress of the run of this console, or of the last one."""
    now = request.services.bulk.progress
    return asdict(now) if now else None
