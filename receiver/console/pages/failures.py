"""Failures in groups: what is wrong, since when, what changed before; acknowledge, snooze, replay."""

from collections.abc import Mapping
from typing import Any, Final

from receiver.console.framework.bulk_tasks import Progress, ProgressReport, Run, paced
from receiver.console.framework.page import Done, Facts, Operation, Page, PageRequest
from receiver.console.pages import events
from receiver.console.selection import bulk_selection
from receiver.core import durations
from receiver.core.errors import EventUnknown, RequestRefused, UsageError
from receiver.core.sanitize import counted
from receiver.failures.failure_groups import SEVERAL
from receiver.failures.failure_records import FailureGroup
from receiver.operations import failure_views, json_views
from receiver.operations.group_replay import GroupReplay
from receiver.operations.replay import Replayed
from receiver.routing.table import RoutingTable

STATUSES: Final = ("open", "acknowledged", "snoozed", "closed")
SNOOZES: Final = ("1h", "4h", "1d", "7d")

ROWS: Final = 100
"""Groups that a page shows; programs get all of them."""

_LONGEST_SNOOZE_MS: Final = 30 * 86_400_000


def facts(request: PageRequest) -> Facts:
    """All groups. Query: route, status, sort (count, first, last, route or status; a leading minus reverses it)."""
    now_ms = request.services.store_status.now_ms()
    summary = request.services.failures.latest()
    route, status = request.asked("route"), request.asked("status")
    shapes = [failure_views.shape(one, now_ms) for one in summary.groups if route in (None, one.route)]
    shown = [one for one in shapes if status in (None, one["status"])]
    shown.sort(key=lambda one: one["count"], reverse=True)
    return {
        "groups": PAGE.sorting(request).rows("groups", shown),
        "open": sum(one["status"] == "open" for one in shapes),
        "sort": request.asked("sort") or "count",
        "is_cut": summary.is_cut,
        "found_ms": summary.at_ms,
        "progress": bulk_selection.progress(request),
    }


def more(request: PageRequest, values: Facts) -> Mapping[str, Any]:
    """What the form and the links need."""
    asked = {name: value for name in ("route", "status") if (value := request.asked(name))}
    return {
        "asked": asked,
        "statuses": STATUSES,
        "route_names": events.route_names(request),
        "most": ROWS,
        "now_ms": request.services.store_status.now_ms(),
    }


def one_group(request: PageRequest) -> Facts:
    """One group, with the error of its sample and what changed before; of errors a viewer sees no message.

    Query: `tried`, the id of an event that somebody tried: what became of it.
    """
    now_ms = request.services.store_status.now_ms()
    group = _known(request.services.failures.group(request.path["group"]))
    return failure_views.shape(group, now_ms) | {
        "excerpt": _excerpt(request, group),
        "tried": _tried(request, group),
        "changes": [failure_views.change(one) for one in request.services.changes(group)] if group.count else [],
        "progress": bulk_selection.progress(request),
    }


def more_of_one(request: PageRequest, values: Facts) -> Mapping[str, Any]:
    """What only the page needs."""
    return {"now_ms": request.services.store_status.now_ms(), "snoozes": SNOOZES, "steps": values["trend"]}


def acknowledge(request: PageRequest) -> Done:
    """Say that a group is known. Form: reason."""
    group, reason = _group(request), request.asked("reason") or ""
    said = request.services.failures.ledger.acknowledge(group.id, request.session.identity.name, reason)
    request.record("failures.acknowledge", group=group.id, route=group.route, reason=said.said and said.said.reason)
    return Done("The group is acknowledged: its alert ends.", f"/failures/{group.id}", {"status": "acknowledged"})


def snooze(request: PageRequest) -> Done:
    """Leave a group alone for a while. Form: reason, for (a duration)."""
    group, written = _group(request), request.asked("for") or SNOOZES[0]
    try:
        for_ms = durations.parse(written)
    except ValueError as error:
        raise UsageError(f"for: {error}") from None
    if not 0 < for_ms <= _LONGEST_SNOOZE_MS:
        raise UsageError("for: a group is snoozed for at most 30 days")
    ledger, who = request.services.failures.ledger, request.session.identity.name
    said = ledger.snooze(group.id, who, request.asked("reason") or "", for_ms)
    request.record("failures.snooze", group=group.id, route=group.route, reason=said.said and said.said.reason)
    return Done(f"The group is snoozed for {durations.show(for_ms)}.", f"/failures/{group.id}", {"status": "snoozed"})


def replay(request: PageRequest) -> Done:
    """Replay the dead deliveries of a group, the oldest events first. Form: `most`, how many events; else all."""
    group, most = _group(request), request.number("most")
    if not group.dead:
        raise UsageError(f"group {group.id} has no dead deliveries to replay")
    table = request.services.table()
    number = min(group.dead, most or group.dead)
    request.record("replay", group=group.id, route=group.route, events=number)
    progress = Progress("replay", request.session.identity.name, number)
    request.services.bulk.start(progress, _run(request, group, most, table))
    return Done(f"The replay of {counted(number, 'event')} has started.", f"/failures/{group.id}", {"events": number})


def try_one(request: PageRequest) -> Done:
    """Replay one dead delivery now, that of the sample if it is dead, to see whether the cause is gone."""
    group = _group(request)
    tool = _tool(request, group, request.services.table())
    if not tool.event_ids:
        raise UsageError(f"group {group.id} has no dead deliveries to try")
    event_id = group.sample if group.sample in tool.event_ids else tool.event_ids[-1]
    stored = request.services.archive.get(event_id)
    request.record("replay", group=group.id, route=group.route, event_id=event_id)
    done = tool.run(stored)
    said = f"Nothing was tried: {done.reason}." if done.reason else "One delivery runs again; its outcome is below."
    facts = {"tried": event_id, "deliveries": list(done.deliveries), "reason": done.reason}
    return Done(said, f"/failures/{group.id}?tried={event_id}", facts)


def _tool(request: PageRequest, group: FailureGroup, table: RoutingTable) -> GroupReplay:
    services = request.services
    services.failures.ledger.refresh()  # another process may have found the group
    return GroupReplay(
        services.failures.ledger.members(group.id),
        lambda route: services.make_replay(table, route=route, only_dead=True),
    )


def _run(request: PageRequest, group: FailureGroup, most: int | None, table: RoutingTable) -> Run:
    services = request.services

    def run(count: ProgressReport, stop: Any) -> str:
        tool = _tool(request, group, table)
        ids = tool.event_ids[:most]
        count.expect(len(ids))

        def step(event_id: str) -> str:
            try:
                done: Replayed = tool.run(services.archive.get(event_id))
            except EventUnknown:
                return "it is no longer stored"
            return done.reason or ""

        return paced(iter(ids), step)(count, stop)

    return run


def _group(request: PageRequest) -> FailureGroup:
    return _known(request.services.failures.ledger.group(request.path["group"]))


def _known(group: FailureGroup | None) -> FailureGroup:
    if group is None:
        raise RequestRefused(404, "this group of failures is not known; it may have been closed long ago")
    return group


def _excerpt(request: PageRequest, group: FailureGroup) -> str | None:
    try:
        stored = request.services.archive.get(group.sample)
    except EventUnknown:
        return None
    return failure_views.excerpt(stored, group.route, redact=not request.session.identity.may_act)


def _tried(request: PageRequest, group: FailureGroup) -> dict[str, Any] | None:
    """What became of the event that was tried: its newest delivery on the route of the group."""
    asked = request.asked("tried")
    if asked is None:
        return None
    shape = json_views.brief(request.services.archive.get(asked), redact=not request.session.identity.may_act)
    found = [one for one in shape["deliveries"] if group.route in (one["route"], SEVERAL)]
    return {"event": asked, "status": found[-1]["status"], "error": found[-1]["error"]} if found else None


_COLUMNS: Final = ("-count", "-first", "-last", "route", "status")
PAGE: Final = Page("/failures", "Failures", "failures.html", facts, more, tables={"groups": _COLUMNS})
GROUP: Final = Page("/failures/{group}", "Group of failures", "failure.html", one_group, more_of_one, is_listed=False)
OPERATIONS: Final = (
    Operation("/failures/{group}/acknowledge", acknowledge),
    Operation("/failures/{group}/snooze", snooze),
    Operation("/failures/{group}/replay", replay),
    Operation("/failures/{group}/try", try_one),
)
