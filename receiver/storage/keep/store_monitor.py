"""The background task that knows how the store is: it probes it, watches its memory, and reports the spools to it."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

from receiver.core.errors import StorageUnavailable
from receiver.process import logs
from receiver.storage.keep.circuit_breaker import CircuitBreaker
from receiver.storage.keep.store import Memory, Store
from receiver.storage.redis.clock import StoreClock
from receiver.storage.spool import reports
from receiver.storage.spool.spool import Spool

_LOOK_EVERY_S = 1.0
_CALL_WITHIN_S = 2.0
_MEMORY_WITHIN_S = 0.5
_CLOCK_WITHIN_S = 0.5
_SET_CLOCK_EVERY_S = 5.0
_SKEW_S = 2.0
_REMIND_EVERY_S = 60.0
_RELIEF = 0.02

_log = logs.get()


class StoreMonitor:
    """What is known of the store. For one event loop.

    `is_well`: live events may go there. `is_welcome`: drained ones may: also to a store that is too slow for live
    events but does take writes, because otherwise the spool of a store that stays slow would fill up.
    """

    def __init__(
        self,
        store: Store,
        clock: StoreClock,
        *,
        patience_s: float,
        memory_share: float,
        spools_of: Callable[[], tuple[Spool, ...]],
        gone: set[str],
        became_well: Callable[[], None],
        begin: Callable[[], Awaitable[None]],
        announce: Callable[[], Awaitable[None]],
    ) -> None:
        """*clock* is set by the store's. *memory_share* of the server's maxmemory is what events may fill. *gone*:
        reports to be taken away. *begin* and *announce* are awaited before events may go to the store, at the start and
        after an outage; both raise StorageUnavailable."""
        self._store = store
        self._clock = clock
        self._clock_at = 0.0
        self._warned_at = float("-inf")
        self._patience_s = patience_s
        self._memory_share = memory_share
        self._spools_of = spools_of
        self._gone = gone
        self._became_well = became_well
        self._begin = begin
        self._announce = announce
        self._breaker = CircuitBreaker()
        self._is_settled = False
        self._is_slow = False
        self._is_memory_full = False
        self._is_memory_unknown = False
        self._reminded_at = float("-inf")
        self._report_at = 0.0
        self._wake = asyncio.Event()

    @property
    def is_well(self) -> bool:
        """Whether live events should go to the store."""
        return not (self._breaker.is_open or self._is_memory_full)

    @property
    def is_welcome(self) -> bool:
        """Whether spooled events should go to the store."""
        return self.is_reachable and not self._is_memory_full

    @property
    def is_reachable(self) -> bool:
        """Whether the store takes anything at all."""
        return self._is_slow or not self._breaker.is_open

    def failed(self, error: StorageUnavailable) -> None:
        """Note that the store did not do what it was asked for."""
        self._is_slow = False
        if not self._breaker.is_open:
            _log.error("store.unavailable", error=str(error))
        self._breaker.fail(_now())
        self._wake.set()

    def told(self) -> None:
        """Report soon: a spool has become empty, or can be used no more, or again."""
        self._report_at = 0.0
        self._wake.set()

    async def start(self) -> None:
        """See whether the store is there and one that we may write to, before the first event comes."""
        try:
            await self._settle()
            await self.set_clock()
            await self._begin()
        except StorageUnavailable as error:
            self.failed(error)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._wake.clear()
            if not self._breaker.is_open:
                await self._look()
                rest_s = _LOOK_EVERY_S
            elif (rest_s := self._breaker.wait_s(_now())) <= 0:
                await self._probe()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._wake.wait()

    async def report(self, *, timeout_s: float = _CALL_WITHIN_S) -> None:
        """Tell the store what the spools hold. Raises StorageUnavailable."""
        now_ms = int(self._clock() * 1_000)
        watched = {spool.name or reports.name_without_file(spool.folder): spool for spool in self._spools_of()}
        full = {
            name: reports.value(spool.folder, spool.contents, now_ms=now_ms, trouble=spool.trouble)
            for name, spool in watched.items()
            if spool.depth or spool.trouble
        }
        empty = {name: b"" for name in watched if name not in full}
        nameless = {reports.name_without_file(spool.folder) for spool in watched.values()}
        told = (self._gone | nameless) - full.keys()
        await self._store.report(full | (empty or {"": b""}), {*empty, *told, ""}, timeout_s=timeout_s)
        self._gone -= told
        self._report_at = _now() + reports.REPORT_EVERY_S

    async def set_clock(self) -> None:
        """Ask the store for the time, and say so loudly when this machine's is another."""
        asked = self._clock.steady_now()
        try:
            ahead_s = self._clock.adjust(await self._store.time(timeout_s=_CLOCK_WITHIN_S), asked)
        except StorageUnavailable:
            return  # the looks at its memory tell of that
        self._clock_at = _now() + _SET_CLOCK_EVERY_S
        if abs(ahead_s) > _SKEW_S and _now() - self._warned_at > _REMIND_EVERY_S:
            self._warned_at = _now()
            _log.warning("clock.skewed", ahead_s=round(ahead_s, 3), remedy="events are told by the store's; use NTP")

    async def _settle(self) -> None:
        if not self._is_settled:
            await self._store.settle(timeout_s=_CALL_WITHIN_S)
            self._is_settled = True

    async def _probe(self) -> None:
        """See whether the store takes writes, and then whether it does so in time: a first one may have to connect."""
        takes_writes = False
        try:
            await self._settle()
            await self.report()
            await self.set_clock()  # of another server, perhaps
            await self._announce()
            takes_writes = True
            await self.report(timeout_s=self._patience_s)
        except StorageUnavailable:
            self._breaker.fail(_now())
            self._is_slow = takes_writes
            if takes_writes:
                self._became_well()
            return
        self._is_slow = False
        self._breaker.succeed(_now())
        _log.warning("store.available", spooled=sum(spool.depth for spool in self._spools_of()))
        self._became_well()

    async def _look(self) -> None:
        await self._look_at_memory()
        if _now() >= self._clock_at:
            await self.set_clock()
        if _now() >= self._report_at and (self._report_at == 0.0 or self._gone or self._has_news()):
            try:
                await self.report()
            except StorageUnavailable as error:
                self.failed(error)

    def _has_news(self) -> bool:
        return any(spool.depth or spool.trouble for spool in self._spools_of())

    async def _look_at_memory(self) -> None:
        try:
            memory = await self._store.memory(timeout_s=_MEMORY_WITHIN_S)
        except StorageUnavailable as error:
            if not self._is_memory_unknown:
                _log.warning("store.memory_unknown", error=str(error))
            self._is_memory_unknown = True
            return
        self._is_memory_unknown = False
        was_full = self._is_memory_full
        bound = self._memory_share - (_RELIEF if was_full else 0.0)
        is_full = memory.limit > 0 and memory.used >= memory.limit * bound
        if was_full and not is_full:
            try:
                await self._announce()
            except StorageUnavailable as error:
                self.failed(error)
        self._is_memory_full = is_full
        if is_full:
            self._remind(memory)
        elif was_full:
            _log.warning("store.memory_free", used=memory.used, maxmemory=memory.limit)
            self._reminded_at = float("-inf")
            self._became_well()

    def _remind(self, memory: Memory) -> None:
        if _now() - self._reminded_at > _REMIND_EVERY_S:
            self._reminded_at = _now()
            _log.error(
                "store.memory_full",
                used=memory.used,
                maxmemory=memory.limit,
                remedy="events are spooled; raise maxmemory or shorten FRONTDESK_RETENTION",
            )


def _now() -> float:
    return asyncio.get_running_loop().time()
