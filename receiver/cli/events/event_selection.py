"""Which events a command is about: ids, or a filter. Held as ids, read in pages, oldest first."""

import time
from collections.abc import Iterator, Sequence
from itertools import islice

from receiver.cli.ui import progress
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter, StoredEvent

MOST = 1_000_000
"""Events that one command takes at most; an id takes about 70 bytes."""

_PAGE = 200


def chosen(archive: EventReader, event_ids: Sequence[str], wanted: EventFilter) -> list[str]:
    """Return the ids given, or those of the newest events that the filter wants; oldest first. Raises EventUnknown.

    Oldest first, because what happened first is to be done first again.
    """
    if event_ids:
        return [archive.get(event_id).envelope.id for event_id in dict.fromkeys(event_ids)]
    return [stored.envelope.id for stored in islice(archive.newest(wanted), MOST)][::-1]


def read(archive: EventReader, event_ids: Sequence[str]) -> Iterator[StoredEvent]:
    """Yield the events that are still kept, as they are now."""
    for start in range(0, len(event_ids), _PAGE):
        yield from archive.many(event_ids[start : start + _PAGE])


def paced(
    archive: EventReader, event_ids: Sequence[str], label: str, *, rate: float | None = None, shown: bool = True
) -> Iterator[StoredEvent]:
    """Yield the events under a progress bar, at most *rate* a second."""
    began = time.monotonic()
    with progress.bar(label, lambda: len(event_ids), shown=shown) as advance:
        for number, stored in enumerate(read(archive, event_ids)):
            early = began + number / rate - time.monotonic() if rate else 0
            if early > 0:
                time.sleep(early)
            yield stored
            advance(1)
