"""Events for the tests of workers and handlers."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from workers import Event

_EVENT = Event(
    id="00m5x2k1qabcdefg0001",
    key="00m5x2k1qabcdefg0001",
    action="BookingCreate",
    action_code=41,
    business_id=1001,
    received_at=datetime(2026, 3, 14, 15, 9, 26, 535_000, tzinfo=UTC),
    origin="webhook",
    attempt=1,
    superseded=False,
    data={"Id": 77, "CoworkerFullName": "Zoë Ångström 🥶", "EstimatedCost": 12.5, "Notes": None},
)


def an_event(**changes: Any) -> Event:
    """Return a booking as a handler sees it, with *changes*."""
    return replace(_EVENT, **changes)
