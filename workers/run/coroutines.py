"""Async handlers: all of a process run on one event loop, in a thread of its own.

The timeout cancels a handler. One that blocks the loop, or swallows its cancellation, is *stuck*: its attempt is
recorded as timed out from outside, and it costs the process.
"""

import asyncio
import threading
import time
from dataclasses import dataclass

from receiver.process import logs
from workers.run import execution
from workers.run.delivery_loader import Prepared, Settle
from workers.run.execution import STUCK_AFTER_S, Ended
from workers.run.shared_state import Board

_log = logs.get()


@dataclass(eq=False, slots=True)
class _Running:
    """One attempt on the loop. *settled* is decided under the lock of the whole."""

    prepared: Prepared
    slot: int
    started_ms: int
    deadline: float
    settled: bool = False


class HandlerLoop:
    """Runs up to *limit* async handlers at a time; the board has a slot for each, behind those of the threads."""

    def __init__(self, limit: int, board: Board, first_slot: int, settle: Settle) -> None:
        self._board = board
        self._settle = settle
        self._lock = threading.Lock()
        self._free = list(range(first_slot, first_slot + limit))
        self._line: list[Prepared] = []
        self._running: set[_Running] = set()
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._run, name="handler-loop", daemon=True).start()

    def submit(self, prepared: Prepared) -> None:
        """Put a delivery at the end of the line; it starts as soon as a slot is free."""
        with self._lock:
            self._line.append(prepared)
        self._loop.call_soon_threadsafe(self._start)

    def take_back(self) -> list[Prepared]:
        """Take everything out of the line that has not begun."""
        with self._lock:
            taken, self._line = self._line, []
        return taken

    def running(self) -> list[Prepared]:
        """What runs now, attempts that timed out and did not come back left out."""
        with self._lock:
            return [one.prepared for one in self._running if not one.settled]

    def watch(self, now: float) -> bool:
        """End from outside what should have ended by itself. Returns whether something is stuck."""
        with self._lock:
            late = [one for one in self._running if now > one.deadline + STUCK_AFTER_S]
        for one in late:
            self._report(one, execution.timed_out(one.prepared.timeout_s))
        return bool(late)

    def _run(self) -> None:
        while True:
            try:
                self._loop.run_forever()
            except (SystemExit, KeyboardInterrupt) as error:
                # A task that a handler started called sys.exit: asyncio passes that on, and everybody else's stop here.
                _log.warning("handler.tried_to_exit", error=type(error).__name__)

    def _start(self) -> None:
        with self._lock:
            if not self._line or not self._free:
                return
            prepared = self._line.pop(0)
            one = _Running(prepared, self._free.pop(), int(time.time() * 1_000), time.monotonic() + prepared.timeout_s)
            self._running.add(one)
        self._board.begin(one.slot, prepared.claim.job, one.deadline)
        task = self._loop.create_task(execution.run_async(prepared.handler, prepared.event, prepared.timeout_s))
        task.add_done_callback(lambda done: self._end(one, done))

    def _end(self, one: _Running, task: asyncio.Task[Ended]) -> None:
        with self._lock:
            self._running.discard(one)
            self._free.append(one.slot)
        self._board.end(one.slot)
        ended = execution.timed_out(one.prepared.timeout_s) if task.cancelled() else task.result()
        self._report(one, ended)
        self._start()

    def _report(self, one: _Running, ended: Ended) -> None:
        with self._lock:
            settled, one.settled = one.settled, True
        if not settled:
            self._settle(one.prepared, ended, one.started_ms, int(time.time() * 1_000))
