"""The timeout of an attempt that blocked its whole process. The parent killed the process, and records the timeout."""

import time

from receiver.routing.table import RoutingTable
from receiver.storage.queue.queue import DeliveryQueue
from workers.run import execution, outcome_policy


def record(deliveries: DeliveryQueue, table: RoutingTable | None, worker: str, job: str) -> None:
    """Record that an attempt has timed out. A stale job, or one of an unknown route, is ignored."""
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
