"""RQ's own tools beside Frontdesk: whoever looks at the queues with them leaves them as they are."""

import subprocess
import sys
from typing import Any

import redis
import rq
from rq.registry import FailedJobRegistry, ScheduledJobRegistry, StartedJobRegistry

from receiver.storage.queue.queue import Acknowledgement, DeliveryQueue
from tests.support.events import entry, keep_all

_WORKER = "a-worker"


def _waiting_running_scheduled(client: redis.Redis) -> tuple[str, str, str]:
    """Make three deliveries and return their jobs: one in the queue, one in a worker's hands, one that waits."""
    keep_all(client, *(entry(b'{"Id":%d}' % number) for number in range(3)))
    deliveries = DeliveryQueue(client)
    deliveries.begin_lease(_WORKER, 60_000)
    claimed = deliveries.claim(_WORKER, ("default",), 2)
    assert claimed is not None
    failed, running = (claim.job for claim in claimed.claims)
    deliveries.acknowledge(_WORKER, [Acknowledgement(failed, "retry", delay_ms=600_000)])
    waiting: Any = client.lindex("rq:queue:default", 0)
    return waiting.decode(), running, failed.removesuffix("-1") + "-2"


def _everything(client: redis.Redis) -> dict[Any, Any]:
    return {key: client.dump(key) for key in client.keys("*")}


def test_whoever_looks_with_tools_of_rq_changes_nothing(client: redis.Redis, redis_url: str) -> None:
    """`rq info`, by queues and by workers; and what rq-dashboard calls for its lists of jobs."""
    waiting, running, scheduled = _waiting_running_scheduled(client)
    before = _everything(client)

    for options in ((), ("--by-queue",), ("--only-workers",)):
        argv = [sys.executable, "-m", "rq.cli", "info", "--raw", "--url", redis_url, *options]
        ran = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
        assert "default" in ran.stdout or options == ("--only-workers",), ran
    queue = rq.Queue("default", connection=client, serializer="json")
    assert [job.id for job in queue.jobs] == [waiting]
    assert [queue.fetch_job(job) is not None for job in (waiting, running, scheduled)] == [True] * 3
    started, later, dead = (
        registry("default", connection=client, serializer="json")
        for registry in (StartedJobRegistry, ScheduledJobRegistry, FailedJobRegistry)
    )
    assert [one.get_job_ids(cleanup=False) for one in (started, later, dead)] == [[running], [scheduled], []]
    assert queue.count == 1

    assert _everything(client) == before


def test_rq_takes_what_has_no_job_off_the_queue(client: redis.Redis) -> None:
    """Why every delivery has RQ's hash from the start: without it, opening rq-dashboard's list empties the queue.

    When RQ no longer does that, docs/decisions/commit-script.md has to be thought about again.
    """
    keep_all(client, *(entry(b'{"Id":%d}' % number) for number in range(3)))
    client.delete(*client.keys("rq:job:*"))

    assert rq.Queue("default", connection=client, serializer="json").jobs == []

    assert client.llen("rq:queue:default") == 0
