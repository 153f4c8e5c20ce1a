"""Events whose senders wait for an answer: what goes together, and how long they wait at most."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from receiver.process import logs
from receiver.storage.model import keep_script
from receiver.storage.model.entries import Entry, OnResult, Outcome

_LOOP_WAS_LATE_S = 0.03
_GRACE_S = 0.01

_log = logs.get()


class Waiting:
    """An event whose sender waits. *on_result* is to be called with the entry, what became of it, and *context*.

    *batch*: the number of the call that it is in, once it is in one. A number, for what is in a batch must not refer to
    it: a circle would be left to the cycle collector.
    """

    __slots__ = ("batch", "context", "entry", "is_answered", "on_result", "since")

    def __init__(self, entry: Entry, on_result: OnResult, context: Any, since: float) -> None:
        self.entry = entry
        self.on_result = on_result
        self.context = context
        self.since = since
        self.batch = 0
        self.is_answered = False

    def answer(self, outcome: Outcome) -> None:
        """Tell the sender. What goes wrong with one answer keeps nobody else waiting."""
        try:
            self.on_result(self.entry, outcome, self.context)
        except Exception as error:  # noqa: BLE001 - as said
            _log.error("answer.failed", event_id=self.entry.envelope.id, error=type(error).__name__)


Settle = Callable[[Sequence[Waiting], Sequence[Outcome]], None]
"""Called with events and what became of each: nearly always with a batch."""


def answer_all(settled: Sequence[Waiting], outcomes: Sequence[Outcome]) -> None:
    """Tell each sender what became of its event."""
    for waiting, outcome in zip(settled, outcomes, strict=True):
        waiting.answer(outcome)


def next_batch(pending: deque[Waiting]) -> list[Waiting]:
    """Take off what fits one call; without those who have waited too long."""
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


class Unanswered:
    """Those that wait, in the order in which they came. *give_up* is called with each that has waited too long."""

    def __init__(self, patience_s: float, give_up: Callable[[Waiting], None]) -> None:
        self._patience_s = patience_s
        self._give_up = give_up
        self._waiting: deque[Waiting] = deque()
        self._alarm: asyncio.TimerHandle | None = None

    @property
    def oldest(self) -> str | None:
        """The id of the first event that is not answered for; None: there is none."""
        return next((one.entry.envelope.id for one in self._waiting if not one.is_answered), None)

    def add(self, waiting: Waiting) -> None:
        """Note one that waits from now on."""
        self._waiting.append(waiting)
        if self._alarm is None:
            self._set_alarm(waiting)

    def forget_answered(self) -> None:
        """Be done with those in front that are answered for."""
        while self._waiting and self._waiting[0].is_answered:
            self._waiting.popleft()

    def take_all(self) -> Sequence[Waiting]:
        """Return all that wait, and forget them."""
        waiting, self._waiting = self._waiting, deque()
        return waiting

    def close(self) -> None:
        """Wake up no more."""
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None

    def _set_alarm(self, first: Waiting) -> None:
        at = first.since + self._patience_s
        self._alarm = asyncio.get_running_loop().call_at(at, self._ring, at, False)

    def _ring(self, due: float, was_forgiven: bool) -> None:
        """Give up those who have waited long enough.

        When the loop itself was late, the reply may lie in the socket unread: it gets a moment to be read first.
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
