"""What the store is told of a spool's events of ordered routes, so that what comes later waits behind them.

The store cannot see what lies in a spool. So whoever looks after one announces it before anything goes past it to the
store: first that it may hold something of any lane, then of which lanes, then how far it is drained. Later deliveries
are held in their lanes until then (scripts/shared/spooled_lanes.lua has the rule).
"""

import asyncio
from collections.abc import Iterator, Sequence
from typing import TypeVar

from receiver.core.errors import StorageUnavailable
from receiver.process import logs
from receiver.storage.keep.store import Store
from receiver.storage.model.entries import lanes
from receiver.storage.redis.client import is_refusal
from receiver.storage.redis.clock import StoreClock
from receiver.storage.spool.spool import Spool, Spooled

CALL_WITHIN_S = 2.0

_LEASE_MS = 5_000
_SAY_EVERY_S = 1.0
_LISTED_FOR_MS = 60_000
_ROWS_AT_ONCE = 512
_LANES_AT_ONCE = 500
_MOST_LISTED = 100_000
"""Lanes of more events are not listed: the store would have to remember each. All lanes wait for such a spool."""

_log = logs.get()

T = TypeVar("T")

NOTHING, LISTED, ANY = "n", "l", "a"


class LaneAnnouncements:
    """Of a spool that takes no new events: one that was adopted, or is drained by hand. For one event loop."""

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
        """What `finished` compares: it changes with each event of a lane that goes into the spool."""
        return self._generation

    @property
    def is_settled(self) -> bool:
        """Whether the spool holds nothing of any lane."""
        return self._kind == NOTHING

    def beside(self, spool: Spool) -> "LaneAnnouncements":
        """Return the same for another spool."""
        return LaneAnnouncements(spool, self._store, self._clock)

    async def say(self, *, timeout_s: float = CALL_WITHIN_S) -> int:
        """Tell the store what may be in the spool; return how many lanes went on. Raises StorageUnavailable."""
        return await self._say(self._kind, timeout_s) if self._spool.name else 0

    async def prepare(self) -> None:
        """Before a batch is drained: say which lanes the spool has events of. Raises StorageUnavailable,
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
        """Let lanes go on whose events in the spool are in the store now. Raises StorageUnavailable."""
        found = {lane: one.entry.envelope.id for one in batch for lane in lanes(one.entry.wanted)}
        if not found:
            return
        self._done = max(self._done, *found.values())
        for some in _portions(list(found)):
            await self._store.run("spool_drained", self._spool.name, self._done, *some, timeout_s=CALL_WITHIN_S)
        if asyncio.get_running_loop().time() - self._said_at > _SAY_EVERY_S:
            await self.say()

    async def finished(self, mark: int) -> None:
        """After the last batch: nothing of any lane is left, unless something came since *mark*.

        Raises StorageUnavailable.
        """
        self._kind = NOTHING
        await self.leave()

    async def leave(self) -> None:
        """Have nobody wait for this spool any more. Raises StorageUnavailable."""
        if self._spool.name:
            await self._say("x", CALL_WITHIN_S)

    def _notice_file(self) -> None:
        """What another process has left in a file that was opened just now may be of any lane."""
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
        """The time now, by the store's clock, and never the same twice: what was said later counts."""
        self._sent_ms = max(int(self._clock() * 1_000), self._sent_ms + 1)
        return self._sent_ms


def _portions(lanes: Sequence[T]) -> Iterator[Sequence[T]]:
    """Cut *lanes* into what one call takes; there is at least one portion, perhaps empty."""
    for start in range(0, len(lanes) or 1, _LANES_AT_ONCE):
        yield lanes[start : start + _LANES_AT_ONCE]
