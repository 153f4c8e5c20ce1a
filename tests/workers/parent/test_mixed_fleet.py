"""Our workers beside stock RQ workers on one queue: every delivery reaches its recorded end once."""

import json
import sys
import time
from collections import Counter

from receiver.storage.model.entries import terms
from tests.support.bench import Bench
from tests.support.events import entry, keep_all
from tests.support.processes import Process, environment, wait_until


def stock(bench: Bench, number: int) -> Process:
    """Start `rq worker -w rq.SimpleWorker --serializer json default`."""
    environ = environment(bench.settings)
    rq = [sys.executable, "-m", "rq.cli", "worker", "--url", bench.settings["FRONTDESK_REDIS_URL"]]
    argv = [*rq, "-w", "rq.SimpleWorker", "--serializer", "json", "--quiet", "default"]
    return Process(argv, log=bench.folder / f"stock-{number}.log", environ=environ, cwd=bench.folder)


def test_deliveries_end_once_whoever_runs_them(bench: Bench) -> None:
    """With retries, half the fleet stock: no delivery is lost, none runs twice, every attempt is recorded."""
    bench.routes({"handler": "deeds:ok"}, {"handler": "deeds:fail_once", "retry": ["50ms", "50ms"]})
    ids = [bench.keep(number, "ok", "fail-once") for number in range(150)]
    stocks = [stock(bench, number) for number in range(2)]
    try:
        wait_until(lambda: len(bench.seen()) > 20, "the stock workers to run something")
        bench.work("--threads", "2")
        ended = [bench.ended(event_id) for event_id in ids]
        wait_until(lambda: bench.client.keys("rq:job:*") == [], "RQ to clean up")
    finally:
        for process in stocks:
            process.end()

    assert bench.client.zcard("rq:failed:default") == 0
    assert Counter(stored.status.value for stored in ended) == {"succeeded": 150}
    runs = Counter((seen["key"], seen["attempt"]) for seen in bench.seen())
    assert max(runs.values()) == 1
    assert sum(runs.values()) == 150 + 300
    for stored in ended:
        assert [len(delivery.attempts) for delivery in stored.deliveries] == [1, 2]
    assert len({str(seen["pid"]) for seen in bench.seen()}) >= 2


def test_a_stock_worker_alone_ends_deliveries_and_times_out_what_hangs(bench: Bench) -> None:
    """Where only RQ's own worker runs, the record is the same."""
    bench.routes({"handler": "deeds:ok_async"}, {"handler": "deeds:spin", "timeout": "500ms", "retry": []})
    event_id = bench.keep(1, "ok-async", "spin")
    worker = stock(bench, 0)
    try:
        stored = bench.ended(event_id)
    finally:
        worker.end()

    fine, hung = stored.deliveries
    assert (fine.status, hung.status) == ("succeeded", "dead")
    assert hung.attempts[-1]["outcome"] == "timed_out"


def test_what_a_stock_worker_runs_is_its_own_for_as_long_as_the_route_allows(bench: Bench) -> None:
    """Nobody renews its lease meanwhile, so a handler of two hours was run twice at once."""
    bench.routes({"handler": "deeds:sleep", "timeout": "2h"})
    event_id = bench.keep(1, "sleep")
    worker = stock(bench, 0)
    try:
        wait_until(bench.seen, "the handler to start")
        until_ms = bench.client.zscore("fd:workers", f"stock:{event_id}-1-1")
    finally:
        worker.end()

    assert until_ms is not None
    assert until_ms / 1_000 > time.time() + 7_000


def test_beside_workers_of_an_older_deploy_the_routes_of_a_newer_one_do_not_starve(bench: Bench) -> None:
    """Ordered and limited ones, and one whose handler is only in the new deploy: a worker gives back what it held when
    it found out, and nothing twice; everything runs while both live, each key in its order."""
    bench.routes(
        {"handler": "deeds:ok", "name": "ordered", "order": "entity"},
        {"handler": "deeds:ok_async", "name": "limited", "limit": "60/s", "concurrency": 2},
        {"handler": "deeds:ok", "name": "renamed"},
        {"handler": "deeds:ok", "name": "known-to-both"},
    )
    older = bench.beside("older")
    older.routes({"handler": "deeds:ok", "name": "known-to-both"}, {"handler": "deeds:not_yet", "name": "renamed"})
    old, new = older.work("--threads", "4"), bench.work("--threads", "4")
    wait_until(lambda: len(bench.workers()) == 2, "both workers")
    ordered = [
        entry(b'{"Id":%d}' % number, routes=["ordered"], terms=terms(f"key-{number % 10}")) for number in range(150)
    ]
    keep_all(bench.client, *ordered)
    ids = [one.envelope.id for one in ordered]
    ids += [bench.keep(1_000 + number, "limited", "renamed", "known-to-both") for number in range(60)]

    assert {bench.ended(event_id).status.value for event_id in ids} == {"succeeded"}
    assert (old.is_running, new.is_running) == (True, True)
    back = [json.loads(line)["delivery_id"] for line in old.output.splitlines() if "delivery.not_ready" in line]
    assert len(back) == len(set(back))
    assert "delivery.not_ready" not in new.output
    by_key: dict[int, list[int]] = {}
    for seen in bench.seen():
        number = int(str(seen["id"]))
        if number < 1_000:
            by_key.setdefault(number % 10, []).append(number)
    assert [numbers for numbers in by_key.values() if numbers != sorted(numbers)] == []
    assert sum(map(len, by_key.values())) == 150
