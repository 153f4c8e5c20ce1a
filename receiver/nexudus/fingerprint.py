"""What makes two requests the same event. Nexudus sends no delivery id, so the record itself has to tell.

A retry may rebuild the record: fields that depend on the clock differ then, and times differ below the second
(`UpdatedOn` has ticks in a hook and none in the API). Everything else has to be equal: `UpdatedOn` alone would not do,
because payments do not move it.
"""

import hashlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from receiver.nexudus import actions
from receiver.nexudus.canonical_record import Lasting

REPEATING_WINDOW_MS = 60_000
"""How long an equal record is a duplicate for an action that legitimately repeats itself."""

_MOST_BEGUN = 16
"""Sets of names; a hook has one, and some more while Nexudus is being upgraded."""

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


class Fingerprints:
    """The fingerprints of one hook's events: what they begin with is digested once for each set of names."""

    def __init__(self, business_id: int, action: str) -> None:
        self._prefix = b"%d/%b/" % (business_id, action.encode())
        self._begun = lru_cache(maxsize=_MOST_BEGUN)(self._begin)

    def of(self, record: Lasting) -> bytes:
        """Return the 16 bytes by which two events of one business and action are the same."""
        digest = self._begun(record.names).copy()
        digest.update(_FRACTION.sub(b"", record.values))
        return digest.digest()[:16]

    def _begin(self, names: bytes) -> "hashlib._Hash":
        # SHA-256 is half as costly as BLAKE2 on today's processors, which have instructions for it.
        return hashlib.sha256(self._prefix + names)


def of(business_id: int, action: str, record: Lasting) -> bytes:
    """Return the fingerprint of one event."""
    return Fingerprints(business_id, action).of(record)


def window_ms(action: str, default: int) -> int:
    """Return for how long an equal event is a duplicate: *default*, but a minute at most for actions that repeat."""
    return min(default, REPEATING_WINDOW_MS) if action in _REPEATING else default


def entity(action: str, record: Mapping[str, Any]) -> str | None:
    """Return what the event is about, "Booking:1418686279", or None for a record without a whole number as `Id`."""
    number = record.get("Id")
    if type(number) is not int:
        return None
    return f"{actions.entity_kind(action)}:{number}"
