"""Replaying many events: counted first, then done at a bounded rate while the page shows how far it is."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import Any, Final
from urllib.parse import urlencode

from receiver.console import search
from receiver.console.bulk import MOST, Progress
from receiver.console.pages import Act, Done, Facts, Page
from receiver.console.search import Sought
from receiver.console.visit import Visit
from receiver.errors import EventUnknown, UsageError
from receiver.events import EventStatus
from receiver.replay import Replay
from receiver.storage.archive import Archive

_COUNT_S: Final = 1.0


def facts(visit: Visit) -> Facts:
    """Count what a replay of the events asked for would do. Query: as of the list of events."""
    what = _sought(visit)
    tool = _tool(visit, what)
    until = time.monotonic() + _COUNT_S
    events = deliveries = 0
    is_cut = False
    for stored in visit.desk.archive.newest(what.indexed):
        if what.wants(stored):
            made = len(tool.routes(stored))
            events, deliveries = events + bool(made), deliveries + made
        if time.monotonic() > until or events >= MOST:
            is_cut = True
            break
    return {"events": events, "deliveries": deliveries, "is_cut": is_cut, "progress": progress(visit)}


def more(visit: Visit, told: Facts) -> Mapping[str, Any]:
    """What the form repeats."""
    asked = {name: value for name in search.NAMES if (value := visit.asked(name))}
    return {"asked": asked, "query": urlencode(asked), "most": MOST}


def start(visit: Visit) -> Done:
    """Replay them, oldest first: what happened first is handled first again. Form: as of the list of events."""
    what = _sought(visit)
    tool = _tool(visit, what)
    archive = visit.desk.archive

    def step(event_id: str) -> tuple[int, str]:
        try:
            done = tool.run(archive.get(event_id))
        except EventUnknown:
            return 0, "it is not kept any more"
        return len(done.deliveries), done.reason or ""

    counted = facts(visit)
    visit.record("replay.many", **_said(what), events=counted["events"])
    who = visit.session.identity.name
    visit.desk.bulk.start(Progress("replay", who, counted["events"]), _oldest_first(archive, what), step)
    return Done("The replay has begun.", "/dead", {"events": counted["events"], "deliveries": counted["deliveries"]})


def stop(visit: Visit) -> Done:
    """Stop the run that goes on; what was done stays done."""
    visit.record("bulk.stop")
    visit.desk.bulk.stop()
    return Done("It is stopped; what was done stays done.", "/dead", {"progress": progress(visit)})


def progress(visit: Visit) -> dict[str, Any] | None:
    """How far the run of this console is, or the last one got."""
    now = visit.desk.bulk.progress
    return asdict(now) if now else None


def _sought(visit: Visit) -> Sought:
    what = search.sought(visit)
    if what.is_everything:
        raise UsageError("replay: say which events: a status, a route, a time, or anything else that narrows them")
    return what


def _tool(visit: Visit, what: Sought) -> Replay:
    only_dead = what.wanted.status == EventStatus.DEAD
    return visit.desk.make_replay(visit.desk.table(), route=what.wanted.route, only_dead=only_dead)


def _oldest_first(archive: Archive, what: Sought) -> Iterator[str]:
    """Yield ids. What comes in later than now is not asked for: what is replayed must not be found again."""
    found: list[str] = []
    for stored in archive.newest(what.indexed):
        if what.wants(stored):
            found.append(stored.envelope.id)
        if len(found) >= MOST:
            break
    yield from reversed(found)


def _said(what: Sought) -> dict[str, object]:
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


PAGE: Final = Page("/replay", "Replay", "replay.html", facts, more, is_listed=False)
ACTS: Final = (Act("/replay", start), Act("/replay/stop", stop))
