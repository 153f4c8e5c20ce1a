"""Which core runs what, and how much processor time a program has used. Linux; elsewhere nothing is pinned."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import children_of

_TICKS = os.sysconf("SC_CLK_TCK")
_REAPED = slice(13, 15)
"""cutime and cstime in /proc/PID/stat, counted behind the name."""


def server_core() -> int | None:
    """The core that the receiver under test has for itself."""
    return _cores()[0] if _can_pin() else None


def other_core() -> int | None:
    """The core of everything else: load generator and store."""
    return _cores()[-1] if _can_pin() else None


@contextmanager
def pinned(core: int | None) -> Iterator[None]:
    """What is started inside runs on this core only, with its threads and children. None: wherever there is room."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def seconds_of(pid: int) -> float:
    """Processor time that a process and its descendants have used: by the scheduler's own count, to the nanosecond, and
    that of children which were reaped, by the clock's ticks."""
    try:
        threads = [int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()]
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    own = sum(threads) / 1e9 + sum(int(field) for field in fields[_REAPED]) / _TICKS
    return own + sum(seconds_of(child) for child in children_of(pid))


def resident_mb(pid: int) -> float:
    """Memory of a process and its descendants, in MB; pages that they share are counted for each."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6 + sum(resident_mb(child) for child in children_of(pid))


def _can_pin() -> bool:
    return sys.platform == "linux"


def _cores() -> list[int]:
    return sorted(os.sched_getaffinity(0))
