"""Requests that were set aside, and releasing them: one, or all that pass today's check, counted first."""

from typing import Any, Final

from receiver.console.framework.bulk_tasks import Progress
from receiver.console.framework.page import Act, Done, Facts, Page
from receiver.console.framework.page_request import Visit
from receiver.console.pages import bulk_selection, dead
from receiver.console.pages.bulk_selection import Counted
from receiver.console.pages.search import Sought
from receiver.core.errors import EventUnknown, UsageError
from receiver.core.events import EventStatus
from receiver.core.sanitize import counted
from receiver.storage.query.stored_event import StoredEvent


def facts(visit: Visit) -> Facts:
    """A page of quarantined requests. Query: action, business, since, until, text, after (an id)."""
    return dead.listed(visit, EventStatus.QUARANTINED) | {"progress": bulk_selection.progress(visit)}


def counting(visit: Visit) -> Facts:
    """Count what a release of the requests asked for would let pass. Query: as of the page of quarantine, and of
    `crowd.so_far`."""
    passing = _count(visit, _sought(visit), so_far=bulk_selection.so_far(visit))
    return {
        "total": visit.desk.pulse.standing()[EventStatus.QUARANTINED],
        "passing": passing.events,
        "is_cut": passing.more is not None,
        "more": passing.more,
        "progress": bulk_selection.progress(visit),
    }


def _count(visit: Visit, what: Sought, **bounds: Any) -> Counted:
    tool = visit.desk.make_release(visit.desk.table())

    def weigh(stored: StoredEvent) -> int:
        return int(tool.would_pass(stored))

    return bulk_selection.count(visit.desk.archive, what, weigh, **bounds)


def release_one(visit: Visit) -> Done:
    """Check one request again and let it pass."""
    stored = visit.desk.archive.get(visit.path["event"])
    tool = visit.desk.make_release(visit.desk.table())
    visit.record("release", event_id=stored.envelope.id)
    done = tool.run(stored)
    said = f"It stays: {done.reason}." if done.reason else f"Released: {counted(len(done.events), 'event')}."
    return Done(said, f"/events/{stored.envelope.id}", {"events": list(done.events), "reason": done.reason})


def release_all(visit: Visit) -> Done:
    """Check all requests asked for again, oldest first. Form: as of the page of quarantine."""
    what = _sought(visit)
    archive, tool = visit.desk.archive, visit.desk.make_release(visit.desk.table())

    def step(event_id: str) -> str:
        try:
            stored = archive.get(event_id)
        except EventUnknown:
            return "it is not kept any more"
        return tool.run(stored).reason or ""

    passing = _count(visit, what, budget_s=bulk_selection.ACT_S).events
    visit.record("release", requests=passing, **bulk_selection.said(what))
    # All of them are checked, so that those which stay say why they do today.
    progress = Progress("release", visit.session.identity.name, passing, "requests")
    visit.desk.bulk.start(progress, bulk_selection.run_over(archive, what, step))
    return Done("The release has begun.", "/quarantine", {"passing": passing})


def _sought(visit: Visit) -> Sought:
    if (visit.asked("status") or EventStatus.QUARANTINED) != EventStatus.QUARANTINED:
        raise UsageError("status: only quarantined requests can be released")
    return dead.aside(visit, EventStatus.QUARANTINED)


PAGE: Final = Page("/quarantine", "Quarantine", "quarantine.html", facts, dead.more)
RELEASE: Final = Page("/quarantine/release", "Release", "release.html", counting, dead.more, is_listed=False)
ACTS: Final = (Act("/events/{event}/release", release_one), Act("/quarantine/release", release_all))
