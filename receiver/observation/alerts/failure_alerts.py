"""The alerts about failures: one for each open group with dead deliveries, however many those are. Pure."""

from collections.abc import Iterator
from typing import Final

from receiver.core import timestamps
from receiver.core.sanitize import counted
from receiver.failures.failure_records import Summary
from receiver.observation.alerts.alert_condition import AlertCondition

KIND: Final = "dead"

MOST: Final = 20
"""Groups that are told of one by one, those that opened first before all others."""


def conditions(found: Summary, now_ms: int) -> Iterator[AlertCondition]:
    """Yield them. They tell only the exception's class and an HTTP status: a message may quote a record."""
    groups = [one for one in found.groups if one.dead and one.last_ms > one.quiet_ms and one.status(now_ms) == "open"]
    groups.sort(key=lambda one: (one.opened_ms, one.id))
    for one in groups[:MOST]:
        retrying = f", {one.retrying:,} are tried again" if one.retrying else ""
        yield AlertCondition(
            KIND,
            f"Route {one.route} fails: {one.kind}",
            f"{counted(one.dead, 'delivery')} dead{retrying}, since {timestamps.show(one.first_ms)}. `frontdesk "
            "failures` shows the error and what changed before. Fix it, then replay them: `frontdesk replay --group "
            f"{one.id}`.",
            subject=one.id,
        )
    if more := groups[MOST:]:
        yield AlertCondition(
            KIND,
            "Many other deliveries fail",
            f"{len(more)} more groups of failures are open. `frontdesk failures` lists them.",
            subject="more",
        )
