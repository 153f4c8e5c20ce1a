"""The background task that monitors the store: it probes the store, checks its memory, sets our clock by the store's,
and makes sure that spools and lanes are announced before events go there again."""

import asyncio
from contextlib import suppress

from receiver.core.errors import StorageUnavailable
from receiver.process import logs
from receiver.storage.keep.drain_task import DrainTask
from receiver.storage.keep.receiver_lanes import ReceiverLanes
from receiver.storage.keep.spool_reporter import SpoolReporter
from receiver.storage.keep.store import Memory, Store
from receiver.storage.keep.store_health import StoreHealth
from receiver.storage.redis.clock import StoreClock

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
    """Keeps the StoreHealth up to date. For one event loop."""

    def __init__(
        self,
        store: Store,
        clock: StoreClock,
        health: StoreHealth,
        *,
        reporter: SpoolReporter,
        lanes: ReceiverLanes,
        drain: DrainTask,
        patience_s: float,
        memory_share: float,
    ) -> None:
        """*clock* is set by the store's. *memory_share*: the share of the server's maxmemory that events may use.
        *lanes* are announced before events may go to the store, at the start and after an outage."""
        self._store = store
        self._clock = clock
        self._health = health
        self._reporter = reporter
        self._lanes = lanes
        self._drain = drain
        self._patience_s = patience_s
        self._memory_share = memory_share
        self._clock_at = 0.0
        self._warned_at = float("-inf")
        self._is_settled = False
        self._is_memory_unknown = False
        self._reminded_at = float("-inf")

    async def start(self) -> None:
        """Check, before the first event comes, that the store answers and that we may write to it."""
        try:
            await self._settle()
            await self.set_clock()
            await self._lanes.begin()
        except StorageUnavailable as error:
            self._health.failed(error)

    async def run(self) -> None:
        """Monitor until cancelled."""
        while True:
            self._health.has_news.clear()
            if not self._health.is_broken:
                await self._look()
                rest_s = _LOOK_EVERY_S
            elif (rest_s := self._health.probe_in_s) <= 0:
                await self._probe()
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(rest_s):
                    await self._health.has_news.wait()

    async def set_clock(self) -> None:
        """Ask the store for the time, and log a warning if this machine's clock differs."""
        asked = self._clock.steady_now()
        try:
            ahead_s = self._clock.adjust(await self._store.time(timeout_s=_CLOCK_WITHIN_S), asked)
        except StorageUnavailable:
            return  # the checks of its memory report that
        self._clock_at = _now() + _SET_CLOCK_EVERY_S
        if abs(ahead_s) > _SKEW_S and _now() - self._warned_at > _REMIND_EVERY_S:
            self._warned_at = _now()
            _log.warning(
                "clock.skewed",
                ahead_s=round(ahead_s, 3),
                remedy="events have the store's time; correct this clock, e.g. by NTP",
            )

    async def _settle(self) -> None:
        if not self._is_settled:
            await self._store.settle(timeout_s=_CALL_WITHIN_S)
            self._is_settled = True

    async def _probe(self) -> None:
        """Check whether the store accepts writes, then whether it does so in time: the first write may have to
        connect."""
        takes_writes = False
        try:
            await self._settle()
            await self._reporter.report()
            await self.set_clock()  # it may be another server now
            await self._lanes.announce()
            takes_writes = True
            await self._reporter.report(timeout_s=self._patience_s)
        except StorageUnavailable:
            self._health.failed_probe(takes_writes=takes_writes)
            if takes_writes:
                self._drain.wake()
            return
        self._health.passed_probe()
        _log.warning("store.available", spooled=self._reporter.depth)
        self._drain.wake()

    async def _look(self) -> None:
        await self._look_at_memory()
        if _now() >= self._clock_at:
            await self.set_clock()
        if self._reporter.is_due:
            try:
                await self._reporter.report()
            except StorageUnavailable as error:
                self._health.failed(error)

    async def _look_at_memory(self) -> None:
        try:
            memory = await self._store.memory(timeout_s=_MEMORY_WITHIN_S)
        except StorageUnavailable as error:
            if not self._is_memory_unknown:
                _log.warning("store.memory_unknown", error=str(error))
            self._is_memory_unknown = True
            return
        self._is_memory_unknown = False
        was_full = self._health.is_memory_full
        bound = self._memory_share - (_RELIEF if was_full else 0.0)
        is_full = memory.limit > 0 and memory.used >= memory.limit * bound
        if was_full and not is_full:
            try:
                await self._lanes.announce()
            except StorageUnavailable as error:
                self._health.failed(error)
        self._health.note_memory(is_full=is_full)
        if is_full:
            self._remind(memory)
        elif was_full:
            _log.warning("store.memory_free", used=memory.used, maxmemory=memory.limit)
            self._reminded_at = float("-inf")
            self._drain.wake()

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
