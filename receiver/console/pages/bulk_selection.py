"""Acts on all events that a filter leaves: what they have in common, whatever the act is."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any, Final

from receiver.console.framework.bulk_tasks import MOST, Count, Run, paced
from receiver.console.framework.page_request import Visit
from receiver.console.pages import search
from receiver.console.pages.search import Sought
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import StoredEvent

_AT_LEAST: Final = 16
"""Events that are counted between two looks at the clock: a busy machine, too, gets on by so many a page."""

ACT_S: Final = 1.0
"""How long an act counts what it is about to do, to say so. A page has less time, and goes on where it stopped."""


@dataclass(frozen=True, slots=True)
class Counted:
    """How many *events* an act would concern, and how much it would make of them (*weight*).

    *more*: time was up before all were counted; the id to go on after.
    """

    events: int
    weight: int
    more: str | None


def count(
    archive: EventReader,
    what: Sought,
    weigh: Callable[[StoredEvent], int],
    *,
    so_far: Counted | None = None,
    budget_s: float = search.BUDGET_S,
) -> Counted:
    """Count the events asked for that weigh something; at most MOST, and on from *so_far*."""
    until = time.monotonic() + budget_s
    begun = so_far or Counted(0, 0, None)
    events, weight = begun.events, begun.weight
    for step in what.steps(archive, after=begun.more):
        for number, stored in enumerate(step.events, 1):
            if one := weigh(stored):
                events, weight = events + 1, weight + one
            if number % _AT_LEAST == 0 and time.monotonic() > until and number < len(step.events):
                return Counted(events, weight, stored.envelope.id)
        if time.monotonic() > until or events >= MOST:
            return Counted(events, weight, step.last)
    return Counted(events, weight, None)


def so_far(visit: Visit) -> Counted:
    """Return what the pages before counted. Query: `after` (an id), `counted` and `weight`. Raises UsageError."""
    return Counted(visit.number("counted") or 0, visit.number("weight") or 0, search.cursor(visit))


def run_over(archive: EventReader, what: Sought, step: Callable[[str], str]) -> Run:
    """Return a run over the newest MOST events, the oldest first: what happened first is to be done first again."""

    def run(count: Count, stop: threading.Event) -> str:
        found = _oldest_first(archive, what)
        count.expect(len(found))
        return paced(iter(found), step)(count, stop)

    return run


def _oldest_first(archive: EventReader, what: Sought) -> list[str]:
    found: list[str] = []
    for step in what.steps(archive):
        found += [stored.envelope.id for stored in step.events]
        if len(found) >= MOST:
            break
    return found[:MOST][::-1]


def said(what: Sought) -> dict[str, object]:
    """What the record of acts says of a filter: never the text, which may be somebody's name."""
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


def progress(visit: Visit) -> dict[str, Any] | None:
    """How far the run of this console is, or how far the last one got."""
    now = visit.desk.bulk.progress
    return asdict(now) if now else None
