"""A file that a process without a port touches while its main loop runs, for probes and health checks.

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
    """The file `NAME.alive` in the data directory. If it cannot be written, that is logged once and stops nothing."""

    def __init__(self, data_dir: Path, name: str, *, now: Callable[[], float] = time.monotonic) -> None:
        self._path = data_dir / f"{name}.alive"
        self._now = now
        self._next = float("-inf")
        self._told = False

    def touch(self) -> None:
        """Report that the loop still runs. Touches the file every five seconds at most, so frequent calls are cheap."""
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
