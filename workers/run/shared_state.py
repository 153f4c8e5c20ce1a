"""Memory that a worker process shares with its parent: its heartbeat and its running attempts.

The memory survives the process, so that the parent of a killed one knows which deliveries were running. Writing needs
no system call. Each slot has one writer. A reader that sees a half-written slot takes it for running, the safe error.
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
class RunningAttempt:
    """One running attempt: its job, its start and its deadline (seconds of the monotonic clock)."""

    job: str
    began: float
    deadline: float


class SharedState:
    """Shared memory with a heartbeat and one slot for each attempt that may run. Times are of `time.monotonic`, which
    all processes of a machine share."""

    def __init__(self, file: IO[bytes] | int, slots: int) -> None:
        """Map an open file or its descriptor. Parent and child must pass the same number of slots."""
        self.slots = slots
        descriptor = file if isinstance(file, int) else file.fileno()
        self._memory = mmap.mmap(descriptor, _HEADER.size + slots * _SLOT.size)

    @staticmethod
    def file(slots: int) -> IO[bytes]:
        """Return an unnamed file of the right size, whose descriptor a child inherits."""
        file: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as its process
        file.truncate(_HEADER.size + slots * _SLOT.size)
        return file

    def heartbeat(self) -> None:
        """Record that the process is alive."""
        _HEADER.pack_into(self._memory, 0, time.monotonic())

    def last_heartbeat(self) -> float:
        """Return the time of the last heartbeat; 0 before the first."""
        heartbeat: float = _HEADER.unpack_from(self._memory, 0)[0]
        return heartbeat

    def begin(self, slot: int, job: str, deadline: float) -> None:
        """Record that an attempt of *job* runs in a slot."""
        _SLOT.pack_into(self._memory, _HEADER.size + slot * _SLOT.size, job.encode(), time.monotonic(), deadline)

    def end(self, slot: int) -> None:
        """Record that a slot is free."""
        self._memory[_HEADER.size + slot * _SLOT.size] = 0

    def running(self) -> list[RunningAttempt]:
        """Return what is running now, or was running when the process died."""
        found = []
        for slot in range(self.slots):
            job, began, deadline = _SLOT.unpack_from(self._memory, _HEADER.size + slot * _SLOT.size)
            if job[0]:
                found.append(RunningAttempt(job.rstrip(b"\0").decode("ascii", "replace"), began, deadline))
        return found
