"""How many events wait on a disk, whoever looks after them: for somebody who is about to take the disk away."""

import contextlib
import sqlite3
from pathlib import Path

from receiver.errors import SpoolUnavailable
from receiver.storage.spool import slots

_BUSY_S = 2.0


def events(folder: Path) -> int:
    """Return how many events wait in the spool files of a folder. Raises SpoolUnavailable."""
    return sum(_count(folder / f"{number:03}.db") for number in slots.used(folder))


def _count(path: Path) -> int:
    try:
        with contextlib.closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, timeout=_BUSY_S)) as connection:
            (found,) = connection.execute("SELECT count(*) FROM event").fetchone()
            return int(found)
    except sqlite3.Error as error:
        if not path.exists():  # its owner emptied it and left, between our two looks
            return 0
        raise SpoolUnavailable(f"{path}: cannot be read: {error}") from error
