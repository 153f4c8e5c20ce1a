"""A few hundred bytes that a worker process shares with its parent: that it is alive, and what it is running.

They survive the process, so that the parent of a killed one knows which deliveries were running. Writing costs no
system call. One writer for each slot; a reader may see a slot half written, which it takes for running: the safe error.
"""

import mmap
import struct
import tempfile
import time
from dataclasses import dataclass
from typing import IO

_HEADER = struct.Struct("d")
_SLOT = struct.Struct("64sdd")


@dataclass(frozen=True, slots=True)
class Running:
    """One running attempt: its job, when it began and when its time is up (seconds of the monotonic clock)."""

    job: str
    began: float
    deadline: float


class SharedState:
    """Shared memory with a pulse and one slot for each handler thread. Times are of `time.monotonic`, which all
    processes of a machine share."""

    def __init__(self, file: IO[bytes] | int, slots: int) -> None:
        """Map the board onto an open file or its descriptor. Both sides must say the same number of slots."""
        self.slots = slots
        descriptor = file if isinstance(file, int) else file.fileno()
        self._memory = mmap.mmap(descriptor, _HEADER.size + slots * _SLOT.size)

    @staticmethod
    def file(slots: int) -> IO[bytes]:
        """Return an unnamed file of the right size, whose descriptor a child inherits."""
        file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the board
        file.truncate(_HEADER.size + slots * _SLOT.size)
        return file

    def heartbeat(self) -> None:
        """Say that the process is alive."""
        _HEADER.pack_into(self._memory, 0, time.monotonic())

    def last_heartbeat(self) -> float:
        """When the process last said so; 0 before the first time."""
        heartbeat: float = _HEADER.unpack_from(self._memory, 0)[0]
        return heartbeat

    def begin(self, slot: int, job: str, deadline: float) -> None:
        """Say that a slot runs a job."""
        _SLOT.pack_into(self._memory, _HEADER.size + slot * _SLOT.size, job.encode(), time.monotonic(), deadline)

    def end(self, slot: int) -> None:
        """Say that a slot runs nothing."""
        self._memory[_HEADER.size + slot * _SLOT.size] = 0

    def running(self) -> list[Running]:
        """What is running now, or was when the process died."""
        found = []
        for slot in range(self.slots):
            job, began, deadline = _SLOT.unpack_from(self._memory, _HEADER.size + slot * _SLOT.size)
            if job[0]:
                found.append(Running(job.rstrip(b"\0").decode("ascii", "replace"), began, deadline))
        return found
