"""Order, limits, pauses and targets that are down, with real workers that are killed and told to stop."""

import json
import os
import signal
from collections import defaultdict

from receiver.storage.accounting.audit import Audit
from receiver.storage.model.entries import terms
from receiver.storage.queue.flow_control import Gates
from receiver.storage.redis import keys, rq_keys
from tests.support.bench import Bench
from tests.support.events import entry, keep_all
from tests.support.processes import wait_until
from tests.workers.parent.test_mixed_fleet import stock


def keep(bench: Bench, number: int, route: str, written: str = "") -> str:
    """Keep one event whose delivery waits for something; return its id."""
    one = entry(json.dumps({"Id": number}).encode(), routes=[route], terms=written)
    keep_all(bench.client, one)
    return one.envelope.id


def kill_a_worker(bench: Bench) -> None:
    """kill -9 of one worker process."""
    pids = {int(pid) for pid in (bench.client.hget(rq_keys.worker(name), "pid") for name in bench.workers()) if pid}
    os.kill(min(pids), signal.SIGKILL)


def test_of_each_key_one_after_another_while_workers_are_killed_and_attempts_fail(bench: Bench) -> None:
    """Two processes of many threads, half of the attempts fail once, one process is killed in the middle."""
    bench.routes({"handler": "deeds:fail_once", "retry": ["20ms"], "order": "entity"})
    events = [(number % 4, keep(bench, number, "fail-once", terms(f"key{number % 4}"))) for number in range(48)]
    bench.work("--processes", "2", "--threads", "8")

    wait_until(lambda: len(bench.seen()) > 20, "some to run")
    kill_a_worker(bench)
    for _, event in events:
        assert bench.ended(event).status == "succeeded"

    order: defaultdict[int, list[int]] = defaultdict(list)
    for line in bench.seen():
        order[int(str(line["id"])) % 4].append(int(str(line["id"])))
    for key, ran in order.items():
        # Each runs at least twice; who ran once is never run again after somebody behind it.
        assert ran == sorted(ran), (key, ran)
    assert Audit(bench.client).run(full=True).unaccounted == 0
    assert bench.client.keys("fd:o:*") == []


def test_no_more_at_once_than_the_route_says_in_all_processes_together(bench: Bench) -> None:
    """Also when stock workers take part, and the workers are stopped in between."""
    bench.routes({"handler": "deeds:slow", "with": {"seconds": 0.05}, "concurrency": 2})
    events = [bench.keep(number, "slow") for number in range(24)]
    beside = stock(bench, 0)
    try:
        first = bench.work("--processes", "2", "--threads", "4")
        wait_until(lambda: len(bench.seen()) > 10, "some to run")
        first.stop()
        bench.work("--threads", "4")
        for event in events:
            assert bench.ended(event).status == "succeeded"
    finally:
        beside.end()

    running = most = 0
    for line in bench.seen():
        running += -1 if line.get("done") else 1
        most = max(most, running)
    assert most <= 2
    assert Audit(bench.client).run(full=True).unaccounted == 0


def test_a_paused_route_waits_through_edits_and_restarts(bench: Bench) -> None:
    """Also through its own removal from routes.yaml; what waits is seen, and goes on when it is resumed."""
    bench.routes({"handler": "deeds:ok"}, {"handler": "deeds:ok_async"})
    Gates(bench.client).pause("ok", "ann")
    event = bench.keep(1, "ok", "ok-async")
    worker = bench.work()
    wait_until(lambda: bench.client.zcard(keys.waiting("ok")) == 1, "the delivery to be held")
    worker.stop()
    bench.routes({"handler": "deeds:ok_async"})
    bench.work()
    held, fine = wait_until(
        lambda: d if (d := bench.archive.get(event).deliveries)[1].status == "succeeded" else None, "the other route"
    )
    assert (held.state, held.status, fine.status) == ("pause", "in_flight", "succeeded")
    assert Audit(bench.client).run(full=True).unaccounted == 0

    bench.routes({"handler": "deeds:ok"})
    Gates(bench.client).resume("ok")

    assert bench.ended(event).status == "succeeded"


def test_a_target_that_is_down_costs_no_delivery_its_attempts(bench: Bench) -> None:
    """Nothing dies of an outage that outlasts every retry; when the target is back, all is delivered.

    The first retry comes when the target has been down for more than two seconds, so that no delivery uses its last one
    before the target counts as down, however slow the machine is. A burst is test_flow_control's subject.
    """
    bench.routes({"handler": "deeds:reach", "retry": ["3s", "3s"]})
    events = [bench.keep(number, "reach") for number in range(30)]
    bench.work("--threads", "2")
    wait_until(lambda: "reach" in Gates(bench.client).standing(), "the route to wait for its target")
    assert wait_until(lambda: Gates(bench.client).standing()["reach"].waiting >= 25, "the others to be held")
    assert {bench.archive.get(event).status.value for event in events} == {"in_flight"}

    (bench.folder / "up").touch()
    bench.client.hset(keys.gate("reach"), "next", 0)
    bench.client.zadd(keys.GATES, {"reach": 0})  # the next probe would come in some seconds

    for event in events:
        assert bench.ended(event).status == "succeeded"
    assert Audit(bench.client).run(full=True).unaccounted == 0
