"""Replays many events: they are counted first, then replayed at a limited rate while the page shows the progress."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from receiver.console.framework.bulk_tasks import MOST, Progress
from receiver.console.framework.page import Done, Facts, Operation, Page, PageRequest
from receiver.console.selection import bulk_selection, event_search
from receiver.console.selection.bulk_selection import SelectionCount
from receiver.core.errors import EventUnknown, UsageError
from receiver.core.events import EventStatus
from receiver.operations.replay import Replay
from receiver.operations.search_query import SearchQuery


def facts(request: PageRequest) -> Facts:
    """Count what a replay of the matching events would do. Query: that of the list of events, `counted`, `weight`."""
    what = _read_query(request)
    counted = _count(request, what, so_far=bulk_selection.so_far(request))
    return {
        "events": counted.events,
        "deliveries": counted.weight,
        "is_cut": counted.more is not None,
        "more": counted.more,
        "progress": bulk_selection.progress(request),
    }


def _count(request: PageRequest, what: SearchQuery, **bounds: Any) -> SelectionCount:
    tool = _tool(request, what)
    return bulk_selection.count(request.services.archive, what, lambda stored: len(tool.routes(stored)), **bounds)


def more(request: PageRequest, values: Facts) -> Mapping[str, Any]:
    """What the form repeats."""
    asked = {name: value for name in event_search.NAMES if (value := request.asked(name))}
    return {"asked": asked, "query": urlencode(asked), "most": MOST}


def start(request: PageRequest) -> Done:
    """Replay them, oldest first. Form: as of the list of events."""
    what = _read_query(request)
    tool = _tool(request, what)
    archive = request.services.archive

    def step(event_id: str) -> str:
        try:
            return tool.run(archive.get(event_id)).reason or ""
        except EventUnknown:
            return "it is no longer stored"

    counted = _count(request, what, budget_s=bulk_selection.ACT_S)
    request.record("replay", events=counted.events, **bulk_selection.audit_detail(what))
    progress = Progress("replay", request.session.identity.name, counted.events)
    request.services.bulk.start(progress, bulk_selection.run_over(archive, what, step))
    return Done("The replay has started.", "/dead", {"events": counted.events, "deliveries": counted.weight})


def stop(request: PageRequest) -> Done:
    """Stop the run; what it has done stays done."""
    request.record("bulk.stop")
    request.services.bulk.stop()
    return Done(
        "The run was stopped. What it has done stays done.", "/dead", {"progress": bulk_selection.progress(request)}
    )


def _read_query(request: PageRequest) -> SearchQuery:
    what = event_search.read_query(request)
    if what.is_everything:
        raise UsageError("replay: choose events by a status, a route, a time or another filter")
    return what


def _tool(request: PageRequest, what: SearchQuery) -> Replay:
    only_dead = what.wanted.status == EventStatus.DEAD
    return request.services.make_replay(request.services.table(), route=what.wanted.route, only_dead=only_dead)


PAGE: Final = Page("/replay", "Replay", "replay.html", facts, more, is_listed=False)
OPERATIONS: Final = (Operation("/replay", start), Operation("/stop", stop))
