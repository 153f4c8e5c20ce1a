"""The present status of the store: queues, workers, dead and quarantined events, the last event of each hook."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import redis

from receiver.core.durations import HOUR_MS
from receiver.core.events import EventStatus
from receiver.observation import arrival_baseline
from receiver.observation.event_histogram import STANDING
from receiver.storage.accounting import data_loss, maintenance
from receiver.storage.accounting.data_loss import Loss
from receiver.storage.accounting.maintenance import AuditResult
from receiver.storage.model import decoding
from receiver.storage.redis import keys, preflight, rq_keys
from receiver.storage.redis.store_client import StoreClient, replies
from receiver.storage.spool import reports
from receiver.storage.spool.reports import SpoolReport

_MOST_HELD = 50


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """A queue: deliveries that can run now, those that wait for a time; *oldest_ms*: since when the first one waits."""

    name: str
    ready: int
    scheduled: int
    oldest_ms: int | None


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """A worker process. *lease_ms*: when its lease ends; *held*: how many deliveries it holds, *jobs*: up to fifty of
    them. *since*, *pid*, *queues* and *host* come from RQ and are empty when RQ does not know the worker; *queues* is
    `*` then, and for a worker that serves every queue."""

    name: str
    lease_ms: int
    held: int
    jobs: tuple[str, ...]
    since: str
    pid: str
    host: str
    queues: tuple[str, ...]

    def is_live(self, now_ms: int) -> bool:
        """Whether its lease is valid."""
        return self.lease_ms > now_ms

    def serves(self, queue: str) -> bool:
        """Whether it runs deliveries of that queue."""
        return queue in self.queues or (rq_keys.EVERY_QUEUE in self.queues and queue != rq_keys.ISOLATED)


@dataclass(frozen=True, slots=True)
class Silence:
    """How long a business has been silent: when its last event came (Unix ms), and how many usually come in the hours
    since then; None while its weeks are not known."""

    since_ms: int
    expected: float | None


class StoreStatus:
    """Reads the status of the store. Every method takes a few round trips and raises StorageUnavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def now_ms(self) -> int:
        """The store's clock, in Unix milliseconds: the one that leases and schedules go by."""
        return StoreClient(self._client).now_ms()

    def queues(self) -> tuple[QueueStatus, ...]:
        """Return every queue that ever held a delivery, by name."""
        (known,) = replies(self._client, [("SMEMBERS", keys.QUEUES)])
        names = sorted(decoding.text(name) for name in known)
        asked: list[tuple[str, ...]] = []
        for name in names:
            queue = rq_keys.queue(name)
            asked += [("LLEN", queue), ("ZCARD", rq_keys.scheduled(name)), ("LINDEX", queue, "0")]
        found = replies(self._client, asked)
        first = [decoding.text(job) if job else "" for job in found[2::3]]
        since = replies(self._client, [("HGET", rq_keys.job(job), "created_at") for job in first])
        return tuple(
            QueueStatus(name, int(ready), int(scheduled), _milliseconds(made))
            for name, ready, scheduled, made in zip(names, found[::3], found[1::3], since, strict=True)
        )

    def workers(self) -> tuple[WorkerStatus, ...]:
        """Return every worker with a lease, by name, also one whose lease is over and not recovered yet."""
        (flat,) = replies(self._client, [("ZRANGE", keys.WORKERS, 0, -1, "WITHSCORES")])
        leases = list(zip(flat[::2], flat[1::2], strict=True))
        asked: list[tuple[str, ...]] = []
        for raw, _ in leases:
            held = keys.held(decoding.text(raw))
            asked += [
                ("HMGET", rq_keys.worker(decoding.text(raw)), "birth", "pid", "hostname", rq_keys.SERVES),
                ("SCARD", held),
                ("SRANDMEMBER", held, str(_MOST_HELD)),
            ]
        found = iter(replies(self._client, asked))
        workers = [
            _worker(decoding.text(raw), decoding.number(lease) or 0, next(found), int(next(found)), next(found))
            for raw, lease in leases
        ]
        return tuple(sorted(workers, key=lambda worker: worker.name))

    def stock_workers(self) -> tuple[tuple[str, ...], ...]:
        """Return the queues of each stock RQ worker that RQ believes to live."""
        members, leases = replies(self._client, [("SMEMBERS", "rq:workers"), ("ZRANGE", keys.WORKERS, 0, -1)])
        ours = {rq_keys.worker(decoding.text(name)) for name in leases}
        asked = [("HMGET", key, "queues", "death", rq_keys.SERVES) for key in members if decoding.text(key) not in ours]
        found = replies(self._client, asked)
        return tuple(
            tuple(queues.decode(errors="replace").split(","))
            for queues, death, serves in found
            if queues and not death and not serves
        )

    def standing(self) -> dict[EventStatus, int]:
        """Return how many events are dead, unrouted and quarantined."""
        counts = replies(self._client, [("ZCARD", keys.standing(status)) for status in STANDING])
        return {status: int(count) for status, count in zip(STANDING, counts, strict=True)}

    def spools(self) -> tuple[SpoolReport, ...]:
        """Return the last report of each spool that holds events."""
        return reports.reports(self._client)

    def audit(self) -> AuditResult | None:
        """Return the last result of the audit in the background; None before the first."""
        return maintenance.last_result(self._client)

    def unfit(self) -> dict[str, str]:
        """Return the settings of the server that lose events, each with a sentence."""
        return preflight.unfit(self._client)

    def losses(self) -> tuple[Loss, ...]:
        """Return the losses of earlier stores that nobody has acknowledged."""
        return data_loss.unacknowledged(self._client)

    def received(self) -> dict[tuple[int, str], int]:
        """Return when each hook last received an event that was kept (Unix ms), by business and action."""
        (found,) = replies(self._client, [("HGETALL", keys.RECEIVED)])
        pairs = ((*hook.decode(errors="replace").partition("/")[::2], at) for hook, at in found.items())
        read = ((decoding.number(business), action, decoding.moment(at)) for business, action, at in pairs)
        return {(number, action): at for number, action, at in read if number is not None and at is not None}

    def silences(self, now_ms: int) -> dict[int, Silence]:
        """Return for each business how long it has sent no event; of very many, those with the lowest numbers."""
        newest: dict[int, int] = {}
        for (business, _), at_ms in self.received().items():
            newest[business] = max(newest.get(business, 0), at_ms)
        (stored,) = replies(self._client, [("HGETALL", keys.RHYTHM)])
        usual = arrival_baseline.parsed(stored)
        return {
            business: Silence(
                at_ms, arrival_baseline.expected(usual[business], at_ms, now_ms) if business in usual else None
            )
            for business, at_ms in sorted(newest.items())[: arrival_baseline.MOST_BUSINESSES]
        }

    def routed(self, routes: Sequence[str], hour: int, hours: int) -> dict[str, int]:
        """Return how many events each route got in the last *hours* hours up to and with *hour*."""
        asked = [("LLEN", keys.index(hour - back, route=route)) for route in routes for back in range(hours)]
        counts = [int(count) for count in replies(self._client, asked)]
        return {route: sum(counts[at * hours : (at + 1) * hours]) for at, route in enumerate(routes)}

    def hour(self) -> int:
        """The hour it is now, by the store's clock."""
        return self.now_ms() // HOUR_MS


def _worker(
    name: str, lease_ms: int, presence: Sequence[bytes | None], held: int, jobs: Sequence[bytes]
) -> WorkerStatus:
    since, pid, host, queues = (value.decode(errors="replace") if value else "" for value in presence)
    return WorkerStatus(
        name,
        lease_ms,
        held,
        tuple(sorted(decoding.text(job) for job in jobs)),
        since,
        pid,
        host,
        tuple(queue for queue in queues.split(",") if queue) or (rq_keys.EVERY_QUEUE,),
    )


def _milliseconds(written: bytes | None) -> int | None:
    """Read a time as RQ writes it."""
    try:
        return int(datetime.fromisoformat(written.decode()).timestamp() * 1_000) if written else None
    except ValueError:
        return None
