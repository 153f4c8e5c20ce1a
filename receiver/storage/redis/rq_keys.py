"""The keys of RQ that we write, and what we add to them."""

SERVES = "frontdesk"
"""The field that we add to what RQ knows of a worker of ours: its queues, or EVERY_QUEUE."""

EVERY_QUEUE = "*"

ISOLATED = "frontdesk-isolated"
"""The queue of deliveries that were running when a process died: each runs alone in a process of its own."""


def job(job: str) -> str:
    """RQ's hash of a job."""
    return f"rq:job:{job}"


def queue(queue: str) -> str:
    """RQ's list of job ids waiting in a queue."""
    return f"rq:queue:{queue}"


def scheduled(queue: str) -> str:
    """RQ's sorted set of job ids that wait for a time, scored by Unix seconds."""
    return f"rq:scheduled:{queue}"


def worker(worker: str) -> str:
    """What RQ knows of a worker process."""
    return f"rq:worker:{worker}"
