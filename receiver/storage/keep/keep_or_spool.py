"""Keeps events, come what may: in the store when it answers in time, else in the spool on this machine's disk.

An event waits for the store 150 ms at most (FRONTDESK_STORE_PATIENCE), and after a failure not at all, until a probe in
the background succeeds. An event has the same id in both places, so draining the spool duplicates nothing.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.process import logs
from receiver.storage.keep.drain_task import DrainTask
from receiver.storage.keep.ordered_group_commit import OrderedGroupCommit
from receiver.storage.keep.receiver_lanes import ReceiverLanes
from receiver.storage.keep.store import Store
from receiver.storage.keep.store_monitor import StoreMonitor
from receiver.storage.keep.tasks import end, for_ever, outcome_of
from receiver.storage.model.entries import Entry, OnResult, Receipt, is_ordered
from receiver.storage.redis.client import is_refusal
from receiver.storage.redis.clock import StoreClock
from receiver.storage.spool import rejected
from receiver.storage.spool.spool import Spool

PATIENCE_S = 0.15
"""How long an event waits for the store before it goes to the spool; the other half of the 300 ms is for that."""
MEMORY_SHARE = 0.9
"""The share of the server's maxmemory beyond which events are spooled rather than fill it."""

_CALL_WITHIN_S, _EXAMINE_EVERY_S = 2.0, 5.0

_log = logs.get()


class KeepOrSpool:
    """What Ingest keeps events with. For one event loop, between `start` and `close`."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        max_bytes: int,
        alias_ms: int,
        patience_s: float = PATIENCE_S,
        memory_share: float = MEMORY_SHARE,
        clock: StoreClock | None = None,
        committed: Callable[[int], None] | None = None,
        has_order: Callable[[], bool] = lambda: False,
    ) -> None:
        """*folder*: of the spools, bounded to *max_bytes*. *alias_ms*: how long the id of a spooled event that proves a
        duplicate leads to the event kept first. *clock*: tells the times of events. *committed*: see GroupCommit.
        *has_order*: whether there are ordered routes. The store is closed with the keeper."""
        self.clock = clock or StoreClock()
        self._store = store
        self._committer = OrderedGroupCommit(
            store, patience_s=patience_s, timeout_s=_CALL_WITHIN_S, committed=committed
        )
        self._spool = Spool(folder, max_bytes=max_bytes)
        self._order = self._new_order(has_order)
        self._drainer = self._new_drainer(max_bytes, alias_ms)
        self._watch = self._new_watch(patience_s, memory_share)
        self._patience_s = patience_s
        self._tasks: list[asyncio.Task[None]] = []
        self._taking = 0
        self._putting_by: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._has_answered_all = asyncio.Event()

    def _new_order(self, has_order: Callable[[], bool]) -> ReceiverLanes:
        return ReceiverLanes(
            self._spool,
            self._store,
            self.clock,
            oldest=self._committer.oldest_ordered,
            is_well=lambda: self._watch.is_well,
            is_reachable=lambda: self._watch.is_reachable,
            is_expected=has_order,
        )

    def _new_watch(self, patience_s: float, memory_share: float) -> StoreMonitor:
        return StoreMonitor(
            self._store,
            self.clock,
            patience_s=patience_s,
            memory_share=memory_share,
            spools_of=lambda: self._drainer.spools,
            gone=self._drainer.gone,
            became_well=self._drainer.wake,
            begin=self._order.begin,
            announce=self._order.announce,
        )

    def _new_drainer(self, max_bytes: int, alias_ms: int) -> DrainTask:
        return DrainTask(
            self._spool,
            self._store,
            self._committer,
            max_bytes=max_bytes,
            alias_ms=alias_ms,
            is_welcome=lambda: self._watch.is_welcome,
            failed=lambda error: self._watch.failed(error),
            told=lambda: self._watch.told(),
            order=self._order,
        )

    async def start(self) -> None:
        """Take a slot for the spool and begin to drain what lies there. A spool that cannot be used is said loudly,
        tried again, and is no reason not to start."""
        if not await self._spool.open():
            self._say_trouble()
        self._drainer.gone |= await asyncio.to_thread(self._spool.names_without_file)
        await self._watch.start()
        loop = asyncio.get_running_loop()
        runs = (self._watch.run, self._drainer.run, self._order.run, self._examine)
        self._tasks = [loop.create_task(for_ever(run)) for run in runs]

    def submit(self, entry: Entry, on_result: OnResult) -> None:
        """Keep an event; *on_result* hears of it when it is in the store, or on this machine's disk (status `spooled`).

        It hears RequestRefused (503) when neither can keep it, or quarantine is full.
        """
        if self._is_closing:
            on_result(entry, RequestRefused(503, "the receiver is stopping", retry_after=5))
            return
        self._taking += 1
        in_order = is_ordered(entry)
        if in_order:
            self._order.takes()
        if self._watch.is_well:
            self._committer.submit(entry, partial(self._committed, on_result))
        else:
            if in_order:
                self._committer.give_up_ordered()  # what came before goes before it
            self._begin(self._put_by_or_try(entry), entry, on_result)

    async def keep(self, entry: Entry) -> Receipt:
        """Return when the event is kept; raises what `submit` tells."""
        return await outcome_of(self.submit, entry)

    async def ready(self) -> bool:
        """Whether an event could be kept now."""
        if self._is_closing:
            return False
        return await self._spool.can_keep() or await self._store.answers(timeout_s=self._patience_s)

    @property
    def trouble(self) -> str | None:
        """Why an event could not be spooled, if the store went away now; None: it could."""
        return self._spool.trouble

    async def _examine(self) -> None:
        """See now and then, also while the store is well, that the spool could be used."""
        while True:
            before = self.trouble
            await asyncio.sleep(_EXAMINE_EVERY_S)
            if await self._spool.examine() != before:
                self._say_trouble()
                self._watch.told()

    def _say_trouble(self) -> None:
        if self.trouble is None:
            _log.warning("spool.available", folder=str(self._spool.folder))
        else:
            _log.error("spool.unavailable", folder=str(self._spool.folder), reason=self.trouble)

    @property
    def spooled(self) -> int:
        """Events in the spools that this process looks after."""
        return sum(spool.depth for spool in self._drainer.spools)

    def oldest_age_s(self) -> float:
        """How long the oldest of them has waited, in seconds; 0 when there is none."""
        moments = [spool.oldest for spool in self._drainer.spools if spool.oldest is not None]
        return max(self.clock() - min(moments) / 1_000, 0.0) if moments else 0.0

    async def set_aside(self) -> int:
        """How many files lie aside of the spools, for a person to look at; 0 when the disk does not say."""
        try:
            return len(await asyncio.to_thread(rejected.files, self._spool.folder))
        except OSError:
            return 0

    async def close(self, *, grace_s: float = 10.0) -> None:
        """Take no more, let everybody who waits be answered, and let the spool's slot go.

        What the store does not confirm in time is in the spool then, for the next process on this disk.
        """
        self._is_closing = True
        if self._taking:
            with suppress(TimeoutError):
                async with asyncio.timeout(grace_s):
                    await self._has_answered_all.wait()
        await end(self._tasks)
        if self._tasks:
            await self._say_goodbye()
            await self._spool.close()
        await self._committer.close()
        await self._store.close()

    async def _say_goodbye(self) -> None:
        try:
            await self._watch.report(timeout_s=self._patience_s)
            if self._order.is_settled:
                await self._order.leave()
        except StorageUnavailable as error:
            _log.warning("spool.not_reported", events=self._spool.depth, error=str(error))

    def _committed(self, told: OnResult, entry: Entry, outcome: Receipt | RequestRefused | StorageUnavailable) -> None:
        if isinstance(outcome, StorageUnavailable):
            if not is_refusal(outcome):  # else the store is well, and the drain sets the event aside
                self._watch.failed(outcome)
            self._begin(self._order.put_by(entry), entry, told)
        else:
            self._answer(entry, told, outcome)

    def _begin(self, keeping: Coroutine[Any, Any, Receipt], entry: Entry, told: OnResult) -> None:
        """Keep an event in a task of its own: only while the store is away."""
        self._order.spools(entry)
        task = asyncio.get_running_loop().create_task(self._finish(keeping, entry, told))
        self._putting_by.add(task)
        task.add_done_callback(self._putting_by.discard)

    async def _finish(self, keeping: Coroutine[Any, Any, Receipt], entry: Entry, told: OnResult) -> None:
        try:
            outcome: Receipt | RequestRefused = await keeping
        except RequestRefused as refused:
            outcome = refused
        except Exception as error:  # noqa: BLE001 - whatever it is, whoever waits must be told
            _log.error("spool.failed", folder=str(self._spool.folder), error=f"{type(error).__name__}: {error}")
            outcome = RequestRefused(503, "the spool cannot take it", retry_after=30)
        self._answer(entry, told, outcome)

    def _answer(self, entry: Entry, told: OnResult, outcome: Receipt | RequestRefused) -> None:
        self._taking -= 1
        if self._is_closing and not self._taking:
            self._has_answered_all.set()
        told(entry, outcome)

    async def _put_by_or_try(self, entry: Entry) -> Receipt:
        """Spool at once; only if that cannot be, see whether the store has come back meanwhile."""
        try:
            return await self._order.put_by(entry)
        except RequestRefused as refused:
            try:
                return await self._committer.keep(entry)
            except StorageUnavailable as error:
                self._watch.failed(error)
                raise refused from error
