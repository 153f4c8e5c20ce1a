"""The order of a receiver's own events: of those in its spool, and of those that wait for the store."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from receiver.core import ids
from receiver.core.errors import StorageUnavailable
from receiver.storage.keep.lane_announcements import ANY, CALL_WITHIN_S, NOTHING, LaneAnnouncements
from receiver.storage.keep.store import Store
from receiver.storage.keep.store_health import StoreHealth
from receiver.storage.model.entries import Entry, Receipt, is_ordered
from receiver.storage.redis.clock import StoreClock
from receiver.storage.spool.spool import Spool

_BEAT_S = 0.06
_BEAT_WITHIN_S = 0.5
_BEAT_AGAIN_S = 0.005
_LOOK_EVERY_S = 1.0
_QUIET_S = 1.0
_MARGIN_S = 0.03
"""A margin for the uncertainty of the store's clock and for rounding to milliseconds."""


class Committing(Protocol):
    """The part that sends events of ordered routes to the store. *oldest*: the id of the first without a result."""

    @property
    def oldest(self) -> str | None: ...


class ReceiverLanes(LaneAnnouncements):
    """Announcements for this receiver's own spool, and the receiver's heartbeat.

    While there are ordered routes, or after its first event of one, the receiver sends the store a heartbeat sixteen
    times a second, each valid for a lease. When an event of an ordered route is spooled, its request is answered only
    after the last lease has ended. If the next event then goes to another receiver, the store already sees that this
    one is silent, and holds the later delivery.
    """

    lease_ms = 180

    def __init__(
        self,
        spool: Spool,
        store: Store,
        clock: StoreClock,
        health: StoreHealth,
        *,
        commit: Committing,
        is_expected: Callable[[], bool] = lambda: False,
    ) -> None:
        """*commit* sends events of ordered routes to the store. *is_expected*: whether there are such routes."""
        super().__init__(spool, store, clock)
        self._health = health
        self._commit = commit
        self._is_expected = is_expected
        self._takes_part = asyncio.Event()
        self._has_taken = False
        self._putting_by = 0
        self._spooled_at = float("-inf")
        self._leased_until = float("-inf")

    def takes(self) -> None:
        """Note that an event of an ordered route has arrived."""
        self._has_taken = True
        self._takes_part.set()

    def spools(self, entry: Entry) -> None:
        """Note an event that is about to be spooled; a call of `put_by` must follow."""
        if is_ordered(entry):
            self._kind = ANY
            self._generation += 1
            self._putting_by += 1
            self._spooled_at = asyncio.get_running_loop().time()

    async def put_by(self, entry: Entry) -> Receipt:
        """Spool an event, and return when its request may be answered. Raises RequestRefused (503) as
        `Spool.append`."""
        in_order = is_ordered(entry)
        try:
            await self._spool.append(entry)
        finally:
            self._putting_by -= in_order
        if in_order:
            await asyncio.sleep(max(self._leased_until - asyncio.get_running_loop().time(), 0.0))
        return Receipt(entry.envelope.id, "spooled")

    async def begin(self) -> None:
        """Announce at the start what the spool holds, or that the last process of this name has ended.

        Raises StorageUnavailable.
        """
        await self.announce()
        if not self._takes_part.is_set():
            await self.leave()

    async def announce(self) -> None:
        """Announce what the spool holds, before events go to the store again. Raises StorageUnavailable."""
        self._notice_file()
        if self._kind != NOTHING or self._is_expected():
            self._takes_part.set()
        if self._takes_part.is_set():
            await self.say()

    async def say(self, *, timeout_s: float = CALL_WITHIN_S) -> int:
        """Announce what the spool may hold; return how many lanes were released. Raises StorageUnavailable."""
        if self._kind == NOTHING:
            now_ms = int(self._clock() * 1_000)
            oldest = self._commit.oldest
            self._done = max(self._done, ids.lowest(min(now_ms, ids.milliseconds_of(oldest)) if oldest else now_ms))
        return await super().say(timeout_s=timeout_s)

    async def run(self) -> None:
        """Send heartbeats until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            while not self._takes_part.is_set():
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._takes_part.wait(), _LOOK_EVERY_S)
                if self._is_expected():
                    self._takes_part.set()
            began, went = clock(), 0
            if self._health.is_reachable:
                with suppress(StorageUnavailable):  # storing events finds that out, too
                    went = await self.say(timeout_s=_BEAT_WITHIN_S)
            rest_s = 0.0 if went else _BEAT_S - (clock() - began)
            await asyncio.sleep(max(rest_s, _BEAT_AGAIN_S))

    async def finished(self, mark: int) -> None:
        """See LaneAnnouncements."""
        if self._kind == NOTHING or mark != self.mark or self._putting_by:
            return
        self._kind = NOTHING
        if self._has_taken or self._is_expected():
            await self.say()
        else:
            self._takes_part.clear()
            await self.leave()

    def _may_list(self) -> bool:
        """Return whether lanes may be listed. Not while events of lanes are spooled: each would rebuild the whole
        list."""
        return self._health.is_well or asyncio.get_running_loop().time() - self._spooled_at > _QUIET_S

    async def _say(self, kind: str, timeout_s: float) -> int:
        if kind != ANY:
            self._leased_until = asyncio.get_running_loop().time() + self.lease_ms / 1_000 + _MARGIN_S
        return await super()._say(kind, timeout_s)
