"""`failures`: dead and failing deliveries, grouped by route and by what went wrong."""

from typing import Annotated, Any

from cyclopts import Parameter
from rich.text import Text

from receiver.cli.context import Context
from receiver.cli.ui import option_values, output
from receiver.core import timestamps
from receiver.core.errors import EventUnknown, UsageError
from receiver.failures import route_changes
from receiver.failures.failure_ledger import FailureLedger
from receiver.failures.failure_records import FailureGroup
from receiver.operations import failure_views
from receiver.storage.shared.audit_log import AuditLog, operator

_MOST_EXPLAINED = 20
"""Groups whose sample and changes are read."""

_LONGEST_SNOOZE_MS = 30 * 86_400_000


def failures(
    *,
    route: str | None = None,
    since: str | None = None,
    acknowledge: Annotated[str | None, Parameter(name="--acknowledge")] = None,
    snooze: str | None = None,
    for_: Annotated[str, Parameter(name="--for")] = "1h",
    reason: str = "",
    json: Annotated[bool, Parameter(help="one JSON object per line")] = False,
) -> None:
    """List dead and failing deliveries in groups: those of one route with the same error.

    Numbers, ids and quoted texts in errors do not count. A group whose last failure is gone is closed, and listed for
    another day. `frontdesk replay --group` replays a group.

    Parameters
    ----------
    route
        only groups of this route
    since
        only groups that failed since then; a time (2026-05-01T12:00:00Z), a date, or an age with its unit (2h)
    acknowledge
        mark the group with this id as known: its alert ends. If it is closed and its error comes back, it is open again
    snooze
        mark the group with this id as known for the time of --for
    for_
        how long to snooze, by default an hour
    reason
        why; the list and the audit log show it
    """
    context = Context()
    since_ms = timestamps.parse("--since", since)
    if acknowledge is not None or snooze is not None:
        _say(context, acknowledge, snooze, for_, reason)
    else:
        _list(context, route, since_ms or 0, json=json)


def _list(context: Context, route: str | None, since_ms: int, *, json: bool) -> None:
    summary = FailureLedger(context.writable).refresh()
    found = [one for one in summary.groups if route in (None, one.route) and one.last_ms >= since_ms]
    now_ms = summary.at_ms
    shapes = [_shape(context, one, now_ms, explained=at < _MOST_EXPLAINED) for at, one in enumerate(found)]
    if json:
        for shape in shapes:
            output.json_line(shape)
        return
    _show(shapes)
    if summary.is_cut:
        output.warn("there are more failures than are counted here")


def _say(context: Context, acknowledged: str | None, snoozed: str | None, for_: str, reason: str) -> None:
    if acknowledged is not None and snoozed is not None:
        raise UsageError("failures: give --acknowledge or --snooze, not both")
    ledger = FailureLedger(context.writable)
    ledger.refresh()
    group = ledger.get(acknowledged or snoozed or "")
    if acknowledged is not None:
        said = ledger.acknowledge(group.id, operator(), reason)
    else:
        for_ms = option_values.duration_ms("--for", for_)
        if not 0 < for_ms <= _LONGEST_SNOOZE_MS:
            raise UsageError("--for: a group is snoozed for at most 30 days")
        said = ledger.snooze(group.id, operator(), reason, for_ms)
    act = "failures.acknowledge" if acknowledged is not None else "failures.snooze"
    AuditLog(context.client).record(act, group=group.id, route=group.route, reason=said.said and said.said.reason)
    until = f" until {timestamps.show(said.said.until_ms)}" if said.said and said.said.until_ms else ""
    output.say(f"Group {group.id} of route {group.route} is {'acknowledged' if acknowledged else 'snoozed'}{until}.")


def _shape(context: Context, group: FailureGroup, now_ms: int, *, explained: bool) -> dict[str, Any]:
    shape = failure_views.shape(group, now_ms)
    if explained:
        try:
            excerpt = failure_views.excerpt(context.archive.get(group.sample), group.route) if group.sample else None
        except EventUnknown:
            excerpt = None
        shape["excerpt"] = excerpt
        changes = route_changes.before(context.client, group) if group.count else []
        shape["changes"] = [failure_views.change(one) for one in changes]
    return shape


def _show(shapes: list[dict[str, Any]]) -> None:
    if not shapes:
        output.say("Nothing fails.")
        return
    rows = [
        (
            one["id"],
            one["route"],
            f"{one['count']:,}",
            _moment(one["first"]),
            _moment(one["last"]),
            Text(one["status"], style="bold red" if one["status"] == "open" else ""),
            output.plain(one["error"]),
        )
        for one in shapes
    ]
    output.table(("id", "route", "count", "first", "last", "status", "error"), rows)
    for one in shapes:
        if one["count"] and one.get("excerpt"):
            output.say(f"{one['id']}: event {one['sample']}: {one['excerpt']}")
        for change in one.get("changes", ()):
            output.say(f"    before: {_moment(change['at'])}  {change['text']}")
        if one["reason"]:
            output.say(f"    {one['status']} by {one['who']}: {one['reason']}")


def _moment(shown: str | None) -> str:
    return (shown or "")[5:19].replace("T", " ")
