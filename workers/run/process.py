"""One worker process: it claims deliveries, runs them in threads and on one event loop, and acknowledges in batches.

It has three threads beside those of the handlers: one claims, one acknowledges, one watches timeouts. Redis may become
unavailable at any time: claiming pauses, running attempts finish, and their results wait until Redis is back.
"""

import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import FrameType

from receiver.core.errors import StorageUnavailable
from receiver.process import end_signals, line_writer, logs
from receiver.process.standard_streams import ERROR
from receiver.storage.queue.queue import Acknowledgement, Claim, DeliveryQueue
from receiver.storage.redis.clock import StoreClock
from workers.run import outcome_policy
from workers.run.attempt_log import AttemptLog
from workers.run.capacity import ASYNC_LIMIT, Capacity
from workers.run.coroutines import HandlerLoop
from workers.run.delivery_loader import DeliveryLoader, LoadedDelivery
from workers.run.execution import AttemptResult
from workers.run.lease_check import LeaseCheck
from workers.run.recorder import Recorder
from workers.run.shared_counters import SharedCounters
from workers.run.shared_state import SharedState
from workers.run.threads import HandlerThreads
from workers.run.timeliness import Unrunnable

RETIRED = 75
"""Exit status of a process that ends because a handler does not come back, or because it has lost its lease."""

_TICK_S = 0.05
_LONGEST_WAIT_S = 1.0
_LOOK_EVERY_S = 1.0
_LONGEST_PAUSE_S = 5.0
_HELD_TOO_LONG_S = 0.5

_log = logs.get()


@dataclass(frozen=True, slots=True)
class WorkerConfig:
    """What the parent passes to a process. *grace_s*: how long running handlers may take after SIGTERM."""

    worker: str
    threads: int
    burst: bool = False
    alone: bool = False
    grace_s: float = 25.0


class WorkerProcess:
    """One worker process; `run` returns its exit status."""

    def __init__(
        self,
        config: WorkerConfig,
        deliveries: DeliveryQueue,
        recording: DeliveryQueue,
        loader: DeliveryLoader,
        queues: Callable[[], Sequence[str]],
        state: SharedState,
        counts: SharedCounters,
        attempts: AttemptLog,
    ) -> None:
        """*recording* has a connection of its own, see Recorder."""
        self._config = config
        self._deliveries = deliveries
        self._loader = loader
        self._queues = queues
        self._state = state
        self._counts = counts
        self._attempts = attempts
        self._threads = HandlerThreads(config.threads, state, self._settle)
        self._loop = HandlerLoop(ASYNC_LIMIT, state, config.threads, self._settle)
        self._stop = threading.Event()
        self._at_once = threading.Event()
        self._stuck = threading.Event()
        self._capacity = Capacity(config.threads, alone=config.alone)
        self._recorder = Recorder(recording, config.worker, self._recorded)
        self._holding: dict[str, Claim] = {}
        self._clock = StoreClock()
        self._lease_check = LeaseCheck(deliveries, config.worker, self._recorder, self._clock)
        self._asked: Sequence[str] = ()
        self._claimed_at = 0.0

    def run(self) -> int:
        """Work until SIGTERM, or in burst mode until nothing is left. Return the exit status."""
        signal.signal(signal.SIGTERM, self._on_signal)
        for number in (signal.SIGINT, *end_signals.numbers()[1:]):
            signal.signal(number, signal.SIG_IGN)  # they reach the whole process group; the parent decides
        threading.Thread(target=self._watch, name="watch", daemon=True).start()
        status = self._claim_until_stopped()
        self._finish()
        self._recorder.close(self._config.grace_s)
        return RETIRED if self._stuck.is_set() else status

    # -- claiming ---------------------------------------------------------------------------------------------------

    def _claim_until_stopped(self) -> int:
        pause = 0.1
        while not self._stop.is_set():
            try:
                status = self._claim_once()
                pause = 0.1
            except StorageUnavailable as error:
                _log.warning("claim.failed", worker=self._config.worker, error=str(error), pause_s=pause)
                self._lease_check.request()
                self._stop.wait(pause)
                pause = min(pause * 2, _LONGEST_PAUSE_S)
                continue
            if status is not None:
                return status
        return 0

    def _claim_once(self) -> int | None:
        """Claim what there is room for; wait when there is no room or no work. Return an exit status to stop."""
        self._lease_check.run(self._holding.keys())
        room = max(self._capacity.room(), 0)
        # A claim without room shows other workers that this one is alive and which routes it can run.
        if not room and time.monotonic() - self._claimed_at < _LOOK_EVERY_S:
            self._capacity.wait_for_room(_TICK_S)
            return None
        queues = self._queues()
        is_empty = self._capacity.is_empty()  # before the claim: what is recorded during it may let others go
        rules, runnable = self._loader.rules(), self._loader.runnable(self._asked)
        claimed = self._deliveries.claim(self._config.worker, queues, room, rules, runnable)
        self._claimed_at = time.monotonic()
        if claimed is None:
            _log.error("worker.lease_lost", worker=self._config.worker)
            return RETIRED
        if claimed.refused:
            _log.error("job.refused", jobs=claimed.refused, reason="not a delivery of Frontdesk", kept_in="rq:failed")
        self._asked = claimed.asked
        self._capacity.claimed(len(claimed.claims))
        for claim in claimed.claims:
            self._begin(claim)
        if room and not claimed.claims and not claimed.asked:
            if self._config.burst and is_empty:
                return 0
            self._wait_for_work(queues, claimed.next_due_ms)
        return None

    def _wait_for_work(self, queues: Sequence[str], next_due_ms: int) -> None:
        due_s = max(next_due_ms / 1_000 - self._clock(), 0.0) if next_due_ms else _LONGEST_WAIT_S
        self._deliveries.wait(queues, min(due_s, _LONGEST_WAIT_S))

    def _begin(self, claim: Claim) -> None:
        now = int(self._clock() * 1_000)
        self._holding[claim.job] = claim
        try:
            loaded = self._loader.load(claim, now)
        except Unrunnable as reason:
            self._end(outcome_policy.when_unrunnable(claim, reason, worker=self._config.worker, now_ms=now))
        else:
            if loaded.handler.is_async:
                self._capacity.awaits()
                self._loop.submit(loaded)
            else:
                self._threads.submit(loaded)

    # -- recording --------------------------------------------------------------------------------------------------

    def _settle(self, loaded: LoadedDelivery, ended: AttemptResult, started_ms: int, ended_ms: int) -> None:
        """Record the result of an attempt. Called once for each, by any thread."""
        if not loaded.handler.is_async:
            self._capacity.ran(ended_ms - started_ms)
        ahead_ms = int((time.time() - self._clock()) * 1_000)  # recorded in the store's time, as all else
        self._end(
            outcome_policy.after_attempt(
                loaded.claim,
                loaded.route,
                ended,
                worker=self._config.worker,
                started_ms=started_ms - ahead_ms,
                ended_ms=ended_ms - ahead_ms,
            ),
            awaited=loaded.handler.is_async,
        )
        self._attempts.write(loaded, ended, ended_ms - started_ms)

    def _end(self, ended: Acknowledgement, *, awaited: bool = False) -> None:
        """Pass an acknowledgement to the recorder; there is room for another delivery."""
        self._recorder.put(ended)
        self._capacity.settled(awaited=awaited)  # last: once all is settled, the recorder may be closed

    def _recorded(self, batch: Sequence[Acknowledgement]) -> None:
        for one in batch:
            if claim := self._holding.pop(one.job, None):
                self._counts.ended(claim, one)
        self._capacity.recorded(len(batch))

    def _give_back(self, unrun: Sequence[LoadedDelivery]) -> None:
        for loaded in unrun:
            self._end(Acknowledgement(loaded.claim.job, "give_back"), awaited=loaded.handler.is_async)

    # -- the clock and the end --------------------------------------------------------------------------------------

    def _watch(self) -> None:
        """Send heartbeats, give back what waits behind slow handlers (another process may run it), end attempts at
        their timeout, and stop the process when a handler does not come back."""
        parent = os.getppid()
        while True:
            self._state.heartbeat()
            self._counts.lines_lost(ERROR.lost)
            if os.getppid() != parent:
                self._stop.set()  # nobody renews our lease any more
            if self._threads.waiting() and self._capacity.is_stuck_for(_HELD_TOO_LONG_S):
                self._give_back(self._threads.take_back())
            now = time.monotonic()
            stuck = self._threads.watch(now)
            if (self._loop.watch(now) or stuck) and not self._stuck.is_set():
                _log.error("worker.retiring", worker=self._config.worker, reason="a handler does not come back")
                self._stuck.set()
                self._stop.set()
            time.sleep(_TICK_S)

    def _finish(self) -> None:
        """Give back what has not started, wait for running attempts within the grace time, give back the rest."""
        deadline = time.monotonic() + self._config.grace_s
        self._give_back(self._threads.take_back() + self._loop.take_back())
        while time.monotonic() < deadline and not self._at_once.is_set():
            # Not `running`: a thread may just have taken a delivery, or be about to settle one.
            if self._capacity.is_settled():
                return
            time.sleep(_TICK_S)
        for loaded in self._threads.running() + self._loop.running():
            given_back = Acknowledgement(loaded.claim.job, "uncharged", 0, loaded.route.timeout_ms)
            self._end(given_back, awaited=loaded.handler.is_async)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """First SIGTERM: stop claiming and finish what runs. Second: give back at once what is still held."""
        del number, frame
        if self._stop.is_set():
            self._at_once.set()
        self._stop.set()


def leave(status: int) -> None:
    """Write what is logged and end the process, without waiting for threads that do not come back."""
    line_writer.close_all()
    os._exit(status)
