"""Handler threads: they run sync handlers, and each attempt ends at its timeout whatever the handler does.

An attempt is settled once: by its thread when the handler returns, or by `watch` at its timeout. After that, nothing
the handler does has an effect. The exception that `watch` injects stops Python code, but not `time.sleep`, a socket, a
lock or C code. A thread that does not come back is *stuck*, and its process has to be replaced.
"""

import enum
import queue
import threading
import time
from dataclasses import dataclass, field

from workers.run import execution
from workers.run.delivery_loader import LoadedDelivery, Settle
from workers.run.execution import STUCK_AFTER_S, AttemptTimeout, inject
from workers.run.shared_state import SharedState


class _State(enum.Enum):
    """The state of an attempt. Only a running one can expire, and one that has expired is not settled again."""

    RUNNING = enum.auto()
    EXPIRED = enum.auto()
    DONE = enum.auto()


@dataclass(slots=True)
class _Slot:
    """One thread and its current attempt. Whoever holds *lock* and finds it RUNNING settles it."""

    number: int
    lock: threading.Lock = field(default_factory=threading.Lock)
    thread_id: int = 0
    loaded: LoadedDelivery | None = None
    started_ms: int = 0
    deadline: float = 0.0
    state: _State = _State.DONE
    is_interrupted: bool = False


class HandlerThreads:
    """A fixed number of threads that run sync handlers and take deliveries from one shared queue."""

    def __init__(self, number: int, state: SharedState, settle: Settle) -> None:
        self._queue: queue.SimpleQueue[LoadedDelivery | None] = queue.SimpleQueue()
        self._slots = [_Slot(slot) for slot in range(number)]
        self._state = state
        self._settle = settle
        for slot in self._slots:
            threading.Thread(target=self._work, args=(slot,), name=f"handler-{slot.number}", daemon=True).start()

    def submit(self, loaded: LoadedDelivery) -> None:
        """Queue a delivery for the next free thread."""
        self._queue.put(loaded)

    def take_back(self) -> list[LoadedDelivery]:
        """Remove and return all deliveries that no thread has started."""
        taken: list[LoadedDelivery] = []
        while True:
            try:
                loaded = self._queue.get_nowait()
            except queue.Empty:
                return taken
            if loaded is not None:
                taken.append(loaded)

    def waiting(self) -> int:
        """Return how many deliveries wait for a thread."""
        return self._queue.qsize()

    def running(self) -> list[LoadedDelivery]:
        """Return what the threads run now, without attempts that have timed out."""
        return [slot.loaded for slot in self._slots if slot.loaded is not None and slot.state is _State.RUNNING]

    def watch(self, now: float) -> bool:
        """End the attempts that exceed their timeout. Return whether a thread is stuck."""
        stuck = False
        for slot in self._slots:
            if slot.loaded is not None and now >= slot.deadline:
                stuck |= self._expire(slot, now)
        return stuck

    def _expire(self, slot: _Slot, now: float) -> bool:
        with slot.lock:
            loaded = slot.loaded
            if loaded is None or slot.state is _State.DONE or now < slot.deadline:
                return False
            # A handler may swallow the injected exception, so it is raised again until the thread comes back.
            slot.is_interrupted = True
            inject(slot.thread_id, AttemptTimeout)
            if slot.state is _State.EXPIRED:
                return now > slot.deadline + STUCK_AFTER_S
            slot.state = _State.EXPIRED
        self._settle(loaded, execution.timed_out(loaded.timeout_s), slot.started_ms, int(time.time() * 1_000))
        return False

    def _work(self, slot: _Slot) -> None:
        slot.thread_id = threading.get_ident()
        while True:
            try:
                self._rest(slot)
            except AttemptTimeout:
                continue
            loaded = self._queue.get()
            if loaded is None:
                return
            try:  # noqa: SIM105 - an injected exception could land inside contextlib.suppress itself
                self._run(slot, loaded)
            except AttemptTimeout:
                pass  # raised after the handler had returned; `watch` has settled the attempt

    def _rest(self, slot: _Slot) -> None:
        """End the attempt. Nothing can be injected into this thread until the next attempt starts."""
        with slot.lock:
            slot.state = _State.DONE
            slot.loaded = None
            if slot.is_interrupted:  # nearly never, and asking Python costs as much as the rest of this
                slot.is_interrupted = False
                inject(slot.thread_id, None)
        self._state.end(slot.number)

    def _run(self, slot: _Slot, loaded: LoadedDelivery) -> None:
        with slot.lock:
            slot.started_ms = int(time.time() * 1_000)
            slot.deadline = time.monotonic() + loaded.timeout_s
            slot.state = _State.RUNNING
            self._state.begin(slot.number, loaded.claim.job, slot.deadline)
            slot.loaded = loaded
        result = execution.run(loaded.handler, loaded.event)
        with slot.lock:
            in_time = slot.state is _State.RUNNING
            slot.state = _State.DONE  # nothing is injected from here on, so nothing interrupts the record
        if in_time:
            self._settle(loaded, result, slot.started_ms, int(time.time() * 1_000))
