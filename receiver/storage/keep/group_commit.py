"""Group commit: all events that arrive in one iteration of the event loop go to Redis in one call.

A single event does not wait; under load, events collect into batches while an earlier call is running: a few events
wait for the call before theirs. No request is answered before the reply to the batch that holds its event.
A batch is one call and one callback: its events have no task and no future of their own.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from functools import partial
from typing import Any

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.core.one_loop import InOneLoop
from receiver.process import logs
from receiver.storage.keep.asyncio_helpers import end, outcome_of
from receiver.storage.keep.pending_events import PendingEvents, Settle, Waiting, answer_all, next_batch
from receiver.storage.keep.store import Store
from receiver.storage.model.entries import Entry, OnResult, Receipt, StoreResult
from receiver.storage.redis.store_client import is_refusal

_BATCHES_IN_FLIGHT = 6
"""Those that reach a store together share what it waits for: its disk under `appendfsync always`, its replicas."""

_WORTH_A_CALL = 4
"""A batch of so many events is sent although another call is running; a smaller one would cost the store too much."""

_MOST_LATE = 8
_MOST_PENDING = 20_000

_log = logs.get()


class GroupCommit(InOneLoop):
    """Stores events in Redis, many in one call. Each event loop has its own, which may be created before the loop runs.

    A call whose reply is late is not cancelled: its events get their result (not certainly stored), its connection goes
    on waiting for up to *timeout_s*, and other calls use other connections meanwhile.
    """

    def __init__(
        self,
        store: Store,
        *,
        patience_s: float = 5.0,
        timeout_s: float = 5.0,
        committed: Callable[[int], None] | None = None,
        settle: Settle = answer_all,
        in_order: bool = False,
    ) -> None:
        """*patience_s*: how long an event may wait for its result, in the queue and in a call together. *committed* is
        called with the number of events of each successful call, *settle* with the result of each event. *in_order*:
        only one call at a time; if an event is not certainly stored, all later ones get that result as well."""
        self._store = store
        self._patience_s = patience_s
        self._confirm_ms = int(patience_s * 500)
        self._timeout_s = timeout_s
        self._out_of_patience = f"Redis has not answered within {patience_s * 1_000:.0f} ms"
        self._committed = committed
        self._settle = settle
        self._in_order = in_order
        self._pending: deque[Waiting] = deque()
        self._unanswered = PendingEvents(patience_s, self._lose_patience)
        self._number = 0
        self._flying: set[int] = set()
        self._late: set[int] = set()
        self._slow: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._has_landed = asyncio.Event()

    @property
    def is_busy(self) -> bool:
        """Whether events are waiting or being sent now."""
        return bool(self._pending or self._flying)

    @property
    def oldest(self) -> str | None:
        """The id of the first event that has no result yet; None: there is none."""
        return self._unanswered.oldest

    def submit(self, entry: Entry, on_result: OnResult, context: Any = None) -> None:
        """Store an event; *on_result* is called with its receipt when it is in Redis.

        It gets StorageUnavailable if that is not certain in time, and RequestRefused (503) if quarantine is full.
        """
        waiting = Waiting(entry, on_result, context, self._loop.time())
        if len(self._pending) >= _MOST_PENDING:
            self._answer([waiting], [StorageUnavailable(f"{_MOST_PENDING} events are waiting for Redis already")])
            return
        if len(self._late) >= _MOST_LATE:
            self._answer([waiting], [StorageUnavailable(f"Redis has not answered the last {_MOST_LATE} calls")])
            return
        self._pending.append(waiting)
        self._unanswered.add(waiting)
        if not self._scheduled and self._may_send():
            self._scheduled = True
            self._loop.call_soon(self._flush)

    async def keep(self, entry: Entry) -> Receipt:
        """Return when the event is in Redis. Raises the errors that `submit` reports."""
        return await outcome_of(self.submit, entry)

    def give_up(self, reason: str) -> None:
        """Give all events, in their order, the result that they are not certainly stored. Running calls continue."""
        for waiting in self._unanswered.take_all():
            self._give_up(waiting, reason)

    async def close(self) -> None:
        """Wait for running calls: *timeout_s* at most, and twice that if more events wait for them."""
        while self._flying or self._pending:
            if not self._flying:
                self._flush()
            if self._flying:
                self._has_landed.clear()
                await self._has_landed.wait()
        self._unanswered.close()
        await end(self._slow)  # their events have their results

    def _flush(self) -> None:
        self._scheduled = False
        while self._pending and self._may_send():
            if batch := next_batch(self._pending):
                self._send(batch)

    def _may_send(self) -> bool:
        in_flight = len(self._flying)
        if self._in_order and in_flight:
            return False
        return not in_flight or (in_flight < _BATCHES_IN_FLIGHT and len(self._pending) >= _WORTH_A_CALL)

    def _send(self, batch: list[Waiting]) -> None:
        self._number = number = self._number + 1
        self._flying.add(number)
        for waiting in batch:
            waiting.batch = number
        try:
            is_sent = self._store.keep_at_once(
                [waiting.entry for waiting in batch],
                timeout_s=self._timeout_s,
                confirm_ms=self._confirm_ms,
                on_receipts=partial(self._landed, number, batch),
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the waiting callers need a result
            self._fail(batch, _unsent(error))
            self._forget(number)
            return
        if not is_sent:
            self._begin(number, self._commit(batch))

    def _landed(
        self, number: int, batch: list[Waiting], outcome: Sequence[Receipt | None] | StorageUnavailable | None
    ) -> None:
        if outcome is None:  # the server has lost the script
            self._begin(number, self._commit(batch))
            return
        if not isinstance(outcome, StorageUnavailable):
            self._succeed(batch, outcome)
        elif is_refusal(outcome) and len(batch) > 1:
            self._begin(number, self._commit_halves(batch, outcome))
            return
        else:
            self._fail(batch, outcome)
        self._forget(number)

    def _forget(self, number: int) -> None:
        """Forget a batch that has ended, and send the events that waited for it."""
        self._flying.discard(number)
        self._late.discard(number)
        self._has_landed.set()
        self._unanswered.forget_answered()
        self._flush()

    def _begin(self, number: int, commit: Coroutine[Any, Any, None]) -> None:
        """Store a batch in a task, which is needed only if something must be awaited or went wrong."""
        task = self._loop.create_task(commit)
        self._slow.add(task)
        task.add_done_callback(partial(self._ended, number))

    def _ended(self, number: int, task: asyncio.Task[None]) -> None:
        self._slow.discard(task)
        self._forget(number)

    async def _commit(self, batch: Sequence[Waiting]) -> None:
        """Send one batch and give each of its events a result, whatever happens: no caller is left waiting."""
        entries = [waiting.entry for waiting in batch]
        try:
            receipts = await self._store.keep(entries, timeout_s=self._timeout_s, confirm_ms=self._confirm_ms)
        except StorageUnavailable as error:
            if is_refusal(error) and len(batch) > 1:
                await self._commit_halves(batch, error)
            else:
                self._fail(batch, error)
        except BaseException as error:
            self._fail(batch, _unsent(error))
            if isinstance(error, asyncio.CancelledError):
                raise
        else:
            self._succeed(batch, receipts)

    async def _commit_halves(self, batch: Sequence[Waiting], error: StorageUnavailable) -> None:
        """Send a batch on which the script failed again in halves, until only the events at fault are refused."""
        _log.error("commit.failed", events=len(batch), error=str(error))
        await self._commit(batch[: len(batch) // 2])
        await self._commit(batch[len(batch) // 2 :])

    def _succeed(self, batch: Sequence[Waiting], receipts: Sequence[Receipt | None]) -> None:
        if None in receipts:
            _log.error("quarantine.full", refused=receipts.count(None), remedy="frontdesk events --status quarantined")
            full = RequestRefused(503, "quarantine is full", retry_after=60)
            self._answer(batch, [receipt or full for receipt in receipts])
        else:
            self._answer(batch, receipts)  # type: ignore[arg-type]
        if self._committed:
            self._committed(len(batch))

    def _fail(self, batch: Sequence[Waiting], error: StorageUnavailable) -> None:
        _log.error("commit.failed", events=len(batch), error=str(error))
        takes_others_along = self._in_order and not is_refusal(error) and not all(one.is_answered for one in batch)
        self._answer(batch, [error] * len(batch))
        if takes_others_along:
            self.give_up(str(error))

    def _answer(self, settled: Sequence[Waiting], outcomes: Sequence[StoreResult]) -> None:
        """Give the events of a batch their results, except those that have one already."""
        if any(waiting.is_answered for waiting in settled):
            pairs = [pair for pair in zip(settled, outcomes, strict=True) if not pair[0].is_answered]
            settled, outcomes = [waiting for waiting, _ in pairs], [outcome for _, outcome in pairs]
        for waiting in settled:
            waiting.is_answered = True
        if settled:
            self._settle(settled, outcomes)

    def _lose_patience(self, waiting: Waiting) -> None:
        self._give_up(waiting, self._out_of_patience)
        if self._in_order:
            self.give_up(self._out_of_patience)

    def _give_up(self, waiting: Waiting, reason: str) -> None:
        if waiting.is_answered:
            return
        self._answer([waiting], [StorageUnavailable(reason)])
        if waiting.batch in self._flying:
            self._flying.discard(waiting.batch)
            self._late.add(waiting.batch)
            self._has_landed.set()


def _unsent(error: BaseException) -> StorageUnavailable:
    return StorageUnavailable(f"the batch could not be sent ({type(error).__name__})")
