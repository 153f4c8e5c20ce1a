"""What makes two requests the same event. Nexudus sends no delivery id, so the record itself has to tell.

A retry may rebuild the record: fields that depend on the clock differ then, and times differ below the second
(`UpdatedOn` has ticks in a hook and none in the API). Everything else has to be equal: `UpdatedOn` alone would not do,
because payments do not move it.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any

from receiver.nexudus import actions
from receiver.nexudus.canonical_record import Lasting

REPEATING_WINDOW_MS = 60_000
"""How long an equal record is a duplicate for an action that legitimately repeats itself."""

_REPEATING = frozenset(
    {
        "AccessControlUpdate",  # fires around each booking with an unchanged customer
        "CoworkerCheckin",  # which record these four carry is not documented; if it is the
        "CoworkerCheckinFailed",  # customer, it is the same one every day
        "CoworkerCheckout",
        "FailedCheckin",
        "SendWelcomeEmail",  # somebody presses a button
        "VisitorNotification",
    }
)
"""Actions that say that something happened, not that the record changed."""

# Begins with the point, which is rare in a record: three times as fast as one that begins with the time.
_FRACTION = re.compile(rb"\.(?<=T\d\d:\d\d:\d\d\.)\d{1,9}")


def of(business_id: int, action: str, record: Lasting) -> bytes:
    """Return the 16 bytes by which two events of one business and action are the same."""
    # SHA-256 is half as costly as BLAKE2 on today's processors, which have instructions for it.
    digest = hashlib.sha256(b"%d/%b/%b" % (business_id, action.encode(), record.names))
    digest.update(_FRACTION.sub(b"", record.values))
    return digest.digest()[:16]


def window_ms(action: str, default: int) -> int:
    """Return for how long an equal event is a duplicate: *default*, but a minute at most for actions that repeat."""
    return min(default, REPEATING_WINDOW_MS) if action in _REPEATING else default


def entity(action: str, record: Mapping[str, Any]) -> str | None:
    """Return what the event is about, "Booking:1418686279", or None for a record without a whole number as `Id`."""
    number = record.get("Id")
    if type(number) is not int:
        return None
    return f"{actions.entity_kind(action)}:{number}"
