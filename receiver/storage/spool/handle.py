"""Manages a slot, the spool file in it, and its quota: opens, repairs and releases them together. For one thread."""

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

from receiver.core.errors import SpoolUnavailable
from receiver.process import logs
from receiver.storage.spool import repair, slots, tombstones
from receiver.storage.spool.quota import Quota
from receiver.storage.spool.slots import Slot
from receiver.storage.spool.sqlite_file import NewerFile, SpoolFile, is_damage

_OPEN_AGAIN_AFTER_S = 1.0

_log = logs.get()


@dataclass(frozen=True, slots=True)
class Contents:
    """What a spool file holds. *oldest_ms*: when the oldest event arrived; None: there is none."""

    count: int = 0
    bytes: int = 0
    oldest_ms: int | None = None


class SpoolHandle:
    """The owner of a slot. Methods raise sqlite3.Error, OSError and SpoolUnavailable."""

    def __init__(self, folder: Path, max_bytes: int, slot: Slot | None) -> None:
        """*slot*: an adopted slot; None: the first free one, taken when it is needed."""
        self.folder = folder
        self.slot = slot
        self.identity = ""
        self.contents = Contents()
        self.was_left_empty = False
        self._max_bytes = max_bytes
        self._file: SpoolFile | None = None
        self._room = Quota(folder, max_bytes)
        self._failed_at = float("-inf")
        self._failure = ""

    @property
    def room(self) -> Quota:
        """The quota, which decides what still fits."""
        return self._room

    def open(self) -> SpoolFile:
        """Return the open file.

        A failure is remembered for a second, so that not every request tries a disk that hangs.
        """
        if self._file is not None:
            return self._file
        if time.monotonic() - self._failed_at < _OPEN_AGAIN_AFTER_S:
            raise SpoolUnavailable(self._failure)
        try:
            self.identity = slots.prepare(self.folder)
            self._file = _open(self.slot) if self.slot else self._move_in()
        except (sqlite3.Error, OSError, SpoolUnavailable) as error:
            self._failed_at, self._failure = time.monotonic(), reason_of(error)
            raise
        assert self.slot is not None  # noqa: S101 - a file is open, so it is in a slot
        self._room = Quota(self.slot.path, self._max_bytes)
        self.publish()
        return self._file

    def mend(self, damage: str) -> SpoolFile:
        """Replace a broken file by a new one that holds everything that could be saved."""
        self.close()
        if self.slot is None:
            return self.open()
        self._file = repair.reopen(self.slot.path, damage)
        self.publish()
        return self._file

    def open_for_more(self) -> SpoolFile:
        """Return the open file with its quota measured. If somebody removed the file while it was open, it would keep
        nothing: an empty one is replaced in a new slot; one with events takes no more until they are in the store."""
        file = self.open()
        if self.slot is not None and not self.slot.path.exists():
            if file.oldest_ms is not None:
                raise SpoolUnavailable(
                    f"{self.slot.path} was removed with events in it, which are lost if this process ends before the "
                    "store is back"
                )
            self.close()
            self.slot.release()
            self.slot = None
            file = self.open()
        self._room.measure(file.bytes, file.count)
        return file

    def refusal(self, size: int) -> str | None:
        """Return why *size* bytes more must not go in, or None."""
        file = self.open_for_more()
        return self._room.refusal(file.bytes, file.quarantined, size)

    def compact(self) -> None:
        """Give space back to the disk. That needs space: if there is none, an empty file is replaced by a new one."""
        file = self.open()
        try:
            file.compact()
        except sqlite3.OperationalError as error:
            if is_damage(error) or file.oldest_ms is not None or self.slot is None:
                raise
            self.close()
            _unlink(self.slot)
            self.open()

    def publish(self) -> None:
        """Update the contents that other threads see."""
        if self._file is not None:
            self.contents = Contents(self._file.count, self._file.bytes, self._file.oldest_ms)

    def close(self) -> None:
        """Close the file and keep the slot."""
        if self._file is not None:
            file, self._file = self._file, None
            try:
                file.close()
            except sqlite3.Error as error:
                _log.error("spool.failed", folder=str(self.folder), error=str(error))

    def leave(self) -> None:
        """Close the file, remove it if it is empty, and release the slot."""
        is_empty = self._file is not None and self._file.oldest_ms is None
        self.close()
        self.was_left_empty = is_empty
        if self.slot is None:
            return
        try:
            if is_empty:
                _unlink(self.slot)
        finally:
            self.slot.release()

    def _move_in(self) -> SpoolFile:
        """Open the file of the first free slot whose file was not written by a newer version."""
        for slot in slots.free(self.folder):
            try:
                opened = _open(slot)
            except NewerFile as error:
                _log.warning("spool.passed_over", file=str(slot.path), reason=str(error))
                slot.release()
            except BaseException:
                slot.release()
                raise
            else:
                self.slot = slot
                return opened
        raise SpoolUnavailable(f"{self.folder}: all {slots.MOST} slots are taken")


def reason_of(error: Exception) -> str:
    """Return what went wrong with a spool as a clause without error numbers."""
    if isinstance(error, OSError) and error.strerror:
        return f"{error.strerror}: {error.filename}" if error.filename else error.strerror
    return str(error)


def _unlink(slot: Slot) -> None:
    """Remove the file of a slot and its companions."""
    for suffix in ("", "-wal", "-shm"):
        slot.path.with_name(slot.path.name + suffix).unlink(missing_ok=True)
    tombstones.path_of(slot.path).unlink(missing_ok=True)


def _open(slot: Slot) -> SpoolFile:
    try:
        return SpoolFile.open(slot.path)
    except sqlite3.Error as error:
        if not is_damage(error):
            raise
        return repair.reopen(slot.path, str(error))
