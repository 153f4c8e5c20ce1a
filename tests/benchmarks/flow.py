"""What order and limits cost the store for each delivery: `python -m tests.benchmarks.flow [DELIVERIES]`.

Processor time of the server, in microseconds for each delivery, of keeping it and of claiming and acknowledging it, in
calls of 32. Time of the server, because it is the one part that all processes share, and because it depends least on
what else the machine does.
"""

import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import redis

from receiver.storage.model import keep_script
from receiver.storage.model.entries import terms
from receiver.storage.queue.queue import Acknowledgement, DeliveryQueue
from receiver.storage.queue.route_limits import RouteRule
from receiver.storage.redis import scripts
from tests.support.events import entry
from tests.support.processes import Valkey

AT_ONCE = 32
ROUNDS = 3


@dataclass(frozen=True)
class Case:
    """A route with what its table says. *lane* and *per* name the key of the delivery of a number."""

    name: str
    lane: Callable[[int], str] = lambda number: ""
    per: Callable[[int], str] = lambda number: ""
    rules: Sequence[RouteRule] = ()


def _each(number: int) -> str:
    return f"{number:016d}"


def cases(number: int) -> Iterator[Case]:
    """Yield what is compared; the first is what all others are compared with."""
    yield Case("nothing")
    yield Case("order, every delivery of its own key", lane=_each)
    yield Case("order, 100 keys", lane=lambda number: _each(number % 100))
    yield Case("order, one key for all", lane=lambda number: "one")
    yield Case("limit that is never reached", rules=[RouteRule("announce", limit=10_000, period_ms=1)])
    yield Case("concurrency that is never reached", rules=[RouteRule("announce", concurrency=1_000_000)])
    yield Case("concurrency: 8, so that most are held", rules=[RouteRule("announce", concurrency=8)])
    yield Case("concurrency: 1 per key, a key each", per=_each, rules=[RouteRule("announce", concurrency=1)])


def main() -> None:
    """Print the table."""
    number = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory(prefix="flow-") as folder:
        server = Valkey(Path(folder))
        try:
            with server.client() as client:
                _print(client, number)
        finally:
            server.end()


def _print(client: redis.Redis, number: int) -> None:
    print(f"{number:,} deliveries, best of {ROUNDS}; microseconds of the server's processor for each")
    print(f"{'':<42}{'keep':>7}{'run':>7}{'ratio':>7}")
    base = 0.0
    for case in cases(number):
        measured = [_measure(client, case, number) for _ in range(ROUNDS)]
        kept, ran = (min(values) for values in zip(*measured, strict=True))
        base = base or ran
        print(f"{case.name:<42}{kept:>7.1f}{ran:>7.1f}{ran / base:>7.2f}")


def _measure(client: redis.Redis, case: Case, number: int) -> tuple[float, float]:
    client.flushall()
    script = client.register_script(scripts.source("keep"))
    begun = _used(client)
    for start in range(0, number, AT_ONCE):
        batch = [
            entry(b'{"Id":%d}' % at, terms=terms(case.lane(at), case.per(at)), entity=None)
            for at in range(start, min(start + AT_ONCE, number))
        ]
        script(args=keep_script.arguments(batch))
    kept = _used(client)
    _run_all(DeliveryQueue(client), case, number)
    return (kept - begun) / number, (_used(client) - kept) / number


def _run_all(deliveries: DeliveryQueue, case: Case, number: int) -> None:
    deliveries.begin_lease("bench", 600_000)
    ended = 0
    while ended < number:
        claimed = deliveries.claim("bench", ["default"], AT_ONCE, case.rules)
        assert claimed is not None
        deliveries.acknowledge("bench", [Acknowledgement(claim.job, "succeeded") for claim in claimed.claims])
        ended += len(claimed.claims)


def _used(client: redis.Redis) -> float:
    cpu = client.info("cpu")
    return (float(cpu["used_cpu_user_main_thread"]) + float(cpu["used_cpu_sys_main_thread"])) * 1_000_000


if __name__ == "__main__":
    main()
