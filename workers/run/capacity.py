"""How many deliveries a worker process takes at a time: about 50 ms of work for each thread, one when they are slow.

Claiming many saves round trips; claiming more than can soon be run keeps them from another process that is idle. What
waits in the event loop takes no thread, and is bounded by a number of its own.
"""

import threading
import time

ASYNC_LIMIT = 256
"""Async handlers at a time in one process."""

_AHEAD_MS = 50.0
_MOST_HELD = 256
_MOST_UNRECORDED = 2_048
_WEIGHT = 0.1


class Capacity:
    """Counts what a process holds, and learns how long its handlers take. Safe to use from every thread."""

    def __init__(self, threads: int, *, alone: bool) -> None:
        """*alone*: one delivery at a time, and the next only when it is recorded."""
        self._threads = threads
        self._alone = alone
        self._changed = threading.Condition()
        self._unsettled = 0
        self._awaiting = 0
        self._unrecorded = 0
        self._average_ms = _AHEAD_MS
        self._moved = time.monotonic()

    def room(self) -> int:
        """How many deliveries to claim now."""
        if self._alone:
            return 1 - self._unrecorded
        ahead = max(1.0, _AHEAD_MS / max(self._average_ms, 0.01))
        room = min(_MOST_HELD, int(self._threads * ahead)) - self._on_threads()
        return min(room, ASYNC_LIMIT - self._awaiting, _MOST_UNRECORDED - self._unrecorded)

    def wait_for_room(self, timeout_s: float) -> None:
        """Return when there is room, or after *timeout_s*."""
        with self._changed:
            if self.room() <= 0:
                self._changed.wait(timeout_s)

    def claimed(self, number: int) -> None:
        """So many deliveries were claimed."""
        with self._changed:
            if self._on_threads() == 0:
                self._moved = time.monotonic()
            self._unsettled += number
            self._unrecorded += number

    def awaits(self) -> None:
        """One of them runs in the event loop, and takes no thread at all."""
        with self._changed:
            self._awaiting += 1
        self.ran(0)

    def ran(self, took_ms: int) -> None:
        """A delivery kept a thread busy for so long."""
        self._average_ms += (took_ms - self._average_ms) * _WEIGHT

    def settled(self, *, awaited: bool = False) -> None:
        """It is known how a delivery ended; *awaited*: one that ran in the event loop."""
        with self._changed:
            self._unsettled -= 1
            if awaited:
                self._awaiting -= 1
            else:
                self._moved = time.monotonic()
            self._changed.notify()

    def recorded(self, number: int) -> None:
        """The ends of so many deliveries are recorded."""
        with self._changed:
            self._unrecorded -= number
            self._changed.notify()

    def is_empty(self) -> bool:
        """Whether nothing is held and nothing is left to record."""
        return self._unrecorded == 0

    def is_settled(self) -> bool:
        """Whether it is known of everything that was claimed how it ended."""
        return self._unsettled == 0

    def is_stuck_for(self, seconds: float) -> bool:
        """Whether no thread has become free for so long. To be asked while something waits for one.

        If so, the handlers are slow ones from now on.
        """
        if time.monotonic() - self._moved <= seconds:
            return False
        self._average_ms = max(self._average_ms, _AHEAD_MS)
        return True

    def _on_threads(self) -> int:
        return self._unsettled - self._awaiting
