"""Replaying many events: counted first, then done at a bounded rate while the page shows how far it is."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from receiver.console.framework.bulk_tasks import MOST, Progress
from receiver.console.framework.page import Act, Done, Facts, Page
from receiver.console.framework.page_request import Visit
from receiver.console.pages import bulk_selection, search
from receiver.console.pages.bulk_selection import Counted
from receiver.console.pages.search import Sought
from receiver.core.errors import EventUnknown, UsageError
from receiver.core.events import EventStatus
from receiver.operations.replay import Replay


def facts(visit: Visit) -> Facts:
    """Count what a replay of the events asked for would do. Query: as of the list of events, and of `crowd.so_far`."""
    what = _sought(visit)
    counted = _count(visit, what, so_far=bulk_selection.so_far(visit))
    return {
        "events": counted.events,
        "deliveries": counted.weight,
        "is_cut": counted.more is not None,
        "more": counted.more,
        "progress": bulk_selection.progress(visit),
    }


def _count(visit: Visit, what: Sought, **bounds: Any) -> Counted:
    tool = _tool(visit, what)
    return bulk_selection.count(visit.desk.archive, what, lambda stored: len(tool.routes(stored)), **bounds)


def more(visit: Visit, told: Facts) -> Mapping[str, Any]:
    """What the form repeats."""
    asked = {name: value for name in search.NAMES if (value := visit.asked(name))}
    return {"asked": asked, "query": urlencode(asked), "most": MOST}


def start(visit: Visit) -> Done:
    """Replay them, oldest first. Form: as of the list of events."""
    what = _sought(visit)
    tool = _tool(visit, what)
    archive = visit.desk.archive

    def step(event_id: str) -> str:
        try:
            return tool.run(archive.get(event_id)).reason or ""
        except EventUnknown:
            return "it is not kept any more"

    counted = _count(visit, what, budget_s=bulk_selection.ACT_S)
    visit.record("replay", events=counted.events, **bulk_selection.said(what))
    progress = Progress("replay", visit.session.identity.name, counted.events)
    visit.desk.bulk.start(progress, bulk_selection.run_over(archive, what, step))
    return Done("The replay has begun.", "/dead", {"events": counted.events, "deliveries": counted.weight})


def stop(visit: Visit) -> Done:
    """Stop the run that goes on; what was done stays done."""
    visit.record("bulk.stop")
    visit.desk.bulk.stop()
    return Done("It is stopped; what was done stays done.", "/dead", {"progress": bulk_selection.progress(visit)})


def _sought(visit: Visit) -> Sought:
    what = search.sought(visit)
    if what.is_everything:
        raise UsageError("replay: say which events: a status, a route, a time, or anything else that narrows them")
    return what


def _tool(visit: Visit, what: Sought) -> Replay:
    only_dead = what.wanted.status == EventStatus.DEAD
    return visit.desk.make_replay(visit.desk.table(), route=what.wanted.route, only_dead=only_dead)


PAGE: Final = Page("/replay", "Replay", "replay.html", facts, more, is_listed=False)
ACTS: Final = (Act("/replay", start), Act("/stop", stop))
