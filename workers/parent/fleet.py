"""The parent of worker processes: it starts them, renews their leases, and replaces those that die.

It kills processes without a heartbeat. It gives back at once what a dead process held, and runs the delivery that may
have killed it alone in a process. It also recovers deliveries of workers whose own parent is gone. It runs no handler
itself.
"""

import functools
import signal
import threading
import time
from collections.abc import Callable, Sequence
from types import FrameType

import redis

from receiver.core.errors import StorageUnavailable
from receiver.process import end_signals, logs
from receiver.process.background import PeriodicTask
from receiver.routing.table import RoutingTable
from receiver.storage.queue.queue import DeliveryQueue
from receiver.storage.redis import rq_keys, schema_version
from workers.parent import overdue
from workers.parent.child import ChildProcess, Launch
from workers.parent.fleet_counters import FleetCounters
from workers.parent.rq_registration import RqRegistration
from workers.run.process import RETIRED

LEASE_MS = 15_000
"""How long a worker's lease lasts after its parent renewed it."""

_RENEW_S = 3.0
_TICK_S = 0.1
_LONGEST_PAUSE_S = 30.0
_SHORT_LIFE_S = 5.0
_MOST_FALSE_STARTS = 5
_RQ_TTL_S = 60
_SLOW_S = 1.0
_MOST_ALONE = 8

_log = logs.get()


class Fleet:
    """Keeps *processes* worker processes running until it is told to stop; `run` returns the exit status."""

    def __init__(
        self,
        launch: Launch,
        processes: int,
        client: redis.Redis,
        table: Callable[[], RoutingTable | None],
        tasks: Sequence[PeriodicTask] = (),
        *,
        alive: Callable[[], None] = lambda: None,
    ) -> None:
        """*tasks* maintain the store as long as this runs; *alive* is called again and again meanwhile."""
        self._launch = launch
        self._processes = processes
        self._client = client
        self._deliveries = DeliveryQueue(client)
        self._table = table
        self._metrics = FleetCounters(client, table)
        self._tasks = tasks
        self._alive = alive
        self._children: dict[ChildProcess, RqRegistration] = {}
        self._unrecovered: list[ChildProcess] = []
        self._stop = threading.Event()
        self._signals = 0
        self._forwarded = 0
        self._start_after = 0.0
        self._pause = 0.5
        self._false_starts = 0
        self._done = 0
        self._renewed = 0.0
        self._renewing_since: float | None = None
        self._settle = functools.cache(lambda: schema_version.settle(client))

    def run(self) -> int:
        """Work until a signal, or in burst mode until nothing is left. Return 1 when processes cannot start."""
        end_signals.answer(self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        for task in self._tasks:
            task.start()
        try:
            return self._supervise()
        finally:
            for task in self._tasks:
                task.stop()

    def _supervise(self) -> int:
        while True:
            now = time.monotonic()
            self._forward_signals()
            self._reap()
            for child in list(self._children):
                if child.is_frozen(now):
                    _log.error("worker.killed", worker=child.name, pid=child.pid, reason="no heartbeat")
                    child.kill()
            self._update_store(now)
            self._alive()
            if not self._children and not self._unrecovered and self._is_over():
                return 1 if self._false_starts >= _MOST_FALSE_STARTS else 0
            self._stop.wait(_TICK_S) if not self._stop.is_set() else time.sleep(_TICK_S)

    def _is_over(self) -> bool:
        given_up = self._false_starts >= _MOST_FALSE_STARTS
        return self._stop.is_set() or given_up or (self._launch.burst and self._done >= self._processes)

    # -- Redis ------------------------------------------------------------------------------------------------------

    def _update_store(self, now: float) -> None:
        """Make all calls to Redis. While it is unavailable, the processes continue with what they hold."""
        try:
            self._metrics.turn(self._children, self._unrecovered)
            for child in list(self._unrecovered):
                self._take_back(child)
                self._unrecovered.remove(child)
            if now - self._renewed >= _RENEW_S:
                self._renew(now)
                self._recover_expired_leases(now)
            if not self._stop.is_set():
                self._settle()  # LayoutUnknown ends us
                self._start_missing(now)
        except StorageUnavailable as error:
            if self._renewing_since is not None:
                _log.warning("store.unavailable", error=str(error))
            self._renewing_since = None

    def _renew(self, now: float) -> None:
        names = [child.name for child in self._children]
        gone = self._deliveries.renew_leases(names, LEASE_MS) if names else ()
        for child, registration in self._children.items():
            if child.name in gone:
                _log.error("worker.lease_lost", worker=child.name)
                child.terminate()
            else:
                registration.renew()
        self._renewed = now
        if self._renewing_since is None:
            self._renewing_since = now

    def _recover_expired_leases(self, now: float) -> None:
        """Recover deliveries that are held under expired leases.

        This waits until our own leases have been renewed without a break for as long as a lease lasts: after an outage
        of Redis every lease has expired, and other parents need time to renew theirs.
        """
        since = self._renewing_since
        if since is None or now - since < LEASE_MS / 1_000:
            return
        for _ in range(100):
            recovered = self._deliveries.recover()
            if recovered is None:
                return
            _log.warning(
                "worker.recovered",
                worker=recovered.worker,
                unrun=len(recovered.unrun),
                alone=len(recovered.alone),
                poisoned=list(recovered.poisoned),
            )

    def _start_missing(self, now: float) -> None:
        regular = sum(not child.alone for child in self._children)
        if now >= self._start_after and not self._is_over():
            for _ in range(self._processes - regular - (self._done if self._launch.burst else 0)):
                self._start(self._launch.queues)
        for _ in range(self._missing_alone(now)):
            self._start([rq_keys.ISOLATED], alone=True)

    def _missing_alone(self, now: float) -> int:
        """Return how many processes to start for deliveries that must run alone: one, and more when it is slow."""
        waiting = self._deliveries.length(rq_keys.ISOLATED)
        isolated = [child for child in self._children if child.alone]
        running = [child.running() for child in isolated]
        is_slow = any(now - one.began > _SLOW_S for each in running for one in each)
        wanted = waiting - running.count([]) if is_slow else min(waiting, 1) - len(isolated)
        return min(wanted, _MOST_ALONE - len(isolated))

    def _start(self, queues: Sequence[str], *, alone: bool = False) -> None:
        child = ChildProcess(self._launch, alone=alone)
        self._deliveries.begin_lease(child.name, LEASE_MS)
        child.start(queues)
        self._children[child] = RqRegistration(self._client, child.name, queues, child.pid, _RQ_TTL_S)
        _log.info("worker.started", worker=child.name, pid=child.pid, alone=alone)

    def _take_back(self, child: ChildProcess) -> None:
        """Give back what a dead process held. Deliveries that were running when it died run alone next."""
        running = child.running()
        now = time.monotonic()
        if len(running) == 1 and now > running[0].deadline:
            overdue.record(self._deliveries, self._table(), child.name, running[0].job)
        now_ms = int(time.time() * 1_000)
        jobs = {one.job: now_ms - int(1_000 * (now - one.began)) for one in running}
        while True:
            recovered = self._deliveries.recover(child.name, jobs)
            if recovered and (recovered.alone or recovered.poisoned):
                _log.error(
                    "worker.died", worker=child.name, alone=list(recovered.alone), poisoned=list(recovered.poisoned)
                )
            if recovered is None or not recovered.more:
                return

    # -- processes --------------------------------------------------------------------------------------------------

    def _reap(self) -> None:
        for child, registration in list(self._children.items()):
            status = child.status()
            if status is None:
                continue
            del self._children[child]
            self._unrecovered.append(child)
            registration.end()
            _log.info("worker.ended", worker=child.name, pid=child.pid, status=status)
            if not child.alone:
                self._consider_pause(child, status)

    def _consider_pause(self, child: ChildProcess, status: int) -> None:
        """Decide how long to wait before the next process is started in place of one that ended."""
        if status == 0:
            self._done += 1
        if child.has_started():
            self._false_starts = 0
        else:
            self._false_starts += 1
        if status in (0, RETIRED) or time.monotonic() - child.started > _SHORT_LIFE_S:
            self._pause = 0.5
            self._start_after = time.monotonic()
        else:
            self._start_after = time.monotonic() + self._pause
            self._pause = min(self._pause * 2, _LONGEST_PAUSE_S)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        """Note the signal. The loop passes it on, because a signal handler must not wait for a lock."""
        del number, frame
        self._signals += 1
        self._stop.set()

    def _forward_signals(self) -> None:
        """Pass the first signal on as SIGTERM. From the second on, which means stop at once, send it repeatedly."""
        if self._signals > self._forwarded or self._signals > 1:
            for child in self._children:
                child.terminate()
        if self._signals > self._forwarded:
            _log.info("worker.stopping", processes=len(self._children), at_once=self._signals > 1)
            self._forwarded = self._signals
