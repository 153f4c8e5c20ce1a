"""The background task that drains spools: this process's own, and those that ended processes left on this disk."""

import asyncio
from contextlib import suppress
from typing import Protocol

from receiver.core.errors import SpoolUnavailable, StorageUnavailable
from receiver.process import logs
from receiver.storage.keep.drain import Drained, drain
from receiver.storage.keep.lane_announcements import LaneAnnouncements
from receiver.storage.keep.receiver_lanes import ReceiverLanes
from receiver.storage.keep.spool_reporter import SpoolReporter
from receiver.storage.keep.store import Store
from receiver.storage.keep.store_health import StoreHealth
from receiver.storage.model import keep_script
from receiver.storage.spool import slots
from receiver.storage.spool.slots import Slot
from receiver.storage.spool.spool import Spool

_LOOK_FOR_ORPHANS_EVERY_S = 5.0
_REST_S = 1.0
_AFTER_FAILURE_S = 30.0
_GIVE_WAY_S = 0.1
_GLANCE_S = 0.002
_SMALL_BATCH = 64

_log = logs.get()


class Busy(Protocol):
    """The part that sends live events to the store."""

    @property
    def is_busy(self) -> bool: ...


class DrainTask:
    """Drains whenever the store accepts events and a spool holds some. Each event loop has its own."""

    def __init__(
        self,
        own: Spool,
        store: Store,
        health: StoreHealth,
        *,
        commit: Busy,
        reporter: SpoolReporter,
        lanes: ReceiverLanes,
        max_bytes: int,
        alias_ms: int,
    ) -> None:
        """*commit*: whose events go first. *lanes*: of the spool *own*. *max_bytes* bounds all spools of its folder."""
        self._own = own
        self._store = store
        self._health = health
        self._commit = commit
        self._reporter = reporter
        self._lanes = lanes
        self._max_bytes = max_bytes
        self._alias_ms = alias_ms
        self._next_look = 0.0
        self._not_before: dict[str, float] = {}
        self._wake = asyncio.Event()

    def wake(self) -> None:
        """Check at once whether there is something to drain."""
        self._wake.set()

    async def run(self) -> None:
        """Drain until cancelled. Cancelling loses nothing: events that are not removed yet are sent again with their
        ids."""
        clock = asyncio.get_running_loop().time
        while True:
            self._wake.clear()
            if self._health.is_welcome:
                if (self._own.depth or not self._lanes.is_settled) and clock() >= self._not_before.get(
                    self._own.name, 0.0
                ):
                    await self._drain(self._own, self._lanes)
                if clock() >= self._next_look:
                    await self._adopt()
                    self._next_look = clock() + _LOOK_FOR_ORPHANS_EVERY_S
            with suppress(TimeoutError):
                async with asyncio.timeout(_REST_S):
                    await self._wake.wait()

    async def _adopt(self) -> None:
        """Drain the spools of ended processes, one after another."""
        folder, clock = self._own.folder, asyncio.get_running_loop().time
        try:
            for number in await asyncio.to_thread(slots.used, folder):
                if clock() < self._not_before.get(self._own.name_of(number), 0.0) or not self._health.is_welcome:
                    continue
                slot = await asyncio.to_thread(slots.adopt, folder, number)
                if slot is not None:
                    await self._drain_adopted(slot)
        except OSError as error:
            _log.error("spool.failed", folder=str(folder), error=str(error))

    async def _drain_adopted(self, slot: Slot) -> None:
        spool = self._reporter.adopted = Spool(self._own.folder, max_bytes=self._max_bytes, slot=slot)
        try:
            if await spool.open():
                _log.warning("spool.adopted", spool=spool.name, events=spool.depth)
            await self._drain(spool, self._lanes.beside(spool))
        finally:
            self._reporter.adopted = None
            if spool.depth == 0:
                # Before anything that can be cancelled: nobody else would take its report out.
                self._reporter.gone.add(spool.name)
            if await spool.close():
                self._reporter.soon()
            else:
                self._reporter.gone.discard(spool.name)

    async def _drain(self, spool: Spool, lanes: LaneAnnouncements) -> None:
        """Drain one spool as far as possible. Events that cannot be drained now are tried again later."""
        drained = Drained()
        try:
            drained = await drain(spool, self._store, alias_ms=self._alias_ms, pace=self._pace, order=lanes)
            if spool.depth == 0:
                await spool.compact()
        except SpoolUnavailable as error:
            _log.error("spool.failed", spool=spool.name, error=str(error))
            self._leave_alone(spool)
        except StorageUnavailable as error:
            self._health.failed(error)
        if drained.held_back:
            self._leave_alone(spool)
        _log.info("spool.drained", spool=spool.name, left=spool.depth, **drained.counts())
        if spool.depth == 0:
            self._reporter.soon()

    def _leave_alone(self, spool: Spool) -> None:
        self._not_before[spool.name] = asyncio.get_running_loop().time() + _AFTER_FAILURE_S

    async def _pace(self) -> int:
        """Let live events go first for up to a tenth of a second; under steady load, continue in small batches."""
        for _ in range(int(_GIVE_WAY_S / _GLANCE_S)):
            if not self._health.is_welcome:
                return 0
            if not self._commit.is_busy:
                return keep_script.LARGEST_BATCH
            await asyncio.sleep(_GLANCE_S)
        return _SMALL_BATCH
