"""The function that our RQ jobs name. A stock `rq worker` that serves our queues calls it to run one attempt.

Our own workers never call it: they claim deliveries from the queue and run them in their threads. Here RQ has already
taken the job, so `run` first takes the delivery itself. A stale job does nothing.
"""

import os
import time
from dataclasses import dataclass
from functools import lru_cache

from receiver.core import settings
from receiver.process import logs
from receiver.routing.loading import load_table
from receiver.storage.queue.checkpoints import Steps
from receiver.storage.queue.queue import Acknowledgement, Claim, DeliveryQueue
from receiver.storage.redis import connection
from workers.nexudus.nexudus_transport import NexudusTransport
from workers.once import remember_in
from workers.run import execution, outcome_policy
from workers.run.attempt_log import log_attempt
from workers.run.delivery_loader import DeliveryLoader
from workers.run.execution import STUCK_AFTER_S
from workers.run.timeliness import Unrunnable

_LEASE_MARGIN_MS = 60_000
"""Time for what happens before and after the handler runs: loading it and recording the result."""

_log = logs.get()


def run(job: str) -> None:
    """Run the current attempt of a delivery and record the result. Returns normally whatever the handler does."""
    deliveries, loader = _tools(os.getpid())
    worker = f"stock:{job}"  # acknowledge.lua knows by the prefix that RQ deletes the job itself
    claim = deliveries.take(worker, job, _LEASE_MARGIN_MS, loader.rules())
    ended = claim and _attempt(claim, loader, _Lease(deliveries, worker))
    if ended is None:
        _log.info("delivery.stale", job=job)
        return
    deliveries.acknowledge(worker, [ended])
    deliveries.end_lease(worker)


@dataclass(frozen=True, slots=True)
class _Lease:
    """The lease of *worker*, the name of this job as a worker. Nobody renews it while the handler runs."""

    deliveries: DeliveryQueue
    worker: str

    def covers(self, timeout_ms: int) -> bool:
        """Extend the lease to cover an attempt of *timeout_ms*; return whether this job still holds it."""
        lasts_ms = timeout_ms + int(2 * STUCK_AFTER_S * 1_000) + _LEASE_MARGIN_MS
        return not self.deliveries.renew_leases([self.worker], lasts_ms)


@lru_cache(maxsize=1)
def _tools(pid: int) -> tuple[DeliveryQueue, DeliveryLoader]:
    """Connect once for each process: a stock worker forks, and connections do not survive that."""
    del pid
    read = settings.from_environ(os.environ)
    table = load_table(read)
    table.start()
    client = connection.connect(connection.url_of(read))
    deliveries = DeliveryQueue(client)
    remember_in(Steps(client))
    return deliveries, DeliveryLoader(
        lambda: table.table, os.environ, read.routes.resolve().parent, NexudusTransport(read)
    )


def _attempt(claim: Claim, loader: DeliveryLoader, lease: _Lease) -> Acknowledgement | None:
    """Run an attempt and return its acknowledgement; None when another worker holds the delivery now."""
    worker = lease.worker
    started_ms = int(time.time() * 1_000)
    try:
        loaded = loader.load(claim, started_ms)
    except Unrunnable as reason:
        return outcome_policy.when_unrunnable(claim, reason, worker=worker, now_ms=started_ms)
    if not lease.covers(loaded.route.timeout_ms):
        return None
    ended = execution.run_alone(loaded.handler, loaded.event, loaded.timeout_s)
    ended_ms = int(time.time() * 1_000)
    log_attempt(loaded, ended, ended_ms - started_ms)
    return outcome_policy.after_attempt(
        claim, loaded.route, ended, worker=worker, started_ms=started_ms, ended_ms=ended_ms
    )
