"""What worker processes count reaches the counters of all processes once, whoever dies in between."""

import subprocess
import sys
from collections.abc import Iterator
from typing import IO

import pytest
import redis

from receiver.core.errors import StorageUnavailable
from receiver.observation import metrics_store
from receiver.routing import file
from receiver.routing.table import RoutingTable
from receiver.storage.queue.queue import Acknowledgement, Attempt, Claim, Verdict
from receiver.storage.redis import connection
from tests.support.bench import Bench
from tests.support.events import entry
from workers.parent.child import ChildProcess, Launch
from workers.parent.fleet_counters import FleetCounters
from workers.run.shared_counters import SharedCounters

RECEIVED_MS = 1_790_000_000_000


@pytest.fixture
def memory() -> Iterator[IO[bytes]]:
    """A file for counters."""
    with SharedCounters.file() as file:
        yield file


def _claim(route: str, *, origin: str | None = None, number: int = 1) -> Claim:
    envelope = entry(at=RECEIVED_MS / 1_000).envelope
    return Claim(f"{envelope.id}-1-1", "default", route, number - 1, 0, 0, 0, origin, False, envelope)  # type: ignore[arg-type]


def _ended(
    verdict: Verdict, outcome: str, *, number: int = 1, started_ms: int = 20, took_ms: int = 30
) -> Acknowledgement:
    start = RECEIVED_MS + started_ms
    return Acknowledgement("job", verdict, attempt=Attempt(number, outcome, start, start + took_ms, "ann"))


def _table(*routes: str) -> RoutingTable:
    lines = "".join(f"  - {{name: {name}, action: '*', handler: log}}\n" for name in routes)
    return file.parse(f"routes:\n{lines}", file="routes.yaml", known_actions=())


def test_attempts_are_counted_by_route_and_outcome(memory: IO[bytes]) -> None:
    """And how long they took, from when; a replay's age and what was given back unrun say nothing."""
    counts = SharedCounters(memory)

    counts.ended(_claim("announce"), _ended("succeeded", "succeeded"))
    counts.ended(_claim("announce"), _ended("retry", "failed", took_ms=2_000))
    counts.ended(_claim("announce", number=2), _ended("dead", "timed_out", number=2, started_ms=9_000, took_ms=400_000))
    counts.ended(_claim("doors", origin="replay"), _ended("discarded", "discarded", took_ms=0))
    counts.ended(_claim("doors"), Acknowledgement("job", "give_back"))

    assert counts.amounts() == {
        "attempts:announce:succeeded": 1,
        "attempts:announce:failed": 1,
        "attempts:announce:timed_out": 1,
        "attempts:doors:discarded": 1,
        "ended:announce:succeeded": 1,
        "ended:announce:dead": 1,
        "ended:doors:discarded": 1,
        "retries:announce": 1,
        "handler_ms:announce": 402_030,
        "handler:announce:0.05": 1,
        "handler:announce:2.5": 1,
        "handler:announce:+Inf": 1,
        "handler:doors:0.001": 1,
        "delivery_ms": 50,
        "delivery:0.05": 1,
        "wait_ms": 40,
        "wait:0.025": 2,
    }


def test_more_routes_than_rows_share_one(memory: IO[bytes]) -> None:
    """A table of thousands of routes costs no memory without end, and no attempt goes uncounted."""
    counts = SharedCounters(memory)

    for number in range(600):
        counts.ended(_claim(f"route-{number}"), _ended("succeeded", "succeeded"))

    amounts = counts.amounts()
    assert amounts["attempts:other:succeeded"] == 600 - 511
    assert sum(count for field, count in amounts.items() if field.startswith("attempts:")) == 600


def test_a_killed_process_leaves_its_counts(memory: IO[bytes]) -> None:
    """The memory is the parent's too."""
    script = (
        "import os, sys; from tests.workers.run.test_shared_counters import _claim, _ended;"
        " from workers.run.shared_counters import SharedCounters; counts = SharedCounters(int(sys.argv[1]));"
        " counts.ended(_claim('announce'), _ended('succeeded', 'succeeded')); os.kill(os.getpid(), 9)"
    )

    ended = subprocess.run(
        [sys.executable, "-c", script, str(memory.fileno())], pass_fds=[memory.fileno()], check=False
    )

    assert ended.returncode == -9
    assert SharedCounters(memory).amounts()["attempts:announce:succeeded"] == 1


def test_only_what_is_new_is_added_and_what_could_not_be_added_is_added_later(client: redis.Redis) -> None:
    """Two turns add nothing twice; a turn that fails loses nothing; routes without a label of their own are others."""
    child = ChildProcess(Launch(1, (), False, 1.0, {}))
    table = _table("announce")
    away = FleetCounters(connection.connect("redis://127.0.0.1:1/0", timeout_s=0.2), lambda: table)
    metering = FleetCounters(client, lambda: table)
    child.counts.ended(_claim("announce"), _ended("succeeded", "succeeded"))
    child.counts.ended(_claim("unknown"), _ended("retry", "failed"))

    for _ in range(2):
        with pytest.raises(StorageUnavailable):
            away.turn([], [child])
        metering.turn([], [child])
    child.counts.ended(_claim("announce"), _ended("succeeded", "succeeded"))
    metering.turn([], [child])
    for opened in (child._file, child._counts_file):  # a child that was never started closes nothing
        opened.close()

    found = metrics_store.read(client)
    assert found["attempts:announce:succeeded"] == 2
    assert (found["attempts:other:failed"], found["retries:other"], found["wait:0.025"]) == (1, 1, 3)
    assert "attempts:unknown:failed" not in found


def test_counters_of_routes_that_are_gone_are_forgotten(client: redis.Redis) -> None:
    """Routes come and go over the years; those of the table, and sums over all routes, stay."""
    metrics_store.add(
        client, {"attempts:gone:failed": 1, "attempts:announce:failed": 1, "handler_ms:gone": 5, "wait:0.5": 2}
    )

    assert metrics_store.forget(client, ["announce"]) == 2
    assert metrics_store.read(client) == {"attempts:announce:failed": 1, "wait:0.5": 2}


def test_what_real_workers_did_is_counted(bench: Bench) -> None:
    """Each attempt once; what they counted last is added when they stop."""
    bench.routes({"handler": "deeds:ok"}, {"handler": "deeds:fail_once", "retry": ["50ms"]})
    ids = [bench.keep(number, "ok", "fail-once") for number in range(40)]

    process = bench.work("--processes", "2")
    for event_id in ids:
        assert bench.ended(event_id).status == "succeeded"
    assert process.stop() == 0
    found = metrics_store.read(bench.client)

    assert found["attempts:ok:succeeded"] == 40
    assert (found["attempts:fail-once:failed"], found["attempts:fail-once:succeeded"]) == (40, 40)
    assert (found["retries:fail-once"], found["ended:fail-once:succeeded"]) == (40, 40)
    assert sum(count for field, count in found.items() if field.startswith("delivery:")) == 80
    assert sum(count for field, count in found.items() if field.startswith("handler:ok:")) == 40
