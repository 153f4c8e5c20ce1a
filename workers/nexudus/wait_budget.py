"""How long a handler's thread may wait for Nexudus: until its attempt must end, and only a few threads at a time.

A waiting thread is not available to the deliveries of other routes. So every thread may wait a second, and only a few
in each process may wait longer.
"""

import contextlib
import threading
import time
from collections.abc import Iterator

_FREELY_S = 1.0
_PLACES = 4
_AGAIN_AFTER_S = 5.0
_SHORTEST_CALL_S = 0.5


class NoTime(Exception):
    """There is no time to wait *seconds* in this attempt: the delivery has to wait instead."""

    def __init__(self, seconds: float = _AGAIN_AFTER_S) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class WaitBudget:
    """Limits the waits in one process. `until` sets the deadline of the calling thread."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self._places = threading.Semaphore(_PLACES)

    @contextlib.contextmanager
    def until(self, late: float) -> Iterator[None]:
        """Set this thread's deadline (of `time.monotonic`) within the block."""
        mine = self._mine
        mine.late, mine.waited, mine.has_place = late, 0.0, False
        try:
            yield
        finally:
            if mine.has_place:
                mine.has_place = False
                self._places.release()

    def left(self) -> float:
        """Return the seconds until this thread's deadline."""
        late: float = self._mine.late
        return max(0.0, late - time.monotonic())

    def call_s(self, longest: float) -> float:
        """Return how long a call may take that starts now, at most *longest*. Raises NoTime when too little is left."""
        left = self.left()
        if left < _SHORTEST_CALL_S:
            raise NoTime
        return min(left, longest)

    def sleep(self, seconds: float) -> None:
        """Sleep. Raises NoTime at once when that would exceed the deadline, or when too many threads wait already."""
        mine = self._mine
        if seconds > self.left():
            raise NoTime(seconds)
        mine.waited += seconds
        if mine.waited > _FREELY_S and not mine.has_place:
            mine.has_place = self._places.acquire(blocking=False)
            if not mine.has_place:
                raise NoTime(seconds)
        time.sleep(seconds)
