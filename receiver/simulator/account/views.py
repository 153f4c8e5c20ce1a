"""A record that is there, and how it is shown: with ticks to a hook, cut to the second by the API. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from receiver.simulator.account import kinds
from receiver.simulator.account.kinds import Fields


@dataclass(slots=True)
class Living:
    """A record that is there. *record* is replaced, never changed."""

    kind: str
    business_id: int
    record: Fields

    @property
    def id(self) -> int:
        """Its number."""
        number: int = self.record["Id"]
        return number


def stamp(moment: datetime) -> str:
    """Return a time as Nexudus writes it in a hook: UTC, with ticks of a ten-millionth of a second."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f") + "7Z"


def whole(living: Living) -> Fields:
    """Return a record as `GET /{id}` shows it: all fields, times to the second."""
    return {name: cut(value) for name, value in living.record.items()}


def row(living: Living) -> Fields:
    """Return a record as a search shows it: without arrays and long texts."""
    hidden = kinds.partial(living.kind)
    return {name: cut(value) for name, value in living.record.items() if name not in hidden}


def rows(found: Iterable[Living]) -> list[Fields]:
    """Return several as a search shows them."""
    return [row(living) for living in found]


def cancelled(living: Living, moment: datetime) -> Fields:
    """Return the fields of the CancelledBooking that a booking leaves when it is deleted."""
    shown = {name: value for name, value in living.record.items() if name not in ("Id", "UniqueId")}
    return shown | {
        "CreatedOn": stamp(moment),
        "UpdatedOn": stamp(moment),
        "OriginalBookingId": str(living.id),
        "CancelledOn": stamp(moment),
        "CancellationReason": 1,
    }


def cut(value: Any) -> Any:
    """Return a time without its ticks, and everything else as it is."""
    if isinstance(value, str) and value[10:11] == "T" and value[19:20] == ".":
        return value[:19] + ("Z" if value.endswith("Z") else "")
    return value
