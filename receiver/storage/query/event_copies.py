"""Reads events in the order in which they were stored, from a cursor that the caller keeps: for programs that copy
events."""

import re
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import orjson

from receiver.core.errors import UsageError
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import StoredEvent

MOST: Final = 50
"""Events that one call reads."""

_ID: Final = re.compile(r"[0-9a-z]{20}", re.ASCII)
_LAST_HOUR: Final = 10**8


@dataclass(frozen=True, slots=True)
class Place:
    """A cursor: *seen* has for each hour from *floor* on how many ids were read, and the last one."""

    floor: int
    seen: Mapping[int, tuple[int, str]] = field(default_factory=dict)

    def written(self) -> str:
        """Return the cursor as text for the caller."""
        shape = [self.floor, [[hour, number, last] for hour, (number, last) in self.seen.items()]]
        return urlsafe_b64encode(orjson.dumps(shape)).decode()


def read_place(written: str) -> Place:
    """Parse a text that `Place.written` returned. Raises UsageError for anything else."""
    try:
        floor, rows = orjson.loads(urlsafe_b64decode(written.encode()))
        place = Place(floor, {hour: (number, last) for hour, number, last in rows})
    except (ValueError, TypeError):
        place = None
    if place is None or not _is_sound(place):
        raise UsageError("cursor: it is not one that this console gave")
    return place


def now(reader: EventReader, hour: int) -> Place:
    """Return the cursor after all events that are stored now. *hour*: the current Unix hour."""
    seen = {}
    for one in (hour - 1, hour):
        length = reader.hour_length(one)
        last = reader.hour_page(one, length - 1, 1) if length else []
        seen[one] = (length, last[0] if last else "")
    return Place(hour - 1, seen)


def read(reader: EventReader, place: Place, hour: int, most: int = MOST) -> tuple[list[StoredEvent], Place, bool]:
    """Return the next events, the cursor after them, and whether there are more now. *hour*: the current Unix hour.

    The hour before is read, too, because a batch may be stored just after its hour. Events that a spool brings later
    for an older hour are not found.
    """
    seen, ids, floor = dict(place.seen), list[str](), place.floor
    hours = [one for one in reversed(reader.hours()) if one >= place.floor]
    for at in hours:
        length, last = seen.get(at, (0, ""))
        start, page = _behind(reader, at, length, last, most - len(ids))
        ids += page
        seen[at] = (start + len(page), page[-1] if page else last)
        if len(ids) >= most:
            break
        floor = min(at + 1, hour - 1)
    kept = {one: found for one, found in seen.items() if one >= floor}
    return reader.many(ids), Place(floor, kept), len(ids) >= most


def _behind(reader: EventReader, hour: int, length: int, last: str, most: int) -> tuple[int, list[str]]:
    """Return the position of the first unread id, and a page from there; retention may have removed ids before it."""
    if not length or not last:
        return 0, reader.hour_page(hour, 0, most)
    before, *page = reader.hour_page(hour, length - 1, most + 1) or [""]
    if before == last:
        return length, page
    start = reader.place_behind(hour, last)
    return start, reader.hour_page(hour, start, most)


def _is_sound(place: Any) -> bool:
    return (
        type(place.floor) is int
        and 0 <= place.floor <= _LAST_HOUR
        and len(place.seen) <= 4
        and all(
            type(hour) is int
            and type(number) is int
            and 0 <= number <= _LAST_HOUR
            and isinstance(last, str)
            and (not last or _ID.fullmatch(last) is not None)
            for hour, (number, last) in place.seen.items()
        )
    )
