"""The queue of deliveries as workers use it: claim, acknowledge, hold a lease, recover deliveries of dead workers."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import orjson
import redis

from receiver.core.events import Envelope, Origin
from receiver.storage.model import codec, decoding
from receiver.storage.model.keep_script import rq_time, rq_timeout
from receiver.storage.queue.route_limits import NOTHING_KNOWN, RouteRule, Runnable, TargetReport, written
from receiver.storage.redis import keys, rq_keys
from receiver.storage.redis.store_client import StoreClient

Verdict = Literal["succeeded", "discarded", "dead", "retry", "uncharged", "give_back", "unknown", "put_off"]

_VERDICTS: dict[Verdict, str] = {
    "succeeded": "s",
    "discarded": "c",
    "dead": "d",
    "retry": "r",
    "uncharged": "u",
    "give_back": "g",
    "unknown": "n",
    "put_off": "p",
}


class Claim(NamedTuple):
    """A delivery that a worker has claimed.

    *attempts*: how many ended before this one. *failures*: how many of them count against the retry schedule. *deaths*:
    how often the process that ran it died. *unknown_ms*: since when (Unix ms; 0: never) workers give it back because
    they do not know its route or handler. *envelope*: None if it can no longer be read.
    """

    job: str
    queue: str
    route: str
    attempts: int
    failures: int
    unknown_ms: int
    deaths: int
    origin: Origin | None
    superseded: bool
    envelope: Envelope | None

    @property
    def delivery_id(self) -> str:
        """The delivery's id: the event's, and a number."""
        return self.job.rpartition("-")[0]


class Claimed(NamedTuple):
    """The result of one claim. *next_due_ms*: when the next waiting delivery is due (Unix ms; 0: none waits). *asked*:
    routes for which the next call has to say whether this worker can run them.
    """

    claims: tuple[Claim, ...]
    next_due_ms: int
    refused: int
    asked: tuple[str, ...] = ()


class Attempt(NamedTuple):
    """The record of one ended attempt."""

    number: int
    outcome: str
    started_ms: int
    ended_ms: int
    worker: str
    error: str | None = None


class Acknowledgement(NamedTuple):
    """What happens to a claimed delivery. *timeout_ms* is that of the next attempt, if there is one."""

    job: str
    verdict: Verdict
    delay_ms: int = 0
    timeout_ms: int = 30_000
    attempt: Attempt | None = None
    target: TargetReport | None = None


@dataclass(frozen=True, slots=True)
class Recovered:
    """The deliveries that were taken back from a dead worker: job ids, by what happens to them."""

    worker: str
    unrun: tuple[str, ...]
    alone: tuple[str, ...]
    poisoned: tuple[str, ...]
    more: bool


class DeliveryQueue:
    """The queue for workers. Every method is one call to Redis and raises StorageUnavailable when it fails."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client, "claim", "claim_one", "describe_claim", "acknowledge", "lease", "recover")

    def claim(
        self,
        worker: str,
        queues: Sequence[str],
        most: int,
        rules: Sequence[RouteRule] = (),
        runnable: Runnable = NOTHING_KNOWN,
    ) -> Claimed | None:
        """Claim up to *most* deliveries, from *queues* in this order, as far as *rules* allow.

        Deliveries that this worker cannot run are left to others. None: the worker's lease is over.
        """
        reply = self._calls.run("claim", worker, most, *written(rules), *runnable.parts(), *queues)
        if not reply:
            return None
        next_due, refused, asked, *rows = reply
        return Claimed(tuple(_claim(row) for row in rows), int(next_due), int(refused), _texts(asked))

    def take(self, worker: str, job: str, lease_ms: int, rules: Sequence[RouteRule] = ()) -> Claim | None:
        """Claim the delivery of *job*, which a stock RQ worker took from its queue.

        None: the job is stale, or its delivery has to wait and will get another job.
        """
        row = self._calls.run("claim_one", worker, job, lease_ms, *written(rules))
        return _claim(row) if row else None

    def acknowledge(self, worker: str, ended: Iterable[Acknowledgement]) -> tuple[str, ...]:
        """Record how claimed deliveries ended. Return the jobs that no longer belonged to this worker."""
        arguments: list[Any] = [worker, rq_time()]
        for one in ended:
            attempt = _record(one.attempt) if one.attempt else b""
            sign = one.target.sign() if one.target else ""
            arguments += (one.job, _VERDICTS[one.verdict], one.delay_ms, rq_timeout(one.timeout_ms), attempt, sign)
        return tuple(decoding.text(job) for job in self._calls.run("acknowledge", *arguments))

    def begin_lease(self, worker: str, lease_ms: int) -> None:
        """Start a worker's lease; without one it cannot claim anything."""
        self._calls.run("lease", "begin", lease_ms, worker)

    def renew_leases(self, workers: Sequence[str], lease_ms: int) -> tuple[str, ...]:
        """Renew leases. Return the workers whose lease is over: their deliveries belong to other workers now."""
        return tuple(worker.decode() for worker in self._calls.run("lease", "renew", lease_ms, *workers))

    def end_lease(self, worker: str) -> None:
        """End the lease of a worker that holds no delivery any more."""
        self._calls.ask("zrem", keys.WORKERS, worker)

    def recover(
        self, worker: str | None = None, running: Mapping[str, int] | None = None, most: int = 256
    ) -> Recovered | None:
        """Give back the deliveries of a dead worker: *worker*, or the one whose lease has been over for longest.

        *running*: exactly the jobs that it was running, each with the Unix ms at which it started, if that is known.
        Return None if no lease is over.
        """
        known = "unknown" if running is None else "known"
        pairs = [part for pair in (running or {}).items() for part in pair]
        reply = self._calls.run("recover", worker or "", most, known, *pairs)
        if not reply:
            return None
        name, unrun, alone, poisoned, left = reply
        return Recovered(decoding.text(name), _texts(unrun), _texts(alone), _texts(poisoned), bool(left))

    def look(self, job: str) -> Claim | None:
        """Return a delivery that a worker has claimed, without changing it. None: the job is stale."""
        row = self._calls.run("describe_claim", job)
        return _claim(row) if row else None

    def held(self, worker: str) -> frozenset[str]:
        """Return the jobs that a worker holds according to the store."""
        return frozenset(_texts(self._calls.ask("smembers", keys.held(worker))))

    def time(self) -> float:
        """The store's clock, in Unix seconds."""
        return self._calls.time()

    def length(self, queue: str) -> int:
        """Return how many jobs are in a queue now."""
        return int(self._calls.ask("llen", rq_keys.queue(queue)))

    def wait(self, queues: Sequence[str], timeout_s: float) -> None:
        """Sleep until a job is put into one of the queues, at most *timeout_s* (at least 10 ms)."""
        tokens = [keys.wake(queue) for queue in queues]
        self._calls.ask("blpop", tokens, timeout=max(timeout_s, 0.01))

    def known_queues(self) -> frozenset[str]:
        """Every queue that ever held a delivery."""
        return frozenset(_texts(self._calls.ask("smembers", keys.QUEUES)))


def _texts(values: Iterable[bytes]) -> tuple[str, ...]:
    return tuple(decoding.text(value) for value in values)


def _claim(row: Sequence[Any]) -> Claim:
    job, queue, route, attempts, failures, unknown_ms, deaths, origin, superseded, envelope = row
    return Claim(
        job=job.decode(),
        queue=queue.decode(),
        route=route.decode(),
        attempts=int(attempts),
        failures=int(failures),
        unknown_ms=int(unknown_ms),
        deaths=int(deaths),
        origin=origin.decode() or None,
        superseded=bool(superseded),
        envelope=_envelope(envelope),
    )


def _envelope(stored: bytes) -> Envelope | None:
    try:
        return codec.unpack(stored) if stored else None
    except ValueError:
        return None


def _record(attempt: Attempt) -> bytes:
    fields = {
        "number": attempt.number,
        "outcome": attempt.outcome,
        "started_ms": attempt.started_ms,
        "ended_ms": attempt.ended_ms,
        "worker": attempt.worker,
    }
    if attempt.error:
        fields["error"] = attempt.error
    return orjson.dumps(fields)
