"""Tombstones: marks for rows of a spool file that are in the store, but cannot be deleted because the disk is full.

SQLite needs space even to delete. So drained rows are noted in a file beside the spool, which is allocated while there
is space and overwritten in place. An entry names the first and the last of a run of rows, with a checksum of all of
their ids: it applies only to exactly these events, so that an outdated entry never hides an event. Rows that do not fit
into the file are remembered only in this process; after its end, the store recognises those events by their ids.
"""

import os
import sqlite3
import struct
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from receiver.process import logs

_SIZE = 131_072
_ENTRY = struct.Struct("<qqI12x")
_SUFFIX = ".tombstones"

_log = logs.get()


class Tombstones:
    """The tombstones of one open spool file: the table `tombstone` of its connection, in memory. For one thread."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._file = -1
        self._used = 0

    def load(self, path: Path) -> None:
        """Read the tombstones beside the spool file *path*, and allocate space for more if the disk has it."""
        try:
            self._file = os.open(path_of(path), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            self._read(os.pread(self._file, _SIZE, 0))
            if not self.count:
                self._used = 0
            os.posix_fallocate(self._file, 0, _SIZE)
            os.fsync(self._file)
        except OSError as error:
            _log.warning("spool.notes_unavailable", file=str(path), error=str(error))

    def peek(self, path: Path) -> None:
        """Read the tombstones beside the spool file *path* of another process. Raises OSError."""
        if path_of(path).exists():
            self._read(path_of(path).read_bytes())

    @property
    def count(self) -> int:
        """Return how many rows still have to be deleted."""
        (count,) = self._connection.execute("SELECT count(*) FROM temp.tombstone").fetchone()
        return int(count)

    def add(self, places: Sequence[int]) -> None:
        """Remember rows that could not be deleted."""
        self._connection.executemany("INSERT OR IGNORE INTO temp.tombstone VALUES (?)", [(seq,) for seq in places])
        noted = b"".join(_ENTRY.pack(first, last, self._checksum(first, last)) for first, last in _runs(places))
        try:
            if self._file >= 0 and self._used + len(noted) <= _SIZE:
                os.pwrite(self._file, noted, self._used)
                os.fdatasync(self._file)
                self._used += len(noted)
        except OSError as error:  # a copy-on-write file system needs space even for overwriting
            _log.warning("spool.notes_unavailable", error=str(error))

    def some(self, most: int) -> list[int]:
        """Return the first rows that have to be deleted, at most *most*."""
        found = self._connection.execute("SELECT seq FROM temp.tombstone ORDER BY seq LIMIT ?", (most,))
        return [seq for (seq,) in found.fetchall()]

    def strike(self, places: Sequence[int]) -> None:
        """Remove the tombstones of rows that are deleted; their space in the file is reused."""
        self._connection.executemany("DELETE FROM temp.tombstone WHERE seq = ?", [(seq,) for seq in places])
        if not self.count:
            self._used = 0

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _read(self, noted: bytes) -> None:
        for at in range(0, len(noted) - len(noted) % _ENTRY.size, _ENTRY.size):
            first, last, checksum = _ENTRY.unpack_from(noted, at)
            if not first:
                continue
            self._used = at + _ENTRY.size
            if self._checksum(first, last) == checksum:
                self._connection.execute(
                    "INSERT OR IGNORE INTO temp.tombstone SELECT seq FROM event WHERE seq BETWEEN ? AND ?",
                    (first, last),
                )

    def _checksum(self, first: int, last: int) -> int:
        """Return a checksum of the positions and ids of the rows from *first* to *last*."""
        checksum = 0
        rows = "SELECT seq, id FROM event WHERE seq BETWEEN ? AND ? ORDER BY seq"
        for seq, identifier in self._connection.execute(rows, (first, last)):
            checksum = zlib.crc32(f"{seq} {identifier!r}|".encode(), checksum)
        return checksum


def set_up(connection: sqlite3.Connection) -> None:
    """Make the table, which SQLite keeps in memory."""
    connection.execute("PRAGMA temp_store=MEMORY")
    connection.execute("CREATE TEMP TABLE tombstone (seq INTEGER PRIMARY KEY)")


def path_of(path: Path) -> Path:
    """Return the path of the file with the tombstones of the spool file *path*."""
    return path.with_suffix(_SUFFIX)


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last position of each run of consecutive positions."""
    ordered = sorted(places)
    first = 0
    for at, place in enumerate(ordered):
        if at + 1 == len(ordered) or ordered[at + 1] != place + 1:
            yield ordered[first], place
            first = at + 1
