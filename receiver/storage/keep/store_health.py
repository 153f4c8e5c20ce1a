"""What is known about the store's health. Users of the store report failures; the monitor reports recoveries."""

import asyncio

from receiver.core.errors import StorageUnavailable
from receiver.process import logs
from receiver.storage.keep.circuit_breaker import CircuitBreaker

_log = logs.get()


class StoreHealth:
    """Whether the store should get events. For one event loop.

    `is_well`: live events may go there. `is_welcome`: drained events may. They also go to a store that accepts writes
    but is too slow for live events, because otherwise the spool would fill up while the store stays slow.
    """

    def __init__(self) -> None:
        self._breaker = CircuitBreaker()
        self._is_slow = False
        self._is_memory_full = False
        self.is_well = True
        """Whether live events should go to the store. An attribute, because every event reads it."""
        self.has_news = asyncio.Event()
        """Set to make the monitor check or report before its next turn is due."""

    @property
    def is_welcome(self) -> bool:
        """Whether spooled events should go to the store."""
        return self.is_reachable and not self._is_memory_full

    @property
    def is_reachable(self) -> bool:
        """Whether the store accepts anything at all."""
        return self._is_slow or not self._breaker.is_open

    @property
    def is_broken(self) -> bool:
        """Whether it has failed, and no probe has succeeded since."""
        return self._breaker.is_open

    @property
    def is_memory_full(self) -> bool:
        """Whether its memory is so full that events are spooled."""
        return self._is_memory_full

    @property
    def probe_in_s(self) -> float:
        """Seconds until the next probe is due, while the store is broken."""
        return self._breaker.wait_s(_now())

    def failed(self, error: StorageUnavailable) -> None:
        """Note that a call of the store failed."""
        if not self._breaker.is_open:
            _log.error("store.unavailable", error=str(error))
        self._note_failure(is_slow=False)
        self.has_news.set()

    def failed_probe(self, *, takes_writes: bool) -> None:
        """Note that a probe failed. *takes_writes*: the store carried out the write, but too late."""
        self._note_failure(is_slow=takes_writes)

    def passed_probe(self) -> None:
        """Note that a probe succeeded."""
        self._is_slow = False
        self._breaker.succeed(_now())
        self._judge()

    def note_memory(self, *, is_full: bool) -> None:
        """Note whether its memory is full."""
        self._is_memory_full = is_full
        self._judge()

    def _note_failure(self, *, is_slow: bool) -> None:
        self._is_slow = is_slow
        self._breaker.fail(_now())
        self._judge()

    def _judge(self) -> None:
        self.is_well = not (self._breaker.is_open or self._is_memory_full)


def _now() -> float:
    return asyncio.get_running_loop().time()
