"""Group commit: every event that arrives in one turn of the event loop goes to Redis in one call.

A lone event waits for nothing; under load batches form by themselves while earlier ones are on their way: a few events
wait for the call before theirs. Nobody is answered before the reply to the batch that holds its event.
"""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.process import logs
from receiver.storage.keep.store import Store
from receiver.storage.keep.tasks import end, outcome_of
from receiver.storage.model import keep_script
from receiver.storage.model.entries import Entry, OnResult, Receipt
from receiver.storage.redis.client import is_refusal

_BATCHES_IN_FLIGHT = 6
"""Those that reach a store together share what it waits for: its disk under `appendfsync always`, its replicas."""

_WORTH_A_CALL = 4
"""So many events go at once, although another call is on its way; fewer would cost the store more than they gain."""

_MOST_LATE = 8
_MOST_PENDING = 20_000
_LOOP_WAS_LATE_S = 0.03
_GRACE_S = 0.01

_log = logs.get()


@dataclass(slots=True, eq=False)
class _Waiting:
    """An event whose sender waits. *batch* is the call that it is in, once it is in one."""

    entry: Entry
    told: OnResult
    since: float
    batch: asyncio.Task[None] | None = None
    is_answered: bool = False

    def answer(self, outcome: Receipt | RequestRefused | StorageUnavailable) -> None:
        """Answer, unless that was done. What goes wrong with one answer keeps nobody else waiting."""
        if self.is_answered:
            return
        self.is_answered = True
        try:
            self.told(self.entry, outcome)
        except Exception as error:  # noqa: BLE001 - as said
            _log.error("answer.failed", event_id=self.entry.envelope.id, error=type(error).__name__)


class GroupCommit:
    """Keeps events in Redis, many in one call. Belongs to one event loop; made before it runs, used inside it.

    A call whose reply is late is not torn down: its events are answered for (as not certainly kept), its connection
    waits on, up to *timeout_s*, and other calls go through other connections meanwhile.
    """

    def __init__(
        self,
        store: Store,
        *,
        patience_s: float = 5.0,
        timeout_s: float = 5.0,
        committed: Callable[[int], None] | None = None,
        in_order: bool = False,
    ) -> None:
        """*patience_s*: how long an event may wait for its answer, in the queue and in a call together. *committed* is
        told how many events each call that went well has taken. *in_order*: one call at a time; when one event is not
        certainly kept, all that came after it are answered for as well."""
        self._store = store
        self._patience_s = patience_s
        self._timeout_s = timeout_s
        self._out_of_patience = f"Redis has not answered within {patience_s * 1_000:.0f} ms"
        self._committed = committed
        self._in_order = in_order
        self._pending: deque[_Waiting] = deque()
        self._unanswered: deque[_Waiting] = deque()
        self._flying: set[asyncio.Task[None]] = set()
        self._late: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._alarm: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @property
    def is_busy(self) -> bool:
        """Whether events are waiting or on their way right now."""
        return bool(self._pending or self._flying)

    @property
    def oldest(self) -> str | None:
        """The id of the first event that is not answered for; None: there is none."""
        return next((one.entry.envelope.id for one in self._unanswered if not one.is_answered), None)

    def submit(self, entry: Entry, told: OnResult) -> None:
        """Keep an event; *told* hears of it when it is in Redis.

        It hears StorageUnavailable when that is not certain in time, RequestRefused (503) when quarantine is full.
        """
        if len(self._pending) >= _MOST_PENDING:
            told(entry, StorageUnavailable(f"{_MOST_PENDING} events are waiting for Redis already"))
            return
        if len(self._late) >= _MOST_LATE:
            told(entry, StorageUnavailable(f"Redis has not answered the last {_MOST_LATE} calls"))
            return
        loop = self._loop = self._loop or asyncio.get_running_loop()
        waiting = _Waiting(entry, told, loop.time())
        self._pending.append(waiting)
        self._unanswered.append(waiting)
        if self._alarm is None:
            self._set_alarm(loop, waiting.since + self._patience_s)
        if not self._scheduled and self._may_send():
            self._scheduled = True
            loop.call_soon(self._flush)

    async def keep(self, entry: Entry) -> Receipt:
        """Return when the event is in Redis; raises what `submit` tells."""
        return await outcome_of(self.submit, entry)

    def give_up(self, reason: str) -> None:
        """Answer for all events, as not certainly kept, in their order. What is on its way goes on."""
        while self._unanswered:
            self._give_up(self._unanswered.popleft(), reason)

    async def close(self) -> None:
        """Wait for what is on its way; it takes *timeout_s* at most, and twice that when events are waiting behind."""
        while self._flying or self._pending:
            if not self._flying:
                self._flush()
            if self._flying:
                await asyncio.wait(self._flying)
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        await end(self._late)  # their events have been answered for

    def _flush(self) -> None:
        self._scheduled = False
        while self._pending and self._may_send():
            batch: list[_Waiting] = []
            cost = 0
            while self._pending and len(batch) < keep_script.LARGEST_BATCH:
                if self._pending[0].is_answered:  # it waited too long
                    self._pending.popleft()
                    continue
                cost += keep_script.cost_us(self._pending[0].entry)
                if batch and cost > keep_script.LONGEST_CALL_US:
                    break
                batch.append(self._pending.popleft())
            if batch:
                self._send(batch)

    def _may_send(self) -> bool:
        in_flight = len(self._flying)
        if self._in_order and in_flight:
            return False
        return not in_flight or (in_flight < _BATCHES_IN_FLIGHT and len(self._pending) >= _WORTH_A_CALL)

    def _send(self, batch: list[_Waiting]) -> None:
        task = asyncio.get_running_loop().create_task(self._commit(batch))
        for waiting in batch:
            waiting.batch = task
        self._flying.add(task)
        task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._late.discard(task)
        while self._unanswered and self._unanswered[0].is_answered:
            self._unanswered.popleft()
        self._flush()

    async def _commit(self, batch: list[_Waiting]) -> None:
        """Send one batch and answer everyone in it, whatever happens: no caller is left waiting.

        One that the script fails on is halved until only those at fault are refused.
        """
        confirm_ms = int(self._patience_s * 500)
        try:
            entries = [waiting.entry for waiting in batch]
            receipts = await self._store.keep(entries, timeout_s=self._timeout_s, confirm_ms=confirm_ms)
        except StorageUnavailable as error:
            _log.error("commit.failed", events=len(batch), error=str(error))
            if is_refusal(error) and len(batch) > 1:
                await self._commit(batch[: len(batch) // 2])
                await self._commit(batch[len(batch) // 2 :])
            self._fail(batch, error)
        except BaseException as error:
            self._fail(batch, StorageUnavailable(f"the batch could not be sent ({type(error).__name__})"))
            if isinstance(error, asyncio.CancelledError):
                raise
            _log.error("commit.failed", events=len(batch), error=type(error).__name__)
        else:
            _answer(batch, receipts)
            if self._committed:
                self._committed(len(batch))

    def _fail(self, batch: list[_Waiting], error: StorageUnavailable) -> None:
        takes_others_along = self._in_order and not is_refusal(error) and not all(one.is_answered for one in batch)
        for waiting in batch:
            waiting.answer(error)
        if takes_others_along:
            self.give_up(str(error))

    def _set_alarm(self, loop: asyncio.AbstractEventLoop, at: float) -> None:
        self._alarm = loop.call_at(at, self._ring, at, False)

    def _ring(self, due: float, was_forgiven: bool) -> None:
        """Answer for those who have waited long enough.

        When the loop itself was late, the reply may lie in the socket unread: it gets a moment to be read first.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not was_forgiven and now - due > _LOOP_WAS_LATE_S:
            self._alarm = loop.call_later(_GRACE_S, self._ring, due, True)
            return
        self._alarm = None
        while self._unanswered and self._unanswered[0].since + self._patience_s <= now:
            self._give_up(self._unanswered.popleft(), self._out_of_patience)
            if self._in_order:
                self.give_up(self._out_of_patience)
        while self._unanswered and self._unanswered[0].is_answered:
            self._unanswered.popleft()
        if self._unanswered:
            self._set_alarm(loop, self._unanswered[0].since + self._patience_s)

    def _give_up(self, waiting: _Waiting, reason: str) -> None:
        if waiting.is_answered:
            return
        waiting.answer(StorageUnavailable(reason))
        if waiting.batch in self._flying:
            self._flying.discard(waiting.batch)
            self._late.add(waiting.batch)


def _answer(batch: Sequence[_Waiting], receipts: Sequence[Receipt | None]) -> None:
    if None in receipts:
        _log.error("quarantine.full", refused=receipts.count(None), remedy="frontdesk events --status quarantined")
    for waiting, receipt in zip(batch, receipts, strict=True):
        waiting.answer(receipt or RequestRefused(503, "quarantine is full", retry_after=60))
