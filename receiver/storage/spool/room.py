"""How much may still go into a folder of spools: by its own bound, and by what the disk has left."""

import shutil
import time
from pathlib import Path

_LOOK_EVERY_S = 1.0
_SHARE_OF_DISK = 0.05
_LARGEST_RESERVE = 256 * 1_048_576
_QUARANTINE_SHARE = 10


class Room:
    """The bounds of one spool file among others in its folder. For one thread.

    *max_bytes* is for all files of the folder together. A twentieth of the disk, at most 256 MiB, is left to others:
    the server's append-only file may be on it. A tenth of the room is for requests that would go into quarantine.
    """

    def __init__(self, path: Path, max_bytes: int) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._others = 0
        self._free = 0
        self._looked_at = float("-inf")

    def refusal(self, held: int, quarantined: int, size: int, *, is_quarantined: bool = False) -> str | None:
        """Return why *size* bytes more must not go in, or None. *held*, *quarantined*: what is in the file already.

        Raises OSError when the folder cannot be looked at.
        """
        self._look()
        if self._others + held + size > self._max_bytes:
            return f"the spool is full ({self._max_bytes} bytes, FRONTDESK_SPOOL_MAX)"
        if is_quarantined and quarantined + size > self._max_bytes // _QUARANTINE_SHARE:
            return "the spool's share for quarantined requests is full"
        if self._free < size:
            return "the disk of the spool is full"
        self._free -= size
        return None

    def look_again(self) -> None:
        """Forget what was measured: something has just changed."""
        self._looked_at = float("-inf")

    def _look(self) -> None:
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_S:
            return
        disk = shutil.disk_usage(self._path.parent)
        self._free = disk.free - min(int(disk.total * _SHARE_OF_DISK), _LARGEST_RESERVE)
        self._others = sum(_size(other) for other in self._path.parent.glob("*.db*") if other.stem != self._path.stem)
        self._looked_at = now


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # emptied by its owner between our two looks
        return 0
