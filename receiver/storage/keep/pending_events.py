"""Events whose senders wait for an answer: how they are batched, and how long they wait at most."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from receiver.process import logs
from receiver.storage.model import keep_script
from receiver.storage.model.entries import Entry, OnResult, StoreResult

_LOOP_WAS_LATE_S = 0.03
_GRACE_S = 0.01

_log = logs.get()


class Waiting:
    """An event whose sender waits. *on_result* has to be called with the entry, its result, and *context*.

    *batch*: the number of its call, once it is in one. A number instead of a reference, because reference cycles would
    be left to the garbage collector.
    """

    __slots__ = ("batch", "context", "entry", "is_answered", "on_result", "since")

    def __init__(self, entry: Entry, on_result: OnResult, context: Any, since: float) -> None:
        self.entry = entry
        self.on_result = on_result
        self.context = context
        self.since = since
        self.batch = 0
        self.is_answered = False

    def answer(self, outcome: StoreResult) -> None:
        """Report the result to the sender. An error in one answer does not affect the others."""
        try:
            self.on_result(self.entry, outcome, self.context)
        except Exception as error:  # noqa: BLE001 - an error in one answer must not affect others
            _log.error("answer.failed", event_id=self.entry.envelope.id, error=type(error).__name__)


Settle = Callable[[Sequence[Waiting], Sequence[StoreResult]], None]
"""Called with events and the result of each, nearly always with a whole batch."""


def answer_all(settled: Sequence[Waiting], outcomes: Sequence[StoreResult]) -> None:
    """Report the result of its event to each sender."""
    for waiting, outcome in zip(settled, outcomes, strict=True):
        waiting.answer(outcome)


def next_batch(pending: deque[Waiting]) -> list[Waiting]:
    """Remove from *pending* as many events as fit into one call, and return them without those that waited too long."""
    batch: list[Waiting] = []
    cost = 0
    while pending and len(batch) < keep_script.LARGEST_BATCH:
        if pending[0].is_answered:
            pending.popleft()
            continue
        cost += keep_script.cost_us(pending[0].entry)
        if batch and cost > keep_script.LONGEST_CALL_US:
            break
        batch.append(pending.popleft())
    return batch


class PendingEvents:
    """The waiting events in the order of their arrival. *give_up* is called with each that has waited too long."""

    def __init__(self, patience_s: float, give_up: Callable[[Waiting], None]) -> None:
        self._patience_s = patience_s
        self._give_up = give_up
        self._waiting: deque[Waiting] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def oldest(self) -> str | None:
        """The id of the first event without a result; None: there is none."""
        return next((one.entry.envelope.id for one in self._waiting if not one.is_answered), None)

    def add(self, waiting: Waiting) -> None:
        """Add an event that waits from now on."""
        self._waiting.append(waiting)
        if self._alarm is None:
            self._set_alarm(waiting)

    def forget_answered(self) -> None:
        """Remove events from the front that have their result."""
        while self._waiting and self._waiting[0].is_answered:
            self._waiting.popleft()

    def take_all(self) -> Sequence[Waiting]:
        """Remove and return all waiting events."""
        waiting, self._waiting = self._waiting, deque()
        return waiting

    def close(self) -> None:
        """Stop the timer."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _set_alarm(self, first: Waiting) -> None:
        at = first.since + self._patience_s
        self._alarm = asyncio.get_running_loop().call_at(at, self._ring, at, False)

    def _ring(self, due: float, was_forgiven: bool) -> None:
        """Give up the events that have waited too long.

        If the event loop itself was late, the reply may be in the socket already: it gets a moment to be read first.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        if not was_forgiven and now - due > _LOOP_WAS_LATE_S:
            self._alarm = loop.call_later(_GRACE_S, self._ring, due, True)
            return
        self._alarm = None
        while self._waiting and self._waiting[0].since + self._patience_s <= now:
            self._give_up(self._waiting.popleft())
        self.forget_answered()
        if self._waiting and self._alarm is None:
            self._set_alarm(self._waiting[0])
