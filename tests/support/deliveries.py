"""Workers for tests of the store: they claim and acknowledge as real ones do, and run nothing."""

from collections.abc import Sequence

import redis

from receiver.storage.queue.queue import Acknowledgement, Attempt, Claim, DeliveryQueue, Verdict
from receiver.storage.redis import rq_keys

LEASE_MS = 60_000


def claim_all(
    client: redis.Redis, worker: str = "ann", queues: Sequence[str] = ("default", rq_keys.ISOLATED)
) -> tuple[Claim, ...]:
    """Claim whatever is there, for a worker whose lease begins now."""
    deliveries = DeliveryQueue(client)
    deliveries.begin_lease(worker, LEASE_MS)
    claimed = deliveries.claim(worker, queues, 100)
    assert claimed is not None
    return claimed.claims


def acknowledge(
    client: redis.Redis,
    *claims: Claim,
    verdict: Verdict = "succeeded",
    worker: str = "ann",
    delay_ms: int = 0,
    error: str | None = None,
) -> tuple[str, ...]:
    """End one attempt of each of these claims; returns those that were stale."""
    outcome = "succeeded" if verdict == "succeeded" else "failed"
    ended = [
        Acknowledgement(claim.job, verdict, delay_ms, 30_000, Attempt(claim.attempts + 1, outcome, 1, 2, worker, error))
        for claim in claims
    ]
    return DeliveryQueue(client).acknowledge(worker, ended)
