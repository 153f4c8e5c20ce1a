"""A file that a process without a port touches while its main loop turns: what probes and health checks look at.

`find FILE -mmin -1` prints its name as long as it was touched within the last minute.
"""

import contextlib
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

from receiver.process import logs

_EVERY_S: Final = 5.0

_log = logs.get()


class AliveFile:
    """The file `NAME.alive` in the data directory. A file that cannot be written is told once and stops nobody."""

    def __init__(self, data_dir: Path, name: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._path = data_dir / f"{name}.alive"
        self._now = now
        self._next = float("-inf")
        self._told = False

    def touch(self) -> None:
        """Say that the loop still turns; at most every five seconds, so it may be called as often as one likes."""
        if self._now() < self._next:
            return
        self._next = self._now() + _EVERY_S
        try:
            with contextlib.suppress(FileNotFoundError):
                os.utime(self._path)  # works on a full disk too
                return
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._path.touch(mode=0o600)
        except OSError as error:
            if not self._told:
                _log.warning("alive.unwritable", file=str(self._path), error=str(error))
            self._told = True
