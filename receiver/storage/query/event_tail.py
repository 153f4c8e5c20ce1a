"""New events in the order in which they are kept, from now on: for `tail` and for the console."""

import time
from collections.abc import Callable

from receiver.core.durations import HOUR_MS
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import StoredEvent

_BEHIND_ALL = "~"
"""Sorts behind every id."""


class EventTail:
    """Returns the events that are new since the last call. For one thread at a time."""

    def __init__(self, reader: EventReader, *, clock: Callable[[], float] = time.time) -> None:
        """Begins now: events that are kept already are not new. Raises StorageUnavailable."""
        self._reader = reader
        self._clock = clock
        hour = _hour(clock)
        length = reader.hour_length(hour)
        last = reader.hour_page(hour, length - 1, 1) if length else []
        self._seen = {hour: (length, last[0] if last else _BEHIND_ALL)}

    def look(self) -> list[StoredEvent]:
        """Return new events, a few hundred at most; the rest comes with the next call. Raises StorageUnavailable.

        Two hours are looked at, because a batch may be kept just after its hour.
        """
        hour = _hour(self._clock)
        seen = {one: self._seen.get(one, (0, "")) for one in (hour - 1, hour) if one == hour or one in self._seen}
        found: list[StoredEvent] = []
        for one, (length, last) in seen.items():
            start, page = self._behind(one, length, last)
            found += self._reader.many(page)
            seen[one] = (start + len(page), page[-1] if page else last)
        self._seen = seen  # only now: what the store did not return comes with the next look
        return found

    def _behind(self, hour: int, length: int, last: str) -> tuple[int, list[str]]:
        """Return where the ids that are not seen yet begin, and a page of them.

        The last id seen tells whether its place is still right: retention may have taken out some before it.
        """
        if not length:
            return 0, self._reader.hour_page(hour, 0)
        before, *page = self._reader.hour_page(hour, length - 1) or [""]
        if before == last:
            return length, page
        start = self._reader.place_behind(hour, last)
        return start, self._reader.hour_page(hour, start)


def _hour(clock: Callable[[], float]) -> int:
    return int(clock() * 1_000 // HOUR_MS)
