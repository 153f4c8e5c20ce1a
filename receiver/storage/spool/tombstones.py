"""Tombstones: rows of a spool file that the store has, and that cannot be deleted because the disk is full.

SQLite needs room even to delete. So what was handed over is noted in a file beside the spool, which gets its room when
there is some and is overwritten in place. An entry names the first and the last of neighbouring rows, with a checksum
of the ids of all of them: it counts only where exactly these events are, so that no entry of another time hides one.
What the file cannot hold is remembered by this process alone; after its death the store knows those events by their
ids.
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
        """Read what is noted beside the spool file *path*, and see that there is room for notes, if the disk has it."""
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
        """Read what is noted beside the spool file *path* of somebody else. Raises OSError."""
        if path_of(path).exists():
            self._read(path_of(path).read_bytes())

    @property
    def count(self) -> int:
        """How many rows are to be deleted yet."""
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
        except OSError as error:  # a file system that copies on writing needs room for this, too
            _log.warning("spool.notes_unavailable", error=str(error))

    def some(self, most: int) -> list[int]:
        """Return the first rows that are to be deleted, at most *most*."""
        found = self._connection.execute("SELECT seq FROM temp.tombstone ORDER BY seq LIMIT ?", (most,))
        return [seq for (seq,) in found.fetchall()]

    def strike(self, places: Sequence[int]) -> None:
        """Forget rows that are deleted. What is noted of them says nothing any more; the room is used again."""
        self._connection.executemany("DELETE FROM temp.tombstone WHERE seq = ?", [(seq,) for seq in places])
        if not self.count:
            self._used = 0

    def close(self) -> None:
        """Let go of the file."""
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
        """Return a checksum of the rows from one to another: of their places and ids."""
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
    """Return where the tombstones of the spool file *path* are noted."""
    return path.with_suffix(_SUFFIX)


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of places that follow one another."""
    ordered = sorted(places)
    first = 0
    for at, place in enumerate(ordered):
        if at + 1 == len(ordered) or ordered[at + 1] != place + 1:
            yield ordered[first], place
            first = at + 1
