"""Acts on all events that a filter leaves: what they have in common, whatever the act is."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any, Final

from receiver.console.bulk import MOST
from receiver.console.search import Sought
from receiver.console.visit import Visit
from receiver.storage.archive import Archive, Stored

_COUNT_S: Final = 1.0


@dataclass(frozen=True, slots=True)
class Counted:
    """How many *events* an act would concern, and how much it would make of them (*weight*).

    *is_cut*: time was up before all were counted; there may be more.
    """

    events: int
    weight: int
    is_cut: bool


def count(archive: Archive, what: Sought, weigh: Callable[[Stored], int]) -> Counted:
    """Count the events asked for that weigh something."""
    until = time.monotonic() + _COUNT_S
    events = weight = 0
    for step in what.steps(archive):
        for stored in step.events:
            if one := weigh(stored):
                events, weight = events + 1, weight + one
        if time.monotonic() > until or events >= MOST:
            return Counted(events, weight, is_cut=True)
    return Counted(events, weight, is_cut=False)


def oldest_first(archive: Archive, what: Sought) -> Iterator[str]:
    """Yield ids, those of the newest MOST events, the oldest first: what happened first is to be done first again."""
    found: list[str] = []
    for step in what.steps(archive):
        found += [stored.envelope.id for stored in step.events]
        if len(found) >= MOST:
            break
    yield from reversed(found[:MOST])


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
