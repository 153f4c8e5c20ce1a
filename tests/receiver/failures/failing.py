"""Failures for tests: events whose deliveries are dead, or wait to be tried again."""

from collections.abc import Iterable

import redis

from receiver.storage.queue.queue import Acknowledgement, Attempt, DeliveryQueue, Verdict
from tests.support.deliveries import LEASE_MS
from tests.support.events import entry, keep_all

WORKER = "ann"


def fail_all(
    client: redis.Redis, errors: Iterable[str | None], *, verdict: Verdict = "dead", ended_ms: int = 0
) -> None:
    """End every delivery that waits, each with the next of *errors*."""
    queue = DeliveryQueue(client)
    queue.begin_lease(WORKER, LEASE_MS)
    now_ms = ended_ms or int(queue.time() * 1_000)
    texts = iter(errors)
    while True:
        claimed = queue.claim(WORKER, ["default"], 200)
        if claimed is None or not claimed.claims:
            return
        ended = [
            Acknowledgement(
                claim.job,
                verdict,
                3_600_000,
                30_000,
                Attempt(claim.attempts + 1, "failed", now_ms - 5, now_ms, WORKER, next(texts, None)),
            )
            for claim in claimed.claims
        ]
        queue.acknowledge(WORKER, ended)


def keep_failing(
    client: redis.Redis,
    errors: list[str | None],
    *,
    route: str = "announce",
    record: bytes = b'{"Id":1,"FullName":"ada lovelace"}',
    verdict: Verdict = "dead",
    ended_ms: int = 0,
) -> list[str]:
    """Keep an event for each of *errors*, and let it fail with that; return their ids."""
    kept: list[str] = []
    for start in range(0, len(errors), 100):
        some = errors[start : start + 100]
        entries = [entry(record, routes=(route,))._replace(fingerprint=None) for _ in some]
        keep_all(client, *entries)
        kept += [one.envelope.id for one in entries]
        fail_all(client, some, verdict=verdict, ended_ms=ended_ms)
    return kept
