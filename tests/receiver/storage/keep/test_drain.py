"""A drain leaves the store to live events: in small portions while they come, and never more than half of the time."""

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path

import redis

from receiver.storage.keep.drain import drain
from receiver.storage.keep.drain_task import DrainTask
from receiver.storage.keep.group_commit import GroupCommit
from receiver.storage.keep.receiver_lanes import ReceiverLanes
from receiver.storage.keep.spool_reporter import SpoolReporter
from receiver.storage.keep.store import Store
from receiver.storage.keep.store_health import StoreHealth
from receiver.storage.model.entries import Entry, Receipt
from receiver.storage.redis import connection
from receiver.storage.redis.clock import StoreClock
from receiver.storage.spool import slots
from receiver.storage.spool.spool import Spool
from tests.receiver.storage.keep.test_keep_or_spool import assert_kept_once, numbered, spool_offline, until

ALIAS_MS = 3_600_000


class Slow(Store):
    """A store that takes so many seconds more for each batch, and remembers how large they were."""

    def __init__(self, url: str, seconds: float = 0.0) -> None:
        super().__init__(connection.connect_async(url))
        self.seconds = seconds
        self.batches: list[int] = []

    async def keep(
        self, entries: Sequence[Entry], *, timeout_s: float, confirm_ms: int = 100, alias_ms: int = 0
    ) -> list[Receipt | None]:
        """Wait, then keep."""
        self.batches.append(len(entries))
        await asyncio.sleep(self.seconds)
        return await super().keep(entries, timeout_s=timeout_s, confirm_ms=confirm_ms, alias_ms=alias_ms)


class Busy(GroupCommit):
    """One that always has live events on their way."""

    is_busy = True


def drained_in_s(store: Slow, folder: Path) -> float:
    """Drain the first spool of a folder at full speed; return how long that took."""

    async def run() -> float:
        clock = asyncio.get_running_loop().time
        spool = Spool(folder, max_bytes=1 << 30, slot=slots.adopt(folder, 0))
        await spool.open()
        began = clock()
        await drain(spool, store, alias_ms=ALIAS_MS)
        took = clock() - began
        await spool.close()
        await store.close()
        return took

    return asyncio.run(run())


def test_at_most_half_of_the_time_is_taken(redis_url: str, tmp_path: Path) -> None:
    """A store that is slow is left alone for as long as it took, after each batch."""
    spool_offline(tmp_path, numbered(512))
    store = Slow(redis_url, 0.3)

    took = drained_in_s(store, tmp_path)

    assert store.batches == [256, 256]
    assert took >= 2 * 2 * 0.3


def test_a_store_that_is_fast_gets_five_thousand_a_second(redis_url: str, client: redis.Redis, tmp_path: Path) -> None:
    """All of them, once."""
    many = numbered(2_000)
    spool_offline(tmp_path, many)

    assert drained_in_s(Slow(redis_url), tmp_path) >= 2_000 / 5_000
    assert_kept_once(client, many)


def test_while_live_events_come_it_goes_on_in_small_portions(redis_url: str, tmp_path: Path) -> None:
    """Else a spool would never be emptied under load; without any they are as large as the store takes them."""

    async def batches(committer_of: Callable[[Store], GroupCommit]) -> list[int]:
        store = Slow(redis_url)
        own, committer = Spool(tmp_path, max_bytes=1 << 30), committer_of(store)
        await own.open()
        for one in numbered(200):
            await own.append(one)
        clock, health = StoreClock(), StoreHealth()
        drainer = DrainTask(
            own,
            store,
            health,
            commit=committer,
            reporter=SpoolReporter(own, store, clock, health),
            lanes=ReceiverLanes(own, store, clock, health, commit=committer),
            max_bytes=1 << 30,
            alias_ms=ALIAS_MS,
        )
        running = asyncio.create_task(drainer.run())
        await until(lambda: own.depth == 0, "the drain")
        running.cancel()
        await committer.close()
        await own.close()
        await store.close()
        return store.batches

    assert asyncio.run(batches(lambda store: Busy(store, patience_s=1, timeout_s=1))) == [64, 64, 64, 8]
    assert asyncio.run(batches(lambda store: GroupCommit(store, patience_s=1, timeout_s=1))) == [200]
