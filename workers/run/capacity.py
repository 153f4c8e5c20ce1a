"""How many deliveries a worker process holds at a time: about 50 ms of work for each thread, one when they are slow.

Claiming many at once saves round trips. Claiming more than can soon run keeps them from an idle process. Async
handlers use no thread and have a limit of their own.
"""

import threading
import time

ASYNC_LIMIT = 256
"""How many async handlers one process runs at a time."""

_AHEAD_MS = 50.0
_MOST_HELD = 256
_MOST_UNRECORDED = 2_048
_WEIGHT = 0.1


class Capacity:
    """Counts the deliveries that a process holds and averages how long its handlers take. Thread-safe."""

    def __init__(self, threads: int, *, alone: bool) -> None:
        """With *alone*, the process holds one delivery at a time, until its result is recorded."""
        self._threads = threads
        self._alone = alone
        self._changed = threading.Condition()
        self._unsettled = 0
        self._awaiting = 0
        self._unrecorded = 0
        self._average_ms = _AHEAD_MS
        self._moved = time.monotonic()

    def room(self) -> int:
        """Return how many deliveries to claim now."""
        if self._alone:
            return 1 - self._unrecorded
        ahead = max(1.0, _AHEAD_MS / max(self._average_ms, 0.01))
        room = min(_MOST_HELD, int(self._threads * ahead)) - self._on_threads()
        return min(room, ASYNC_LIMIT - self._awaiting, _MOST_UNRECORDED - self._unrecorded)

    def wait_for_room(self, timeout_s: float) -> None:
        """Block until there is room, at most *timeout_s* seconds."""
        with self._changed:
            if self.room() <= 0:
                self._changed.wait(timeout_s)

    def claimed(self, number: int) -> None:
        """Note that *number* deliveries were claimed."""
        with self._changed:
            if self._on_threads() == 0:
                self._moved = time.monotonic()
            self._unsettled += number
            self._unrecorded += number

    def awaits(self) -> None:
        """Note that one of them runs on the event loop and uses no thread."""
        with self._changed:
            self._awaiting += 1
        self.ran(0)

    def ran(self, took_ms: int) -> None:
        """Note that a delivery used a thread for *took_ms*."""
        self._average_ms += (took_ms - self._average_ms) * _WEIGHT

    def settled(self, *, awaited: bool = False) -> None:
        """Note that the result of a delivery is known; *awaited*: it ran on the event loop."""
        with self._changed:
            self._unsettled -= 1
            if awaited:
                self._awaiting -= 1
            else:
                self._moved = time.monotonic()
            self._changed.notify()

    def recorded(self, number: int) -> None:
        """Note that the results of *number* deliveries are recorded."""
        with self._changed:
            self._unrecorded -= number
            self._changed.notify()

    def is_empty(self) -> bool:
        """Return whether the process holds nothing and has nothing left to record."""
        return self._unrecorded == 0

    def is_settled(self) -> bool:
        """Return whether the result of every claimed delivery is known."""
        return self._unsettled == 0

    def is_stuck_for(self, seconds: float) -> bool:
        """Return whether no thread has become free for *seconds*. Call it while a delivery waits for a thread.

        When true, the handlers count as slow from now on.
        """
        if time.monotonic() - self._moved <= seconds:
            return False
        self._average_ms = max(self._average_ms, _AHEAD_MS)
        return True

    def _on_threads(self) -> int:
        return self._unsettled - self._awaiting
