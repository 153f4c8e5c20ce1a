"""Announces a spool's events of ordered routes to the store, so that later deliveries wait for them.

The store cannot see what a spool holds. So the process that drains a spool announces its contents before later events
can overtake them: first that it may hold events of any lane, then of which lanes, then how far it is drained. Until
then, later deliveries are held in their lanes (scripts/shared/spooled_lanes.lua has the rule).
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TypeVar

from receiver.core.errors import StorageUnavailable
from receiver.process import logs
from receiver.storage.keep.store import Store
from receiver.storage.model.entries import lanes
from receiver.storage.redis.clock import StoreClock
from receiver.storage.redis.store_client import is_refusal
from receiver.storage.spool.spool import Spool, Spooled

CALL_WITHIN_S = 2.0

_LEASE_MS = 5_000
_SAY_EVERY_S = 1.0
_LISTED_FOR_MS = 60_000
_ROWS_AT_ONCE = 512
_LANES_AT_ONCE = 500
_MOST_LISTED = 100_000
"""If a spool holds more events, its lanes are not listed, because the store would have to remember each. All lanes then
wait for the spool."""

_log = logs.get()

T = TypeVar("T")

NOTHING, LISTED, ANY = "n", "l", "a"


class LaneAnnouncements:
    """Announcements for a spool that gets no new events: an adopted one, or one that a command drains. For one event
    loop."""

    lease_ms = _LEASE_MS

    def __init__(self, spool: Spool, store: Store, clock: StoreClock) -> None:
        self._spool = spool
        self._store = store
        self._clock = clock
        self._named = ""
        self._kind = NOTHING
        self._done = ""
        self._generation = 0
        self._sent_ms = 0
        self._said_at = float("-inf")

    @property
    def mark(self) -> int:
        """A number that changes with each event of a lane that goes into the spool; `finished` compares it."""
        return self._generation

    @property
    def is_settled(self) -> bool:
        """Whether the spool holds no event of any lane."""
        return self._kind == NOTHING

    def beside(self, spool: Spool) -> "LaneAnnouncements":
        """Return the same for another spool."""
        return LaneAnnouncements(spool, self._store, self._clock)

    async def say(self, *, timeout_s: float = CALL_WITHIN_S) -> int:
        """Announce what the spool may hold; return how many lanes were released. Raises StorageUnavailable."""
        return await self._say(self._kind, timeout_s) if self._spool.name else 0

    async def prepare(self) -> None:
        """Announce, before a batch is drained, of which lanes the spool has events. Raises StorageUnavailable,
        SpoolUnavailable."""
        self._notice_file()
        if self._kind != ANY or self._spool.depth > _MOST_LISTED or not self._may_list():
            return
        if self._said_at == float("-inf"):
            await self.say()
        mark, after = self.mark, 0
        while rows := await self._spool.glance(_ROWS_AT_ONCE, after=after):
            last = {lane: row.id for row in rows for lane in row.lanes}
            for some in _portions(list(last.items())):
                flat = [part for pair in some for part in pair]
                await self._store.run("list_lanes", self._spool.name, _LISTED_FOR_MS, *flat, timeout_s=CALL_WITHIN_S)
            after = rows[-1].seq
        if after and mark == self.mark:
            self._kind = LISTED
            await self.say()

    async def drained(self, batch: Sequence[Spooled]) -> None:
        """Release lanes whose spooled events are now in the store. Raises StorageUnavailable."""
        found = {lane: one.entry.envelope.id for one in batch for lane in lanes(one.entry.wanted)}
        if not found:
            return
        self._done = max(self._done, *found.values())
        for some in _portions(list(found)):
            await self._store.run("spool_drained", self._spool.name, self._done, *some, timeout_s=CALL_WITHIN_S)
        if asyncio.get_running_loop().time() - self._said_at > _SAY_EVERY_S:
            await self.say()

    async def finished(self, mark: int) -> None:
        """Announce after the last batch that no lane is left, unless an event was spooled since *mark*.

        Raises StorageUnavailable.
        """
        self._kind = NOTHING
        await self.leave()

    async def leave(self) -> None:
        """Withdraw all announcements, so that nothing waits for this spool. Raises StorageUnavailable."""
        if self._spool.name:
            await self._say("x", CALL_WITHIN_S)

    def _notice_file(self) -> None:
        """Note that a file which was just opened may hold events of any lane, left by another process."""
        if self._spool.name != self._named:
            self._named = self._spool.name
            if self._spool.depth:
                self._kind = ANY

    def _may_list(self) -> bool:
        return True

    async def _say(self, kind: str, timeout_s: float) -> int:
        sent = self._next_ms()
        self._said_at = asyncio.get_running_loop().time()
        said = ("announce_spool", self._spool.name, sent, self.lease_ms, kind, self._done)
        try:
            went, is_lost = await self._store.run(*said, timeout_s=timeout_s)
        except StorageUnavailable as error:
            if not is_refusal(error):
                raise
            _log.error("order.unannounced", spool=self._spool.name, error=str(error))  # no reason to take no events
            return 0
        if is_lost:
            self._kind = ANY
        return int(went)

    def _next_ms(self) -> int:
        """Return the store's time, never the same twice, because the latest announcement counts."""
        self._sent_ms = max(int(self._clock() * 1_000), self._sent_ms + 1)
        return self._sent_ms


def _portions(lanes: Sequence[T]) -> Iterator[Sequence[T]]:
    """Split *lanes* into portions for one call each; there is at least one portion, which may be empty."""
    for start in range(0, len(lanes) or 1, _LANES_AT_ONCE):
        yield lanes[start : start + _LANES_AT_ONCE]
