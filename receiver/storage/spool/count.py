"""Counts the events that wait in all spools on a disk, with or without an owner: for the audit, and before somebody
removes the disk."""

import contextlib
import sqlite3
from dataclasses import dataclass
from pathlib import Path

from receiver.core.errors import SpoolUnavailable
from receiver.storage.spool import slots, tombstones
from receiver.storage.spool.tombstones import Tombstones

_BUSY_S = 2.0


@dataclass(frozen=True, slots=True)
class SpoolCount:
    """The contents of a folder: *events* in spools whose names in the store begin with *identity*."""

    identity: str
    events: int

    def has(self, name: str) -> bool:
        """Whether a spool of this name is, or was, in the folder."""
        return name.partition("/")[0] == self.identity


def stock(folder: Path) -> SpoolCount | None:
    """Count the events in a folder; None: no receiver has ever spooled there. Raises SpoolUnavailable."""
    try:
        identity = slots.identity(folder)
    except OSError as error:
        raise SpoolUnavailable(f"{folder}: cannot be read: {error.strerror or error}") from error
    return SpoolCount(identity, events(folder)) if identity else None


def events(folder: Path) -> int:
    """Return how many events wait in the spool files of a folder. Raises SpoolUnavailable."""
    return sum(_count(folder / f"{number:03}.db") for number in slots.used(folder))


def _count(path: Path) -> int:
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)) as connection:
            connection.text_factory = bytes
            tombstones.set_up(connection)
            handed_over = Tombstones(connection)
            handed_over.peek(path)
            (found,) = connection.execute("SELECT count(*) FROM event").fetchone()
            return int(found) - handed_over.count
    except (sqlite3.Error, OSError) as error:
        if not path.exists():  # its owner emptied and removed it meanwhile
            return 0
        raise SpoolUnavailable(f"{path}: cannot be read: {error}") from error
