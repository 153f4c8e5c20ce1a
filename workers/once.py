"""`once` makes a block run once although its handler may run twice: the store remembers that the step was done.

    def charge(event: Event[CoworkerInvoice], *, bank: str) -> None:
        with once(event, "charge") as step:              # `async with` in an async handler
            if not step.done:
                step.result = pay(bank, event.data.TotalAmount, idempotency_key=step.key)
        write_to_books(event.data.Id, payment=step.result)

**What is guaranteed.** When the block ends without an exception, the store records that the step was done, with its
result. No later attempt, replay or other worker finds `step.done` false, as long as the event is kept.

**What is not.** A process can die after the block has run and before that is recorded. The next attempt then finds
`step.done` false and `step.in_doubt` true: the step was started before, and its result is unknown. So pass `step.key`
on, which is the same each time, or ask the other side what happened. A step whose block raised is in doubt as well.

Steps belong to the delivery's `event.key`: each route has its own. Outside of workers and `frontdesk try EVENT_ID`, as
in a test that calls the handler, only the process remembers them.
"""

import asyncio
import re
import threading
import time
from collections import OrderedDict
from types import TracebackType
from typing import Any, Protocol

import orjson

from receiver.core.errors import StorageUnavailable
from receiver.core.events import Event
from receiver.storage.queue.checkpoints import KnownStep, TooManySteps
from workers.api import Retry

LARGEST_RESULT = 4_096
"""Bytes of a result, written as JSON."""

_NAME = re.compile(r"[A-Za-z0-9_.-]{1,60}")
_MOST_REMEMBERED = 10_000
_WAIT_S = 5.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 2.0
_PATIENCE_S = 60.0


class StepStore(Protocol):
    """Remembers steps."""

    def begin(self, event_id: str, step: str) -> KnownStep | None:
        """Record that a step starts, and return what was known of it. None: it cannot remember this event."""

    def done(self, event_id: str, step: str, result: bytes) -> None:
        """Remember that a step was done."""


class Step:
    """One step of a delivery. *key* is the same at each attempt and replay: the idempotency key for the other side.

    *done*: it was done before, and *result* is what was remembered then. *in_doubt*: it was started before, and its
    result is unknown. Otherwise set *result* to what to remember: any JSON value of up to 4096 bytes.
    """

    __slots__ = ("done", "in_doubt", "key", "result")

    def __init__(self, key: str, *, done: bool, in_doubt: bool, result: Any) -> None:
        self.key = key
        self.done = done
        self.in_doubt = in_doubt
        self.result = result


class InMemorySteps:
    """Remembers steps in this process, the newest ten thousand. Threads may share it."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[str, str], bytes | None] = OrderedDict()
        self._lock = threading.Lock()

    def begin(self, event_id: str, step: str) -> KnownStep:
        """Note that a step begins, and return what was known of it."""
        with self._lock:
            if (event_id, step) in self._known:
                result = self._known[event_id, step]
                return KnownStep(begun=result is None, result=result)
            self._known[event_id, step] = None
            if len(self._known) > _MOST_REMEMBERED:
                self._known.popitem(last=False)
            return KnownStep()

    def done(self, event_id: str, step: str, result: bytes) -> None:
        """Remember that a step was done."""
        with self._lock:
            self._known[event_id, step] = result


class _StepStores:
    """Where this process remembers steps: in itself, until `remember_in` sets the store."""

    def __init__(self) -> None:
        self.process = InMemorySteps()
        self.store: StepStore | None = None

    def begin(self, event_id: str, step: str) -> tuple[StepStore, KnownStep]:
        known = self.store.begin(event_id, step) if self.store else None
        if self.store and known:
            return self.store, known
        return self.process, self.process.begin(event_id, step)


_step_stores = _StepStores()


def remember_in(store: StepStore | None) -> None:
    """Have this process remember steps in the store; None: in itself."""
    _step_stores.store = store


class once:  # noqa: N801 - reads as a word in `with once(...)`
    """A block that is one step of a delivery, `with once(event, "charge") as step`; see the module.

    *step* names it within the handler: 1 to 60 of A-Z, a-z, 0-9, _, . and -. Entering raises Retry, uncharged, when
    the store does not answer: the delivery waits. Raises ValueError for a name or a result that cannot be remembered;
    in the second case the step is remembered all the same, without its result.
    """

    def __init__(self, event: Event[Any], step: str) -> None:
        if not _NAME.fullmatch(step):
            raise ValueError(
                f"once: {step[:60]!r} is not a valid name for a step; use 1 to 60 of A-Z, a-z, 0-9, _, . and -"
            )
        self._event_id = event.id
        self._field = f"{event.key.removeprefix(f'{event.id}-')}/{step}"
        self._key = f"{event.key}-{step}"
        self._store: StepStore = _step_stores.process
        self._step: Step | None = None

    def __enter__(self) -> Step:
        """Begin the step."""
        _refuse_on_a_loop()
        return self._begin()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remember that the step was done, unless the block raised."""
        if kind is None:
            self._end()

    async def __aenter__(self) -> Step:
        """Begin the step."""
        return await asyncio.to_thread(self._begin)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remember that the step was done, unless the block raised."""
        if kind is None:
            await asyncio.to_thread(self._end)

    def _begin(self) -> Step:
        try:
            self._store, known = _step_stores.begin(self._event_id, self._field)
        except StorageUnavailable:
            raise Retry("the store does not say whether this step was done", after=_WAIT_S, charged=False) from None
        except TooManySteps as error:
            raise ValueError(f"once: {error}") from None
        done = known.result is not None
        result = orjson.loads(known.result) if known.result is not None else None
        self._step = Step(self._key, done=done, in_doubt=known.begun, result=result)
        return self._step

    def _end(self) -> None:
        step = self._step
        if step is None or step.done:
            return
        written, refused = _written(step.result)
        self._remember(written)
        step.done = True
        if refused:
            raise ValueError(f"once: step {self._field} was done, and its result is not remembered: {refused}")

    def _remember(self, written: bytes) -> None:
        """Retry for a minute: what was done must not be done again."""
        pause, late = _FIRST_PAUSE_S, time.monotonic() + _PATIENCE_S
        while True:
            try:
                self._store.done(self._event_id, self._field, written)
            except StorageUnavailable:
                if time.monotonic() > late:
                    raise
                time.sleep(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
            else:
                return


def _written(result: Any) -> tuple[bytes, str | None]:
    """Return a result as JSON; or null, and why it cannot be remembered."""
    try:
        written = orjson.dumps(result)
    except TypeError as error:
        return b"null", f"JSON cannot say it ({error})"
    if len(written) > LARGEST_RESULT:
        return b"null", f"it is longer than {LARGEST_RESULT} bytes"
    return written, None


def _refuse_on_a_loop() -> None:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise RuntimeError("`with once(...)` would hold up every other async handler; write `async with once(...)`")
