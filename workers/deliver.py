"""The function that our RQ jobs name: one attempt of one delivery, for a stock `rq worker` that serves our queues.

Our own workers never call it; they take the delivery's id from the queue and run it in their threads. Here RQ has taken
the job already, so the attempt begins by taking the delivery itself, and a job that is stale does nothing.
"""

import asyncio
import contextlib
import os
import threading
import time
from dataclasses import dataclass
from functools import lru_cache

from receiver.core import settings
from receiver.process import logs
from receiver.routing.loading import load_table
from receiver.storage.queue.checkpoints import Steps
from receiver.storage.queue.queue import Acknowledgement, Claim, DeliveryQueue
from receiver.storage.redis import connection
from workers.nexudus.nexudus_transport import Switchboard
from workers.once import remember_in
from workers.run import execution, outcome_policy
from workers.run.delivery_loader import Impossible, NotReady, Preparation, Prepared
from workers.run.execution import AttemptTimeout, Ended
from workers.run.settlement import STUCK_AFTER_S, tell, timed_out
from workers.run.threads import inject

_LEASE_MARGIN_MS = 60_000
"""For what comes before and after the handler: loading it, recording how it ended."""

_log = logs.get()


def run(job: str) -> None:
    """Run the current attempt of a delivery to its recorded end. Returns normally whatever the handler does."""
    deliveries, preparation = _tools(os.getpid())
    worker = f"stock:{job}"  # acknowledge.lua knows by the prefix that RQ deletes the job itself
    claim = deliveries.take(worker, job, _LEASE_MARGIN_MS, preparation.rules())
    ended = claim and _attempt(claim, preparation, _Lease(deliveries, worker))
    if ended is None:
        _log.info("delivery.stale", job=job)
        return
    deliveries.acknowledge(worker, [ended])
    deliveries.end_lease(worker)


@dataclass(frozen=True, slots=True)
class _Lease:
    """How long a delivery is in the hands of *worker* only: nobody renews it while the handler runs."""

    deliveries: DeliveryQueue
    worker: str

    def covers(self, timeout_ms: int) -> bool:
        """Make it last for an attempt of that timeout; return whether it is still ours."""
        lasts_ms = timeout_ms + int(STUCK_AFTER_S * 1_000) + _LEASE_MARGIN_MS
        return not self.deliveries.renew_leases([self.worker], lasts_ms)


@lru_cache(maxsize=1)
def _tools(pid: int) -> tuple[DeliveryQueue, Preparation]:
    """Connect once for each process: a stock worker forks, and connections do not survive that."""
    del pid
    read = settings.from_environ(os.environ)
    table = load_table(read)
    table.start()
    client = connection.connect(connection.url_of(read))
    deliveries = DeliveryQueue(client)
    remember_in(Steps(client))
    return deliveries, Preparation(lambda: table.table, os.environ, read.routes.resolve().parent, Switchboard(read))


def _attempt(claim: Claim, preparation: Preparation, lease: _Lease) -> Acknowledgement | None:
    """Run an attempt; None when somebody else has the delivery now."""
    worker = lease.worker
    started_ms = int(time.time() * 1_000)
    try:
        prepared = preparation.prepare(claim)
    except NotReady as reason:
        return outcome_policy.when_not_ready(claim, str(reason), worker=worker, now_ms=started_ms)
    except Impossible as reason:
        return outcome_policy.when_impossible(claim, str(reason), worker=worker, now_ms=started_ms)
    if not lease.covers(prepared.route.timeout_ms):
        return None
    ended = _in_time(prepared)
    ended_ms = int(time.time() * 1_000)
    tell(prepared, ended, ended_ms - started_ms)
    return outcome_policy.after_attempt(
        claim, prepared.route, ended, worker=worker, started_ms=started_ms, ended_ms=ended_ms
    )


def _in_time(prepared: Prepared) -> Ended:
    """Run the handler in a thread of its own: RQ's alarm belongs to RQ, and ours must come first."""
    results: list[Ended] = []

    def attempt() -> None:
        with contextlib.suppress(AttemptTimeout):
            results.append(_run(prepared, seconds))

    seconds = prepared.route.timeout_ms / 1_000
    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive() and thread.ident:
        inject(thread.ident, AttemptTimeout)
        thread.join(STUCK_AFTER_S)
        return timed_out(prepared)
    return results[0] if results else timed_out(prepared)


def _run(prepared: Prepared, seconds: float) -> Ended:
    if prepared.handler.is_async:
        return asyncio.run(execution.run_async(prepared.handler, prepared.event, seconds))
    return execution.run(prepared.handler, prepared.event)
