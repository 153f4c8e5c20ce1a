"""What is known of the store. Whoever uses it says when it failed; the monitor says when it is well again."""

import asyncio

from receiver.core.errors import StorageUnavailable
from receiver.process import logs
from receiver.storage.keep.circuit_breaker import CircuitBreaker

_log = logs.get()


class StoreHealth:
    """Whether the store should get events. For one event loop.

    `is_well`: live events may go there. `is_welcome`: drained ones may: also to a store that is too slow for live
    events but does take writes, because otherwise the spool of a store that stays slow would fill up.
    """

    def __init__(self) -> None:
        self._breaker = CircuitBreaker()
        self._is_slow = False
        self._is_memory_full = False
        self.is_well = True
        """Whether live events should go to the store; an attribute, for each of them looks at it."""
        self.has_news = asyncio.Event()
        """Set for the monitor, when there is something to look at or to report before its time."""

    @property
    def is_welcome(self) -> bool:
        """Whether spooled events should go to the store."""
        return self.is_reachable and not self._is_memory_full

    @property
    def is_reachable(self) -> bool:
        """Whether the store takes anything at all."""
        return self._is_slow or not self._breaker.is_open

    @property
    def is_broken(self) -> bool:
        """Whether it has failed, and no probe has gone through since."""
        return self._breaker.is_open

    @property
    def is_memory_full(self) -> bool:
        """Whether its memory is so full that events are spooled."""
        return self._is_memory_full

    @property
    def probe_in_s(self) -> float:
        """How long until the next probe is due; of use while it is broken."""
        return self._breaker.wait_s(_now())

    def failed(self, error: StorageUnavailable) -> None:
        """Note that the store did not do what it was asked for."""
        if not self._breaker.is_open:
            _log.error("store.unavailable", error=str(error))
        self._note_failure(is_slow=False)
        self.has_news.set()

    def failed_probe(self, *, takes_writes: bool) -> None:
        """Note that a probe failed. *takes_writes*: the store did what it was asked for, but not in time."""
        self._note_failure(is_slow=takes_writes)

    def passed_probe(self) -> None:
        """Note that a probe went through."""
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
