"""Following along: events in the order in which they are kept, from now on."""

import time
from collections.abc import Callable

from receiver.storage.query.event_reader import Archive
from receiver.storage.query.stored_event import Stored

_HOUR_S = 3_600


class Following:
    """Returns what is new since the last look. Belongs to one thread at a time."""

    def __init__(self, archive: Archive, *, clock: Callable[[], float] = time.time) -> None:
        """Begins now: what is kept already is not new. Raises StorageUnavailable."""
        self._archive = archive
        self._clock = clock
        hour = int(clock() // _HOUR_S)
        self._seen = {hour: archive.hour_length(hour)}

    def look(self) -> list[Stored]:
        """Return new events, a few hundred at most; what is left comes with the next look. Raises StorageUnavailable.

        Two hours are looked at, because a batch may be kept just after its hour.
        """
        hour = int(self._clock() // _HOUR_S)
        seen = {one: self._seen.get(one, 0) for one in (hour - 1, hour) if one == hour or one in self._seen}
        found: list[Stored] = []
        for one in seen:
            page = self._archive.hour_page(one, seen[one])
            found += self._archive.many(page)
            seen[one] += len(page)
        self._seen = seen  # only now: what a store that went away has not told comes with the next look
        return found
