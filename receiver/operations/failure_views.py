"""How groups of failures look to programs; keys as in docs/operate.md."""

from typing import Any, Final

from receiver.core import timestamps
from receiver.core.events import DeliveryStatus
from receiver.failures.failure_records import FailureGroup
from receiver.failures.route_changes import Change
from receiver.operations.masking import masked_error
from receiver.storage.query.stored_event import StoredEvent

LONGEST_EXCERPT: Final = 300


def shape(group: FailureGroup, now_ms: int) -> dict[str, Any]:
    """The object that `failures` prints for a group; nothing in it is of a person, but for a reason that says so."""
    said = group.said
    status = group.status(now_ms)
    return {
        "id": group.id,
        "route": group.route,
        "error": group.error,
        "count": group.count,
        "dead": group.dead,
        "retrying": group.retrying,
        "first": timestamps.show(group.first_ms),
        "last": timestamps.show(group.last_ms),
        "status": status,
        "sample": group.sample,
        "trend": list(group.trend),
        "opened": timestamps.show(group.opened_ms),
        "closed": timestamps.show(group.closed_ms or None),
        "who": said.who if said and status != "open" else None,
        "reason": said.reason if said and status != "open" else None,
        "until": timestamps.show(said.until_ms or None) if said and status == "snoozed" else None,
    }


def excerpt(stored: StoredEvent, route: str, *, redact: bool = False) -> str | None:
    """What the sample's last attempt of a route said, cut. *redact*: without its message."""
    errors = [
        one.error
        for one in stored.deliveries
        if one.error and one.route == route and one.status in (DeliveryStatus.DEAD, DeliveryStatus.IN_FLIGHT)
    ]
    if not errors:
        return None
    error = (masked_error(errors[-1]) if redact else errors[-1]) or ""
    return error if len(error) <= LONGEST_EXCERPT else error[: LONGEST_EXCERPT - 1] + "…"


def change(one: Change) -> dict[str, Any]:
    """One change before a group began."""
    return {"at": timestamps.show(one.at_ms), "text": one.text}
