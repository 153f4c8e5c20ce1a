"""The parent of worker processes: starts them, speaks for them to Redis, and deals with their deaths.

It renews their leases as long as they show a pulse, kills those that are frozen, gives back at once what a dead one
held, starts another in its place, and runs alone what may have killed it. It also recovers what workers held whose own
parent is gone. It runs no handler itself.
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
from receiver.storage.redis import keys, schema_version
from workers.parent import overdue
from workers.parent.child import Child, Launch
from workers.parent.metering import Metering
from workers.parent.rq_registration import Presence
from workers.run.process import RETIRED

LEASE_MS = 15_000
"""What a worker holds is safe for so long after its parent's last word."""

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
    """Keeps *processes* worker processes alive until told to stop; `run` returns the exit status."""

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
        """*tasks* tend the store as long as this runs; *alive* is called again and again meanwhile."""
        self._launch = launch
        self._processes = processes
        self._client = client
        self._deliveries = DeliveryQueue(client)
        self._table = table
        self._metering = Metering(client, table)
        self._tasks = tasks
        self._alive = alive
        self._children: dict[Child, Presence] = {}
        self._mourned: list[Child] = []
        self._stop = threading.Event()
        self._signals = 0
        self._passed_on = 0
        self._start_after = 0.0
        self._pause = 0.5
        self._false_starts = 0
        self._done = 0
        self._renewed = 0.0
        self._renewing_since: float | None = None
        self._settle = functools.cache(lambda: schema_version.settle(client))

    def run(self) -> int:
        """Work until a signal to end, or in burst mode until nothing is left. 1 when processes cannot start."""
        end_signals.answer(self._on_signal)
        signal.signal(signal.SIGINT, self._on_signal)
        for task in self._tasks:
            task.start()
        try:
            return self._tend()
        finally:
            for task in self._tasks:
                task.stop()

    def _tend(self) -> int:
        while True:
            now = time.monotonic()
            self._pass_on()
            self._bury()
            for child in list(self._children):
                if child.is_frozen(now):
                    _log.error("worker.killed", worker=child.name, pid=child.pid, reason="no pulse")
                    child.kill()
            self._speak_to_redis(now)
            self._alive()
            if not self._children and not self._mourned and self._is_over():
                return 1 if self._false_starts >= _MOST_FALSE_STARTS else 0
            self._stop.wait(_TICK_S) if not self._stop.is_set() else time.sleep(_TICK_S)

    def _is_over(self) -> bool:
        given_up = self._false_starts >= _MOST_FALSE_STARTS
        return self._stop.is_set() or given_up or (self._launch.burst and self._done >= self._processes)

    # -- Redis ------------------------------------------------------------------------------------------------------

    def _speak_to_redis(self, now: float) -> None:
        """Everything that Redis must know or be asked. While it is away, the processes go on with what they have."""
        try:
            self._metering.turn(self._children, self._mourned)
            for child in list(self._mourned):
                self._take_back(child)
                self._mourned.remove(child)
            if now - self._renewed >= _RENEW_S:
                self._renew(now)
                self._recover_strangers(now)
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
        for child, presence in self._children.items():
            if child.name in gone:
                _log.error("worker.lease_lost", worker=child.name)
                child.terminate()
            else:
                presence.renew()
        self._renewed = now
        if self._renewing_since is None:
            self._renewing_since = now

    def _recover_strangers(self, now: float) -> None:
        """Recover what is held under leases that are over.

        Only after having renewed our own without a break for as long as a lease lasts: after an outage of Redis
        every lease is over, and their owners must have had the time to say that they live.
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
            self._start([keys.ISOLATED], alone=True)

    def _missing_alone(self, now: float) -> int:
        """Return how many processes to start for what has to run alone: one, and more beside it when it is slow."""
        waiting = self._deliveries.length(keys.ISOLATED)
        lonely = [child for child in self._children if child.alone]
        running = [child.running() for child in lonely]
        is_slow = any(now - one.began > _SLOW_S for each in running for one in each)
        wanted = waiting - running.count([]) if is_slow else min(waiting, 1) - len(lonely)
        return min(wanted, _MOST_ALONE - len(lonely))

    def _start(self, queues: Sequence[str], *, alone: bool = False) -> None:
        child = Child(self._launch, alone=alone)
        self._deliveries.begin_lease(child.name, LEASE_MS)
        child.start(queues)
        self._children[child] = Presence(self._client, child.name, queues, child.pid, _RQ_TTL_S)
        _log.info("worker.started", worker=child.name, pid=child.pid, alone=alone)

    def _take_back(self, child: Child) -> None:
        """Give back what a dead process held; what it was running when it died runs alone next."""
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

    def _bury(self) -> None:
        for child, presence in list(self._children.items()):
            status = child.status()
            if status is None:
                continue
            del self._children[child]
            self._mourned.append(child)
            presence.end()
            _log.info("worker.ended", worker=child.name, pid=child.pid, status=status)
            if not child.alone:
                self._consider_pause(child, status)

    def _consider_pause(self, child: Child, status: int) -> None:
        """Decide how long to wait before another process is started in the place of one that ended."""
        if status == 0:
            self._done += 1
        if child.has_pulsed():
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
        """Note the signal; the loop passes it on, because a handler of signals may not wait for anybody's lock."""
        del number, frame
        self._signals += 1
        self._stop.set()

    def _pass_on(self) -> None:
        """Pass the first signal on as SIGTERM; from the second, which means at once, again and again."""
        if self._signals > self._passed_on or self._signals > 1:
            for child in self._children:
                child.terminate()
        if self._signals > self._passed_on:
            _log.info("worker.stopping", processes=len(self._children), at_once=self._signals > 1)
            self._passed_on = self._signals
