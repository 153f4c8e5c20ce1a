"""One spool file: entries in SQLite, in the order of their arrival, each on disk when `append` returns.

Synchronous and for one thread. Write-ahead log with synchronous=FULL: committed entries survive a crash of the process
and of the machine. Every row has a checksum, because SQLite's pages have none. An existing file can be opened, read and
emptied even if the disk is full.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

from receiver.core import ids
from receiver.core.errors import SpoolUnavailable
from receiver.storage.model import spool_row
from receiver.storage.model.spool_row import Glance, SpoolRow
from receiver.storage.spool import tombstones
from receiver.storage.spool.tombstones import Tombstones

_VERSION = 1
_COLUMNS = "id, envelope, fingerprint, window_ms, wanted, quarantined, crc"
_DAMAGE = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_BUSY_MS = 2_000
_WAITING = "seq NOT IN (SELECT seq FROM temp.tombstone)"
_DELETED_AT_ONCE = 1_024

Row = tuple[int, SpoolRow]  # with its position in the file


class NewerFile(SpoolUnavailable):
    """A spool file that a newer Frontdesk wrote; this version does not touch it."""


class SpoolFile:
    """An open spool file. Every method may raise sqlite3.Error; `is_damage` tells a broken file from a full disk."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._tombstones = Tombstones(connection)
        self.count = 0
        self.bytes = 0
        self.quarantined = 0
        self.oldest_ms: int | None = None

    @classmethod
    def open(cls, path: Path, *, measure: bool = True) -> Self:
        """Open or create the file. Raises NewerFile, sqlite3.Error, OSError.

        *measure*: read all of it once, to count its contents and detect damage; used by its owner.
        """
        path.touch(mode=0o600)  # SQLite gives its two companions the permissions of this one
        opened = cls(_connect(path))
        try:
            if measure:
                opened._tombstones.load(path)
                opened._measure()
        except BaseException:
            opened.close()
            raise
        return opened

    def append(self, batch: Sequence[SpoolRow]) -> None:
        """Append records in one transaction; a record whose id is in the file already changes nothing."""
        sentence = f"INSERT INTO event ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING"  # noqa: S608
        self.count += self._transaction(sentence, [record.columns() for record in batch])
        self.bytes += sum(record.size for record in batch)
        self.quarantined += sum(record.size for record in batch if record.quarantined)
        if self.oldest_ms is None:
            self.oldest_ms = self._oldest()

    def read(self, most: int, most_bytes: int, *, after: int = 0) -> tuple[list[Row], list[tuple[int, Any]]]:
        """Return the first rows after position *after*; those whose checksum is wrong come separately, unparsed.

        At most *most* rows, and no more after *most_bytes*, so that large bodies do not fill the memory.
        """
        rows: list[Row] = []
        damaged: list[tuple[int, Any]] = []
        size = 0
        for seq, *columns in self._select(f"WHERE seq > ? AND {_WAITING} ORDER BY seq LIMIT ?", (after, most)):
            record = spool_row.read(columns)
            if record is None:
                damaged.append((seq, columns))
                continue
            rows.append((seq, record))
            size += record.size
            if size >= most_bytes:
                break
        return rows, damaged

    def glance(self, most: int, *, after: int = 0) -> list[Glance]:
        """Return the lanes of the first rows after position *after*, at most *most*. A damaged row has none."""
        found = self._select(f"WHERE seq > ? AND {_WAITING} ORDER BY seq LIMIT ?", (after, most), "seq, id, wanted")
        return [spool_row.glance(*row) for row in found]

    def remove(self, rows: Sequence[Row]) -> None:
        """Remove rows. On a full disk, where they cannot be deleted yet, they are marked as removed."""
        self._forget([seq for seq, _ in rows])
        self.bytes -= sum(record.size for _, record in rows)
        self.quarantined -= sum(record.size for _, record in rows if record.quarantined)
        self._settle()

    def replace(self, rows: Sequence[Row]) -> None:
        """Replace rows by records with the same ids, if those rows still exist."""
        sentence = (
            "UPDATE event SET envelope = ?, fingerprint = ?, window_ms = ?, wanted = ?, quarantined = ?, crc = ? "
        )
        self._transaction(
            sentence + "WHERE seq = ? AND id = ?", [(*one.columns()[1:], seq, one.id) for seq, one in rows]
        )

    def drop(self, seq: int) -> None:
        """Remove a damaged row."""
        self._forget([seq])
        self._settle()

    def scan(self, *, backwards: bool = False, above: int = 0) -> Iterator[Row]:
        """Yield every readable row, oldest or newest first, as far as the file can be read."""
        order = "DESC" if backwards else "ASC"
        for seq, *columns in self._select(f"WHERE seq > ? ORDER BY seq {order} LIMIT ?", (above, -1)):
            record = spool_row.read(columns)
            if record is not None:
                yield seq, record

    def compact(self) -> None:
        """Give the space of removed rows back to the disk, which also erases their contents."""
        while places := self._tombstones.some(_DELETED_AT_ONCE):
            self._bury(places)
        self._connection.execute("VACUUM")
        self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    def close(self) -> None:
        """Close; SQLite merges the write-ahead log into the file if no other process has it open."""
        self._tombstones.close()
        self._connection.close()

    def _select(self, clause: str, parameters: tuple[int, int], what: str = f"seq, {_COLUMNS}") -> Iterator[Any]:
        cursor = self._connection.execute(f"SELECT {what} FROM event {clause}", parameters)  # noqa: S608
        try:
            yield from cursor
        finally:
            cursor.close()  # an open cursor would block checkpoints

    def _transaction(self, sentence: str, rows: Sequence[Sequence[Any]]) -> int:
        """Run one statement for all rows in a transaction, and return how many rows it changed."""
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            changed = self._connection.executemany(sentence, rows).rowcount
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise
        return changed

    def _measure(self) -> None:
        # This reads every page that holds a row, so a broken page is found now and not during an outage.
        size = f"length(envelope) + {spool_row.OVERHEAD}"
        row = self._connection.execute(
            f"SELECT count(*), total({size}), total(CASE WHEN quarantined THEN {size} ELSE 0 END) FROM event "  # noqa: S608
            f"WHERE {_WAITING}"
        ).fetchone()
        self.count, self.bytes, self.quarantined = (int(value) for value in row)
        self.oldest_ms = self._oldest()

    def _forget(self, places: Sequence[int]) -> None:
        try:
            self._delete(places)
        except sqlite3.OperationalError as error:
            if is_damage(error):
                raise
            self._tombstones.add(places)
        else:
            with contextlib.suppress(sqlite3.OperationalError):
                self._bury(self._tombstones.some(_DELETED_AT_ONCE))
        self.count -= len(places)

    def _bury(self, places: Sequence[int]) -> None:
        """Delete rows that have a tombstone."""
        if places:
            self._delete(places)
        self._tombstones.strike(places)

    def _delete(self, places: Sequence[int]) -> None:
        self._transaction("DELETE FROM event WHERE seq = ?", [(seq,) for seq in places])

    def _settle(self) -> None:
        """Correct the counts if they are zero for a file with rows, or the reverse."""
        self.oldest_ms = self._oldest()
        if (self.oldest_ms is None) != (self.count <= 0):
            self._measure()
        elif self.oldest_ms is None:
            self.bytes = self.quarantined = 0

    def _oldest(self) -> int | None:
        sentence = f"SELECT id FROM event WHERE {_WAITING} ORDER BY seq LIMIT 1"  # noqa: S608
        row = self._connection.execute(sentence).fetchone()
        try:
            return ids.milliseconds_of(row[0].decode("ascii")) if row else None
        except (ValueError, AttributeError):
            return 0


def is_damage(error: sqlite3.Error) -> bool:
    """Return whether an error means that the file is broken, rather than that the disk is full or slow."""
    code = getattr(error, "sqlite_errorcode", None)
    return isinstance(code, int) and code & 0xFF in _DAMAGE


def _connect(path: Path) -> sqlite3.Connection:
    """Connect to the file. If the disk has no space for the shared index of its log, open it exclusively."""
    try:
        return _connect_as(path, "NORMAL")
    except sqlite3.OperationalError as error:
        if is_damage(error):
            raise
    return _connect_as(path, "EXCLUSIVE")


def _connect_as(path: Path, locking: str) -> sqlite3.Connection:
    connection = sqlite3.connect(
        path, timeout=_BUSY_MS / 1_000, isolation_level=None, check_same_thread=False, cached_statements=16
    )
    connection.text_factory = bytes  # a damaged text that is no UTF-8 is a damaged row, not an error
    try:
        connection.execute(f"PRAGMA locking_mode={locking}")
        _set_up(connection, path)
    except BaseException:
        connection.close()
        raise
    return connection


def _set_up(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > _VERSION:
        raise NewerFile(f"{path}: a spool of version {version}, and this Frontdesk knows {_VERSION}; use the newer one")
    (mode,) = connection.execute("PRAGMA journal_mode=WAL").fetchone()
    if mode != b"wal":
        raise sqlite3.OperationalError("the file system does not allow a write-ahead log")
    connection.execute("PRAGMA synchronous=FULL")
    tombstones.set_up(connection)
    if version == _VERSION:
        return  # writing the same again would need room
    connection.execute(
        "CREATE TABLE IF NOT EXISTS event (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, "
        "envelope BLOB NOT NULL, fingerprint BLOB, window_ms INTEGER NOT NULL, wanted BLOB NOT NULL, "
        "quarantined INTEGER NOT NULL, crc INTEGER NOT NULL)"
    )
    connection.execute(f"PRAGMA user_version={_VERSION}")
