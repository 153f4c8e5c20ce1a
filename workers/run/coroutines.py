"""Async handlers: a process runs all of them on one event loop, in a thread of its own.

The timeout cancels a handler. A handler that blocks the loop or swallows the cancellation is *stuck*: `watch` records
its attempt as timed out, and the process has to be replaced.
"""

import asyncio
import threading
import time
from dataclasses import dataclass

from receiver.process import logs
from workers.run import execution
from workers.run.delivery_loader import LoadedDelivery, Settle
from workers.run.execution import STUCK_AFTER_S, AttemptResult
from workers.run.shared_state import SharedState

_log = logs.get()


@dataclass(eq=False, slots=True)
class _Running:
    """One attempt on the loop. The lock of HandlerLoop protects *settled*."""

    loaded: LoadedDelivery
    slot: int
    started_ms: int
    deadline: float
    settled: bool = False


class HandlerLoop:
    """Runs up to *limit* async handlers at a time. Each has a slot in SharedState, behind the slots of the threads."""

    def __init__(self, limit: int, state: SharedState, first_slot: int, settle: Settle) -> None:
        self._state = state
        self._settle = settle
        self._lock = threading.Lock()
        self._free = list(range(first_slot, first_slot + limit))
        self._queue: list[LoadedDelivery] = []
        self._running: set[_Running] = set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, name="handler-loop", daemon=True).start()

    def submit(self, loaded: LoadedDelivery) -> None:
        """Queue a delivery; it starts as soon as a slot is free."""
        with self._lock:
            self._queue.append(loaded)
        self._loop.call_soon_threadsafe(self._start)

    def take_back(self) -> list[LoadedDelivery]:
        """Remove and return all deliveries that have not started."""
        with self._lock:
            taken, self._queue = self._queue, []
        return taken

    def running(self) -> list[LoadedDelivery]:
        """Return what runs now, without attempts that have timed out."""
        with self._lock:
            return [one.loaded for one in self._running if not one.settled]

    def watch(self, now: float) -> bool:
        """Record attempts as timed out that should have ended by themselves. Return whether there were any."""
        with self._lock:
            late = [one for one in self._running if now > one.deadline + STUCK_AFTER_S]
        for one in late:
            self._report(one, execution.timed_out(one.loaded.timeout_s))
        return bool(late)

    def _run(self) -> None:
        while True:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                # A task that a handler started called sys.exit, which ends the loop. It is started again.
                _log.warning("handler.tried_to_exit", error=type(error).__name__)

    def _start(self) -> None:
        with self._lock:
            if not self._queue or not self._free:
                return
            loaded = self._queue.pop(0)
            one = _Running(loaded, self._free.pop(), int(time.time() * 1_000), time.monotonic() + loaded.timeout_s)
            self._running.add(one)
        self._state.begin(one.slot, loaded.claim.job, one.deadline)
        task = self._loop.create_task(execution.run_async(loaded.handler, loaded.event, loaded.timeout_s))
        task.add_done_callback(lambda done: self._end(one, done))

    def _end(self, one: _Running, task: asyncio.Task[AttemptResult]) -> None:
        with self._lock:
            self._running.discard(one)
            self._free.append(one.slot)
        self._state.end(one.slot)
        result = execution.timed_out(one.loaded.timeout_s) if task.cancelled() else task.result()
        self._report(one, result)
        self._start()

    def _report(self, one: _Running, result: AttemptResult) -> None:
        with self._lock:
            settled, one.settled = one.settled, True
        if not settled:
            self._settle(one.loaded, result, one.started_ms, int(time.time() * 1_000))
