"""The worker processes with the deliveries they run, and the queues."""

from collections.abc import Mapping
from typing import Any, Final

from receiver.console.framework.page import Facts, Page, PageRequest
from receiver.core import ids, timestamps
from receiver.observation.store_status import WorkerStatus
from receiver.storage.redis import rq_keys

_SHOWN: Final = 10
_MOST_WORKERS: Final = 200


def facts(request: PageRequest) -> Facts:
    """Workers and queues."""
    store_status = request.services.store_status
    now_ms = store_status.now_ms()
    workers = store_status.workers()
    running = _running(request, workers)
    return {
        "number": len(workers),
        "workers": [_worker(worker, running, now_ms) for worker in workers[:_MOST_WORKERS]],
        "queues": [
            {
                "name": queue.name,
                "ready": queue.ready,
                "scheduled": queue.scheduled,
                "oldest_waiting_ms": max(now_ms - queue.oldest_ms, 0) if queue.oldest_ms else None,
            }
            for queue in store_status.queues()
        ],
    }


def _worker(worker: WorkerStatus, running: Mapping[str, dict[str, Any]], now_ms: int) -> dict[str, Any]:
    return {
        "name": worker.name,
        "host": worker.host,
        "pid": worker.pid,
        "queues": [queue for queue in worker.queues if queue != rq_keys.EVERY_QUEUE],
        "since": worker.since,
        "is_live": worker.is_live(now_ms),
        "lease_until": timestamps.show(worker.lease_ms),
        "held": worker.held,
        "deliveries": [running[job] for job in worker.jobs[:_SHOWN] if job in running],
    }


def _running(request: PageRequest, workers: tuple[WorkerStatus, ...]) -> dict[str, dict[str, Any]]:
    """Return the deliveries that workers run, by job."""
    jobs = [job for worker in workers[:_MOST_WORKERS] for job in worker.jobs[:_SHOWN]]
    events = request.services.archive.many(sorted({job[: ids.LENGTH] for job in jobs}))
    deliveries = {one.id: (stored, one) for stored in events for one in stored.deliveries}
    names = request.services.names.all()
    found = {}
    for job in jobs:
        stored, delivery = deliveries.get(job.rpartition("-")[0], (None, None))
        if stored is not None and delivery is not None:
            found[job] = {
                "event": stored.envelope.id,
                "action": stored.envelope.action,
                "business_id": stored.envelope.business_id,
                "business": names.get(stored.envelope.business_id),
                "route": delivery.route,
                "attempt": len(delivery.attempts) + 1,
                "received_at": timestamps.show(stored.envelope.received_ms),
            }
    return found


def more(request: PageRequest, values: Facts) -> Mapping[str, Any]:
    """What only the page needs."""
    return {"now_ms": request.services.store_status.now_ms()}


_QUEUES: Final = ("name", "-ready", "-scheduled", "-oldest_waiting_ms")
PAGE: Final = Page("/workers", "Workers", "workers.html", facts, more, tables={"queues": _QUEUES})
