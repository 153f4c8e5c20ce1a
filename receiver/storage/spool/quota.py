"""Decides how much may still go into a folder of spools, by its own limit and by the free space of the disk.

SQLite writes a record twice: to its log, in pages, and from there to the file. Records in the log still have to go to
the file. Both are counted, so that the spool's own log never takes the last bytes of the disk.
"""

import os
import time
from pathlib import Path

_LOOK_EVERY_S = 1.0
_SHARE_OF_DISK = 0.05
_LARGEST_RESERVE = 256 * 1_048_576
_QUARANTINE_SHARE = 10
_PAGE = 4_096
_PAGES_BESIDE = 4
"""Pages that a batch changes besides those of its records: those of the index, inner ones, and the first of the
file."""


class Quota:
    """The limits of one spool file among others in its folder. For one thread.

    *max_bytes* applies to all files of the folder together. A twentieth of the disk, at most 256 MiB, is left free,
    because the server's append-only file may be on it. A tenth of the space is for requests that will be quarantined.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._others = 0
        self._free = 0
        self._is_read_only = False
        self._looked_at = float("-inf")

    def refusal(self, held: int, quarantined: int, size: int, *, is_quarantined: bool = False) -> str | None:
        """Return why *size* more bytes must not be added, or None. *held*, *quarantined*: bytes in the file already.

        Accepted bytes are counted until the next `measure`.
        """
        room = 2 * (size + _PAGE)
        if self._others + held + size > self._max_bytes:
            return f"the spool is full ({self._max_bytes} bytes, FRONTDESK_SPOOL_MAX)"
        if is_quarantined and quarantined + size > self._max_bytes // _QUARANTINE_SHARE:
            return "the spool's share for quarantined requests is full"
        if self._is_read_only:
            return "the volume of the spool is read-only"
        if self._free < room:
            return "the disk of the spool is full"
        self._free -= room
        return None

    def look_again(self) -> None:
        """Forget the measurements, because something has just changed."""
        self._looked_at = float("-inf")

    def measure(self, held: int, count: int) -> None:
        """Measure the free space. *held*: bytes of the *count* records in the file and in its log.

        Raises OSError if the folder cannot be read.
        """
        disk = os.statvfs(self._path.parent)
        self._is_read_only = bool(disk.f_flag & os.ST_RDONLY)
        logged = _size(self._path.with_name(f"{self._path.name}-wal"))
        owed = min(logged, max(held + count * _PAGE - _size(self._path), 0))
        reserve = min(int(disk.f_blocks * disk.f_frsize * _SHARE_OF_DISK), _LARGEST_RESERVE)
        self._free = disk.f_bavail * disk.f_frsize - reserve - owed - 2 * _PAGES_BESIDE * _PAGE
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_S:
            return
        self._others = sum(_size(other) for other in self._path.parent.glob("*.db*") if other.stem != self._path.stem)
        self._looked_at = now


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # its owner emptied and removed it meanwhile
        return 0
