"""Stores events in Redis if it answers in time, else in the spool on this machine's disk.

An event waits for Redis for 150 ms at most (FRONTDESK_STORE_PATIENCE). After a failure, events do not wait at all until
a probe in the background succeeds. An event has the same id in both places, so draining the spool creates no
duplicates."""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.process import logs
from receiver.storage.keep.asyncio_helpers import end, for_ever, outcome_of
from receiver.storage.keep.drain_task import DrainTask
from receiver.storage.keep.ordered_group_commit import OrderedGroupCommit
from receiver.storage.keep.pending_events import Waiting
from receiver.storage.keep.receiver_lanes import ReceiverLanes
from receiver.storage.keep.spool_reporter import SpoolReporter
from receiver.storage.keep.store import Store
from receiver.storage.keep.store_health import StoreHealth
from receiver.storage.keep.store_monitor import StoreMonitor
from receiver.storage.model.entries import Entry, OnResult, Receipt, StoreResult, is_ordered
from receiver.storage.redis.clock import StoreClock
from receiver.storage.redis.store_client import is_refusal
from receiver.storage.spool import rejected
from receiver.storage.spool.spool import Spool

MEMORY_SHARE = 0.9
"""The share of the server's maxmemory above which events go to the spool."""

_CALL_WITHIN_S, _EXAMINE_EVERY_S = 2.0, 5.0

_log = logs.get()


class KeepOrSpool:
    """The sink into which Ingest puts events. Used by one event loop, between `start` and `close`."""

    def __init__(
        self,
        store: Store,
        folder: Path,
        *,
        max_bytes: int,
        alias_ms: int,
        patience_s: float,
        memory_share: float = MEMORY_SHARE,
        clock: StoreClock | None = None,
        committed: Callable[[int], None] | None = None,
        has_order: Callable[[], bool] = lambda: False,
    ) -> None:
        """*folder*: that of the spools, which may hold *max_bytes*. *alias_ms*: if a spooled event turns out to be a
        duplicate, how long its id leads to the event stored first. *patience_s*: how long an event waits for the store
        before it goes to the spool. *clock*: the clock for times of events. *committed*: see GroupCommit. *has_order*:
        whether there are ordered routes. `close` closes the store, too."""
        self.clock = clock or StoreClock()
        self._store = store
        self._health = StoreHealth()
        self._spool = Spool(folder, max_bytes=max_bytes)
        self._reporter = SpoolReporter(self._spool, store, self.clock, self._health)
        self._commit = OrderedGroupCommit(
            store, patience_s=patience_s, timeout_s=_CALL_WITHIN_S, committed=committed, settle=self._settle
        )
        self._lanes = ReceiverLanes(
            self._spool, store, self.clock, self._health, commit=self._commit.ordered, is_expected=has_order
        )
        self._drain = self._new_drain(max_bytes, alias_ms)
        self._monitor = self._new_monitor(patience_s, memory_share)
        self._patience_s = patience_s
        self._tasks: list[asyncio.Task[None]] = []
        self._taking = 0
        self._spooling: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._has_answered_all = asyncio.Event()

    def _new_drain(self, max_bytes: int, alias_ms: int) -> DrainTask:
        return DrainTask(
            self._spool,
            self._store,
            self._health,
            commit=self._commit,
            reporter=self._reporter,
            lanes=self._lanes,
            max_bytes=max_bytes,
            alias_ms=alias_ms,
        )

    def _new_monitor(self, patience_s: float, memory_share: float) -> StoreMonitor:
        return StoreMonitor(
            self._store,
            self.clock,
            self._health,
            reporter=self._reporter,
            lanes=self._lanes,
            drain=self._drain,
            patience_s=patience_s,
            memory_share=memory_share,
        )

    async def start(self) -> None:
        """Take a slot for the spool and start to drain what it holds. A spool that cannot be used is logged as an error
        and tried again, and does not prevent the start."""
        if not await self._spool.open():
            self._say_trouble()
        self._reporter.gone |= await asyncio.to_thread(self._spool.names_without_file)
        await self._monitor.start()
        loop = asyncio.get_running_loop()
        runs = (self._monitor.run, self._drain.run, self._lanes.run, self._examine)
        self._tasks = [loop.create_task(for_ever(run)) for run in runs]

    def submit(self, entry: Entry, on_result: OnResult, context: Any = None) -> None:
        """Store an event; *on_result* gets its receipt when it is in the store or on our disk (status `spooled`).

        It gets RequestRefused (503) if neither can hold it, or if quarantine is full. *context* is passed to it.
        """
        if self._is_closing:
            on_result(entry, RequestRefused(503, "the receiver is stopping", retry_after=5), context)
            return
        self._taking += 1
        in_order = is_ordered(entry)
        if in_order:
            self._lanes.takes()
        if self._health.is_well:
            (self._commit.ordered if in_order else self._commit.unordered).submit(entry, on_result, context)
            return
        if in_order:
            self._commit.ordered.give_up("the store is away")  # so earlier events reach the spool before this one
        waiting = Waiting(entry, on_result, context, 0.0)
        self._begin(self._put_by_or_try(entry), waiting)

    async def keep(self, entry: Entry) -> Receipt:
        """Return when the event is stored. Raises the errors that `submit` reports."""
        return await outcome_of(self.submit, entry)

    async def ready(self) -> bool:
        """Return whether an event could be stored now."""
        if self._is_closing:
            return False
        return await self._spool.can_keep() or await self._store.answers(timeout_s=self._patience_s)

    @property
    def trouble(self) -> str | None:
        """Why the spool could not hold an event if the store went away now; None: it could."""
        return self._spool.trouble

    async def _examine(self) -> None:
        """Check now and then, also while the store works, that the spool could be used."""
        while True:
            before = self.trouble
            await asyncio.sleep(_EXAMINE_EVERY_S)
            if await self._spool.examine() != before:
                self._say_trouble()
                self._reporter.soon()

    def _say_trouble(self) -> None:
        if self.trouble is None:
            _log.warning("spool.available", folder=str(self._spool.folder))
        else:
            _log.error("spool.unavailable", folder=str(self._spool.folder), reason=self.trouble)

    @property
    def spooled(self) -> int:
        """The number of events in the spools that this process drains."""
        return self._reporter.depth

    def oldest_age_s(self) -> float:
        """The age of the oldest spooled event in seconds; 0 if there is none."""
        moments = [spool.oldest for spool in self._reporter.spools if spool.oldest is not None]
        return max(self.clock() - min(moments) / 1_000, 0.0) if moments else 0.0

    async def set_aside(self) -> int:
        """Return the number of rejected events, which wait for a person; 0 if the disk cannot be read."""
        try:
            return len(await asyncio.to_thread(rejected.files, self._spool.folder))
        except OSError:
            return 0

    async def close(self, *, grace_s: float = 10.0) -> None:
        """Accept no more events, give all waiting ones their results, and release the spool's slot.

        Events that the store does not confirm in time go to the spool, for the next process on this disk.
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
        await self._commit.close()
        await self._store.close()

    async def _say_goodbye(self) -> None:
        try:
            await self._reporter.report(timeout_s=self._patience_s)
            if self._lanes.is_settled:
                await self._lanes.leave()
        except StorageUnavailable as error:
            _log.warning("spool.not_reported", events=self._spool.depth, error=str(error))

    def _settle(self, settled: Sequence[Waiting], outcomes: Sequence[StoreResult]) -> None:
        """Report events that are in the store, and spool those for which that is not certain."""
        for waiting, outcome in zip(settled, outcomes, strict=True):
            if isinstance(outcome, StorageUnavailable):
                if is_refusal(outcome):  # the store works, and the drain will reject the event
                    self._begin(self._lanes.put_by(waiting.entry), waiting)
                else:
                    self._health.failed(outcome)
                    self._begin(self._put_by_or_try(waiting.entry), waiting)
            else:
                self._answer(waiting, outcome)

    def _begin(self, keeping: Coroutine[Any, Any, Receipt], waiting: Waiting) -> None:
        """Store an event in its own task, which is needed only while the store is away."""
        self._lanes.spools(waiting.entry)
        task = asyncio.get_running_loop().create_task(self._finish(keeping, waiting))
        self._spooling.add(task)
        task.add_done_callback(self._spooling.discard)

    async def _finish(self, keeping: Coroutine[Any, Any, Receipt], waiting: Waiting) -> None:
        try:
            outcome: Receipt | RequestRefused = await keeping
        except RequestRefused as refused:
            outcome = refused
        except Exception as error:  # noqa: BLE001 - whatever it is, the waiting caller needs a result
            _log.error("spool.failed", folder=str(self._spool.folder), error=f"{type(error).__name__}: {error}")
            outcome = RequestRefused(503, "the spool cannot take it", retry_after=30)
        self._answer(waiting, outcome)

    def _answer(self, waiting: Waiting, outcome: Receipt | RequestRefused) -> None:
        self._taking -= 1
        if self._is_closing and not self._taking:
            self._has_answered_all.set()
        waiting.answer(outcome)

    async def _put_by_or_try(self, entry: Entry) -> Receipt:
        """Spool at once. Only if that is impossible, try whether the store has come back meanwhile."""
        try:
            return await self._lanes.put_by(entry)
        except RequestRefused as refused:
            try:
                return await self._commit.last_resort.keep(entry)
            except StorageUnavailable as error:
                self._health.failed(error)
                raise refused from error
