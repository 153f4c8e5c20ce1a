"""How long a handler's thread may wait for Nexudus: as long as its attempt has time, and not with too many others.

A thread that waits does nothing else, and the deliveries of other routes want threads, too. So anybody may wait a
second, and only a few in each process longer.
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
    """A wait of so many seconds does not fit in: the delivery has to wait instead."""

    def __init__(self, seconds: float = _AGAIN_AFTER_S) -> None:
        super().__init__(seconds)
        self.seconds = seconds


class WaitBudget:
    """The waits of one process. What a thread may do is said by `until`, and holds for that thread."""

    def __init__(self) -> None:
        self._mine = threading.local()
        self._places = threading.Semaphore(_PLACES)

    @contextlib.contextmanager
    def until(self, late: float) -> Iterator[None]:
        """Let this thread wait until *late* (of `time.monotonic`), within the block."""
        mine = self._mine
        mine.late, mine.waited, mine.has_place = late, 0.0, False
        try:
            yield
        finally:
            if mine.has_place:
                mine.has_place = False
                self._places.release()

    def left(self) -> float:
        """Return the seconds that are left to this thread."""
        late: float = self._mine.late
        return max(0.0, late - time.monotonic())

    def call_s(self, longest: float) -> float:
        """Return how long a call may take that begins now, at most *longest*. Raises NoTime when it is not worth it."""
        left = self.left()
        if left < _SHORTEST_CALL_S:
            raise NoTime
        return min(left, longest)

    def sleep(self, seconds: float) -> None:
        """Sleep. Raises NoTime, at once, when it would be too late then, or when too many wait already."""
        mine = self._mine
        if seconds > self.left():
            raise NoTime(seconds)
        mine.waited += seconds
        if mine.waited > _FREELY_S and not mine.has_place:
            mine.has_place = self._places.acquire(blocking=False)
            if not mine.has_place:
                raise NoTime(seconds)
        time.sleep(seconds)
