"""What a template sees of an event: plain values only, so that nothing leads from them into Python."""

from typing import Any

from receiver.core.events import Event
from workers.enriched_records import plain_records

NAMES = ("data", "action", "business_id", "business", "event")
"""The names of every template; those of the route's enriched records come to them."""


def names_of(event: Event[Any]) -> dict[str, Any]:
    """Return the values of an event by their names in templates."""
    business = event.business
    return {
        **plain_records(event),
        "data": event.data if isinstance(event.data, dict) else event.data.model_dump(mode="json"),
        "action": event.action,
        "business_id": event.business_id,
        "business": {
            "id": event.business_id,
            "name": business.name or str(event.business_id),
            "time_zone": business.time_zone,
            "currency": business.currency,
        },
        "event": {
            "id": event.id,
            "key": event.key,
            "action": event.action,
            "action_code": event.action_code,
            "business_id": event.business_id,
            "received_at": event.received_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "origin": event.origin,
            "attempt": event.attempt,
            "superseded": event.superseded,
        },
    }
