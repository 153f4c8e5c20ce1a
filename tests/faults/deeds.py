"""What handlers do here: write down that they began, do something of their kind, write down that they are done.

Which routes want a number follows from the number alone, so that it can be known afterwards what should have happened.
"""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from workers import Event

DIVISORS = {"quick": 1, "waits": 3, "slow": 5, "fails": 7}
"""Route by route, what a number must be divisible by."""


@dataclass(frozen=True, slots=True)
class Note:
    """One line: what a handler wrote down, when (Unix seconds), and who ran it."""

    route: str
    number: int
    what: str
    at: float
    pid: int


def wanted(number: int, *, fails: bool = True) -> frozenset[str]:
    """The routes that want a number. *fails* False: without the one that fails at first."""
    return frozenset(route for route, by in DIVISORS.items() if number % by == 0 and (fails or route != "fails"))


def notes(file: Path) -> Iterator[Note]:
    """Yield everything that was written down so far."""
    if file.exists():
        for line in file.read_text(encoding="ascii").splitlines():
            route, number, what, at, pid = line.split()
            yield Note(route, int(number), what, float(at), int(pid))


def note(path: str, route: str, number: int, what: str) -> None:
    """Append a line, in one write."""
    now = time.clock_gettime(time.CLOCK_REALTIME)  # not `time.time`, which `skew` sets wrong
    line = f"{route} {number} {what} {now:.4f} {os.getpid()}\n"
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(file, line.encode("ascii"))
    finally:
        os.close(file)


def quick(event: Event, *, path: str) -> None:
    """Nothing but the two lines."""
    note(path, "quick", event.data["Id"], "began")
    note(path, "quick", event.data["Id"], "done")


def slow(event: Event, *, path: str) -> None:
    """As one that asks somebody else over the network."""
    note(path, "slow", event.data["Id"], "began")
    time.sleep(0.05)
    note(path, "slow", event.data["Id"], "done")


async def waits(event: Event, *, path: str) -> None:
    """The same, on the event loop."""
    note(path, "waits", event.data["Id"], "began")
    await asyncio.sleep(0.02)
    note(path, "waits", event.data["Id"], "done")


def fails(event: Event, *, path: str) -> None:
    """Fails at the first attempt."""
    note(path, "fails", event.data["Id"], "began")
    if event.attempt == 1:
        note(path, "fails", event.data["Id"], "failed")
        raise ConnectionError("not at the first attempt")
    note(path, "fails", event.data["Id"], "done")


def nothing(event: Event) -> None:
    """One of very many routes that want an event."""


def run_stock(route: str, number: int, path: str) -> None:
    """The same deeds as RQ jobs of their own, for the stack beside ours."""
    note(path, route, number, "began")
    time.sleep({"quick": 0.0, "waits": 0.02, "slow": 0.05}[route])
    note(path, route, number, "done")
