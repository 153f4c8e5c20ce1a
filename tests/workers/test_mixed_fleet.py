"""Our workers beside stock RQ workers on one queue: every delivery reaches its recorded end once."""

import sys
from collections import Counter

from tests.processes import Process, environment, wait_until
from tests.workers.conftest import Bench


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
