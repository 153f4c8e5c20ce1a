"""The one attempt that held a process so tightly that its parent had to kill it: the parent records its timeout."""

import time

from receiver.routing.table import RoutingTable
from receiver.storage.queue.queue import DeliveryQueue
from workers.run import execution, outcome_policy


def record(deliveries: DeliveryQueue, table: RoutingTable | None, worker: str, job: str) -> None:
    """Record that an attempt has timed out. Nothing is recorded of a stale job, or of a route that is not known."""
    claim = deliveries.look(job)
    route = table.route(claim.route) if claim and table else None
    if claim is None or route is None:
        return
    now_ms = int(time.time() * 1_000)
    ended = execution.timed_out(route.timeout_ms / 1_000)
    attempted = outcome_policy.after_attempt(
        claim, route, ended, worker=worker, started_ms=now_ms - route.timeout_ms, ended_ms=now_ms
    )
    deliveries.acknowledge(worker, [attempted])
