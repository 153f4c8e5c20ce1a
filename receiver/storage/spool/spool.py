"""The spool: events on the receiver's own disk while the store is away, each synced before its request is answered.

For one event loop. Each receiver process has one file, in a slot that no other process can own at the same time.
`Spool` never waits for the disk on the event loop: a thread does.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from receiver.core.errors import RequestRefused, SpoolUnavailable
from receiver.process import logs
from receiver.storage.model import spool_row
from receiver.storage.model.entries import Entry
from receiver.storage.model.spool_row import Glance
from receiver.storage.spool import rejected, slots
from receiver.storage.spool.handle import Contents, SpoolHandle
from receiver.storage.spool.slots import Slot
from receiver.storage.spool.sqlite_file import Row, SpoolFile
from receiver.storage.spool.writer import Writer

_APPEND_WITHIN_S = 10.0
_CALL_WITHIN_S = 60.0
_MOST_WAITING_BYTES = 64 * 1_048_576
_READ_BYTES = 4 * 1_048_576

_log = logs.get()

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Spooled:
    """An entry in the spool, with the data that is needed to remove it."""

    row: Row
    entry: Entry


class Spool:
    """A file of entries, with a bounded size, in the order of their arrival."""

    def __init__(self, folder: Path, *, max_bytes: int, slot: Slot | None = None) -> None:
        """*max_bytes* bounds all files of the folder together. *slot*: an adopted one; None: a new one."""
        self._handle = SpoolHandle(folder, max_bytes, slot)
        self._writer = Writer(self._handle)
        self._waiting_bytes = 0
        self.trouble: str | None = None
        """Why the spool could not take an event at the last check."""
        self._is_closed = False

    @property
    def contents(self) -> Contents:
        """The contents of the file after the last operation that completed."""
        return self._handle.contents

    @property
    def depth(self) -> int:
        """The number of events in the file."""
        return self._handle.contents.count

    @property
    def oldest(self) -> int | None:
        """When the oldest event in the file arrived, in Unix ms; None: the file is empty."""
        return self._handle.contents.oldest_ms

    @property
    def name(self) -> str:
        """The name of this spool in the store: the folder's identity and the slot. Empty before it has a file."""
        slot = self._handle.slot
        return self.name_of(slot.number) if slot and self._handle.identity else ""

    def name_of(self, number: int) -> str:
        """Return the name of the spool in another slot of the same folder."""
        return f"{self._handle.identity}/{number:03}"

    def names_without_file(self) -> set[str]:
        """Return the names of slots without a file: a killed process may not have reported that its spool was empty."""
        if not self._handle.identity:
            return set()
        return {self.name_of(number) for number in set(range(slots.MOST)) - set(slots.used(self.folder))}

    @property
    def folder(self) -> Path:
        """The folder of this spool and others."""
        return self._handle.folder

    async def open(self) -> bool:
        """Take a slot and open its file. Return False if that fails; it is tried again whenever it is needed."""
        self._writer.start()
        return await self.examine() is None

    async def append(self, entry: Entry) -> None:
        """Return when the entry is on disk. Raises RequestRefused (503) when the spool is full or its disk fails."""
        record = spool_row.row_of(entry)
        if self._is_closed or self._waiting_bytes + record.size > _MOST_WAITING_BYTES:
            raise RequestRefused(503, "the spool takes nothing now", retry_after=5)
        reply = asyncio.get_running_loop().create_future()
        self._waiting_bytes += record.size
        try:
            self._writer.append(record, reply)
            async with asyncio.timeout(_APPEND_WITHIN_S):
                await reply
        except TimeoutError:
            raise RequestRefused(503, "the disk of the spool does not answer", retry_after=30) from None
        finally:
            self._waiting_bytes -= record.size

    async def read(self, most: int, *, after: int = 0) -> list[Spooled]:
        """Return the first entries after position *after*, oldest first, at most *most* and about 4 MiB.

        A row that is damaged, or that this version cannot read, is set aside; if the disk has no space for that, it
        stays and is tried again later. Raises SpoolUnavailable.
        """
        path = self._path
        return await self._call(lambda file: _read(file, path(), most, after))

    async def glance(self, most: int, *, after: int = 0) -> list[Glance]:
        """Return the lanes of the first entries after position *after*, at most *most*. Raises SpoolUnavailable."""
        return await self._call(lambda file: file.glance(most, after=after))

    async def remove(self, spooled: Sequence[Spooled]) -> None:
        """Remove entries that are stored elsewhere. Raises SpoolUnavailable."""
        await self._call(lambda file: file.remove([one.row for one in spooled]))

    async def set_aside(self, spooled: Spooled, reason: str) -> bool:
        """Write an entry that the store will never accept to a file of its own.

        Return False if the disk has no space for that; the entry then stays. Raises SpoolUnavailable.
        """
        path = self._path
        return await self._call(lambda file: _set_aside(file, path(), spooled.row, reason))

    async def compact(self) -> None:
        """Give space back to the disk, which also erases the removed entries from it. Raises SpoolUnavailable."""
        handle = self._handle
        await self._call(lambda _: handle.compact())

    async def can_keep(self) -> bool:
        """Return whether the spool could take an event now: it has a file, quota, and space on the disk."""
        return await self.examine() is None

    async def examine(self) -> str | None:
        """Return, and remember as `trouble`, why no event could be put in now: one clause; None: one could."""
        try:
            self.trouble = await self._call(lambda _: self._handle.refusal(spool_row.OVERHEAD), within_s=2.0)
        except SpoolUnavailable as error:
            self.trouble = str(error)
        return self.trouble

    async def close(self) -> bool:
        """Finish all operations, close the file, release the slot. Return whether the file was empty and so removed."""
        if not self._is_closed:
            self._is_closed = True
            self._writer.finish()
            await asyncio.to_thread(self._writer.join, _CALL_WITHIN_S)
        return self._handle.was_left_empty

    def _path(self) -> Path:
        assert self._handle.slot is not None  # noqa: S101 - called with an open file only
        return self._handle.slot.path

    async def _call(self, function: Callable[[SpoolFile], T], *, within_s: float = _CALL_WITHIN_S) -> T:
        if self._is_closed:
            raise SpoolUnavailable("the spool is closed")
        reply: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._writer.call(function, reply)
        try:
            async with asyncio.timeout(within_s):
                answer: T = await reply
        except TimeoutError:
            raise SpoolUnavailable(f"the disk of the spool does not answer within {within_s:.0f} s") from None
        return answer


def _read(file: SpoolFile, path: Path, most: int, after: int) -> list[Spooled]:
    while True:
        rows, damaged = file.read(most, _READ_BYTES, after=after)
        for seq, columns in damaged:
            if _is_written_aside(path, seq, columns, "its checksum is wrong"):
                file.drop(seq)
        found = _entries(file, path, rows)
        if found or not (rows or damaged):
            return found
        after = max(seq for seq, _ in (*rows, *damaged))


def _entries(file: SpoolFile, path: Path, rows: Sequence[Row]) -> list[Spooled]:
    found = []
    for row in rows:
        try:
            found.append(Spooled(row, row[1].entry()))
        except ValueError as error:
            _set_aside(file, path, row, f"this Frontdesk cannot read it: {error}")
    return found


def _set_aside(file: SpoolFile, path: Path, row: Row, reason: str) -> bool:
    seq, record = row
    is_written = _is_written_aside(path, seq, record.columns(), reason)
    if is_written:
        file.remove([row])
    return is_written


def _is_written_aside(path: Path, seq: int, columns: Any, reason: str) -> bool:
    try:
        rejected.write(path, seq, columns, reason)
    except OSError as error:
        _log.error("spool.row_not_set_aside", file=str(path), row=seq, error=str(error))
        return False
    return True
