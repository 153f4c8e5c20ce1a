"""The requests in quarantine, and releasing them: one, or all that pass the current checks, counted first."""

from typing import Any, Final

from receiver.console.framework.bulk_tasks import Progress
from receiver.console.framework.page import Done, Facts, Operation, Page, PageRequest
from receiver.console.pages import dead, events
from receiver.console.selection import bulk_selection
from receiver.console.selection.bulk_selection import SelectionCount
from receiver.core.errors import EventUnknown, UsageError
from receiver.core.events import EventStatus
from receiver.core.sanitize import counted
from receiver.operations.search_query import SearchQuery
from receiver.storage.query.stored_event import StoredEvent


def facts(request: PageRequest) -> Facts:
    """A page of quarantined requests. Query: action, business, since, until, text, after (an id)."""
    return dead.listed(request, EventStatus.QUARANTINED) | {"progress": bulk_selection.progress(request)}


def counting(request: PageRequest) -> Facts:
    """Count the matching requests that a release would let pass. Query: as of the page of quarantine, and of
    `bulk_selection.so_far`."""
    passing = _count(request, _read_query(request), so_far=bulk_selection.so_far(request))
    return {
        "total": request.services.store_status.standing()[EventStatus.QUARANTINED],
        "passing": passing.events,
        "is_cut": passing.more is not None,
        "more": passing.more,
        "progress": bulk_selection.progress(request),
    }


def _count(request: PageRequest, what: SearchQuery, **bounds: Any) -> SelectionCount:
    tool = request.services.make_release(request.services.table())

    def weigh(stored: StoredEvent) -> int:
        return int(tool.would_pass(stored))

    return bulk_selection.count(request.services.archive, what, weigh, **bounds)


def release_one(request: PageRequest) -> Done:
    """Check one request again and let it pass."""
    stored = request.services.archive.get(request.path["event"])
    tool = request.services.make_release(request.services.table())
    request.record("release", event_id=stored.envelope.id)
    done = tool.run(stored)
    said = (
        f"It stays in quarantine: {done.reason}." if done.reason else f"Released: {counted(len(done.events), 'event')}."
    )
    return Done(said, f"/events/{stored.envelope.id}", {"events": list(done.events), "reason": done.reason})


def release_all(request: PageRequest) -> Done:
    """Check all matching requests again, oldest first. Form: the fields of the quarantine page."""
    what = _read_query(request)
    archive, tool = request.services.archive, request.services.make_release(request.services.table())

    def step(event_id: str) -> str:
        try:
            stored = archive.get(event_id)
        except EventUnknown:
            return "it is no longer stored"
        return tool.run(stored).reason or ""

    passing = _count(request, what, budget_s=bulk_selection.ACT_S).events
    request.record("release", requests=passing, **bulk_selection.audit_detail(what))
    # All of them are checked, so that those which stay say why they do today.
    progress = Progress("release", request.session.identity.name, passing, "requests")
    request.services.bulk.start(progress, bulk_selection.run_over(archive, what, step))
    return Done("The release has started.", "/quarantine", {"passing": passing})


def _read_query(request: PageRequest) -> SearchQuery:
    if (request.asked("status") or EventStatus.QUARANTINED) != EventStatus.QUARANTINED:
        raise UsageError("status: only quarantined requests can be released")
    return dead.query_for(request, EventStatus.QUARANTINED)


PAGE: Final = Page("/quarantine", "Quarantine", "quarantine.html", facts, dead.more, tables=events.TABLES)
RELEASE: Final = Page("/quarantine/release", "Release", "release.html", counting, dead.more, is_listed=False)
OPERATIONS: Final = (Operation("/events/{event}/release", release_one), Operation("/quarantine/release", release_all))
