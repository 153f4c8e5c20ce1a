"""Returns new events in the order in which they are stored, from now on, for `frontdesk tail` and the console."""

import time
from collections.abc import Callable

from receiver.core.durations import HOUR_MS
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import StoredEvent

_BEHIND_ALL = "~"
"""Sorts after every id."""


class EventTail:
    """Returns the events that were stored since the last call. For one thread at a time."""

    def __init__(self, reader: EventReader, *, clock: Callable[[], float] = time.time) -> None:
        """Start now: events that are stored already do not count as new. Raises StorageUnavailable."""
        self._reader = reader
        self._clock = clock
        hour = _hour(clock)
        length = reader.hour_length(hour)
        last = reader.hour_page(hour, length - 1, 1) if length else []
        self._seen = {hour: (length, last[0] if last else _BEHIND_ALL)}

    def look(self) -> list[StoredEvent]:
        """Return new events, a few hundred at most; the next call returns the rest. Raises StorageUnavailable.

        It reads two hours, because a batch may be stored just after its hour.
        """
        hour = _hour(self._clock)
        seen = {one: self._seen.get(one, (0, "")) for one in (hour - 1, hour) if one == hour or one in self._seen}
        found: list[StoredEvent] = []
        for one, (length, last) in seen.items():
            start, page = self._behind(one, length, last)
            found += self._reader.many(page)
            seen[one] = (start + len(page), page[-1] if page else last)
        self._seen = seen  # only now: if the store failed before, the next call returns these events
        return found

    def _behind(self, hour: int, length: int, last: str) -> tuple[int, list[str]]:
        """Return the position of the first unread id, and a page from there.

        The last id that was read shows whether the position is still right: retention may have removed ids before it.
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
