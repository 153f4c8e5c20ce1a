"""`frontdesk work`, as real processes on a real store: every delivery reaches its end, whatever handlers do."""

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest
from rq import Queue, Worker

from receiver.core.ids import milliseconds_of
from receiver.storage.accounting.audit import Audit
from receiver.storage.accounting.maintenance import last_result
from receiver.storage.queue.queue import DeliveryQueue
from receiver.storage.redis import keys, rq_keys
from tests.conftest import StartFrontdesk, StartValkey
from tests.support.bench import Bench
from tests.support.events import entry, keep_all
from tests.support.processes import wait_until

QUICK = {"timeout": "1s", "retry": []}


def test_sync_and_async_handlers_succeed_and_every_attempt_is_recorded(bench: Bench) -> None:
    """The handler sees the event; the store says when it ran, for how long, and how it ended."""
    bench.routes({"handler": "deeds:ok"}, {"handler": "deeds:ok_async"})
    event_id = bench.keep(7, "ok", "ok-async")

    bench.work()

    stored = bench.ended(event_id)
    assert stored.status == "succeeded"
    assert sorted((seen["key"], seen["attempt"]) for seen in bench.seen()) == [
        (f"{event_id}-ok", 1),
        (f"{event_id}-ok-async", 1),
    ]
    for delivery in stored.deliveries:
        (attempt,) = delivery.attempts
        assert attempt["outcome"] == "succeeded"
        assert attempt["started_ms"] <= attempt["ended_ms"]


def test_a_record_that_the_store_forgot_is_recorded_again(bench: Bench) -> None:
    """A failover to a replica that had not heard of it puts the delivery back into the hands of a worker that lives and
    knows nothing of it: it must neither stay there for ever nor run again."""
    bench.routes({"handler": "deeds:ok"})
    event_id = bench.keep(7, "ok")
    bench.work("--processes", "1")
    bench.ended(event_id)
    (worker,) = bench.workers()

    job = f"{event_id}-1-1"
    hour = milliseconds_of(event_id) // 3_600_000
    with bench.client.pipeline() as before:  # what the replica still believes
        before.hset(keys.state(event_id), mapping={"1s": "x", "1o": worker, "p": 1})
        before.hdel(keys.state(event_id), "1a", "z")
        before.delete(keys.attempts(f"{event_id}-1"))
        before.sadd(keys.held(worker), job)
        before.hincrby(keys.counters(hour), "d_succeeded", -1)
        before.execute()

    stored = bench.ended(event_id)
    assert stored.status == "succeeded"
    assert [attempt["outcome"] for attempt in stored.deliveries[0].attempts] == ["succeeded"]
    assert len(bench.seen()) == 1
    assert Audit(bench.client).run(full=True).unaccounted == 0


@pytest.mark.parametrize("skew_s", [7_200, -7_200])
def test_a_worker_whose_clock_is_wrong_works_by_the_stores(bench: Bench, skew_s: int) -> None:
    """Retries come when they are due, an unknown route is waited for, and what is recorded has the right time."""
    (bench.folder / "sitecustomize.py").write_text(
        f"import time\ntrue = time.time\ntime.time = lambda: true() + {skew_s}"
    )
    bench.settings["PYTHONPATH"] = str(bench.folder)
    bench.routes({"handler": "deeds:fail_once", "retry": ["300ms"]})
    failing, unknown = bench.keep(1, "fail-once"), bench.keep(2, "to-come")
    began = time.time()
    bench.work("--processes", "1")

    first, second = bench.ended(failing).deliveries[0].attempts
    assert began - 1 < first["started_ms"] / 1_000 <= second["ended_ms"] / 1_000 < time.time() + 1
    wait_until(lambda: bench.client.hget(keys.state(unknown), "1j"), "the unknown route to be given back")
    assert bench.archive.get(unknown).status == "in_flight"
    bench.routes({"handler": "deeds:fail_once", "retry": ["300ms"]}, {"handler": "deeds:ok", "name": "to-come"})
    assert bench.ended(unknown).status == "succeeded"


def test_a_failing_handler_is_retried_by_its_schedule_then_dead(bench: Bench) -> None:
    """Three attempts for two delays; the error is kept, its neighbour succeeds."""
    bench.routes({"handler": "deeds:fail", "retry": ["10ms", "300ms"]}, {"handler": "deeds:ok"})
    event_id = bench.keep(1, "fail", "ok")

    bench.work()

    stored = bench.ended(event_id)
    failed, fine = stored.deliveries
    assert (stored.status, failed.status, fine.status) == ("dead", "dead", "succeeded")
    assert [attempt["number"] for attempt in failed.attempts] == [1, 2, 3]
    assert failed.error == "ValueError: no good"
    gaps = [
        after["started_ms"] - before["ended_ms"]
        for before, after in zip(failed.attempts, failed.attempts[1:], strict=False)
    ]
    assert gaps[0] >= 10
    assert gaps[1] >= 300


@pytest.mark.parametrize(
    ("handler", "status", "attempts"),
    [
        ("fail_once", "succeeded", 2),
        ("discard", "discarded", 1),
        ("again", "succeeded", 2),
        ("odd_return", "succeeded", 1),
    ],
)
def test_what_a_handler_says_is_done(bench: Bench, handler: str, status: str, attempts: int) -> None:
    """Retry, Discard, a failure that passes; an odd return value changes nothing."""
    bench.routes({"handler": f"deeds:{handler}", "retry": ["20ms"]})
    event_id = bench.keep(1, handler.replace("_", "-"))

    bench.work()

    stored = bench.ended(event_id)
    assert (stored.status, len(stored.deliveries[0].attempts)) == (status, attempts)


@pytest.mark.parametrize("handler", ["spin", "sleep", "receive", "lock", "regex", "spin_stubborn"])
def test_a_handler_that_hangs_is_recorded_as_timed_out_and_harms_no_neighbour(bench: Bench, handler: str) -> None:
    """Whatever it hangs in. What cannot be interrupted costs its process, not its neighbours."""
    bench.routes(
        {"handler": f"deeds:{handler}", **QUICK},
        {"handler": "deeds:ok"},
        {"handler": "deeds:slow", "with": {"seconds": 0.3}},
    )
    hanging = bench.keep(1, handler.replace("_", "-"))
    neighbours = [bench.keep(number, "ok", "slow") for number in range(2, 8)]

    bench.work("--threads", "4")

    stored = bench.ended(hanging)
    assert stored.status == "dead"
    assert stored.deliveries[0].attempts[-1]["outcome"] == "timed_out"
    assert {bench.ended(event_id).status.value for event_id in neighbours} == {"succeeded"}
    later = bench.keep(100, "ok")
    assert bench.ended(later).status == "succeeded"


@pytest.mark.parametrize("handler", ["block_loop", "swallow", "slow_async"])
def test_an_async_handler_that_hangs_is_recorded_as_timed_out(bench: Bench, handler: str) -> None:
    """It may block the whole loop, swallow its cancellation, or just take too long."""
    bench.routes(
        {"handler": f"deeds:{handler}", **QUICK, **({"with": {"seconds": 60}} if handler == "slow_async" else {})},
        {"handler": "deeds:ok_async"},
    )
    hanging = bench.keep(1, handler.replace("_", "-"))
    neighbours = [bench.keep(number, "ok-async") for number in range(2, 8)]

    bench.work()

    assert bench.ended(hanging).deliveries[0].attempts[-1]["outcome"] == "timed_out"
    assert {bench.ended(event_id).status.value for event_id in neighbours} == {"succeeded"}


@pytest.mark.parametrize("handler", ["vanish", "segfault", "die"])
def test_a_handler_that_kills_its_process_is_poison_and_nobody_else_is(bench: Bench, handler: str) -> None:
    """It is found by running alone; every death is on record; neighbours all succeed."""
    bench.routes({"handler": f"deeds:{handler}", **QUICK}, {"handler": "deeds:slow", "with": {"seconds": 0.2}})
    poison = bench.keep(1, handler)
    neighbours = [bench.keep(number, "slow") for number in range(2, 10)]

    bench.work("--threads", "4")

    stored = bench.ended(poison)
    assert stored.status == "dead"
    assert {attempt["outcome"] for attempt in stored.deliveries[0].attempts} == {"crashed"}
    assert 3 <= len(stored.deliveries[0].attempts) <= 4
    assert all(one["started_ms"] <= one["ended_ms"] for one in stored.deliveries[0].attempts)
    assert stored.deliveries[0].error is not None
    assert stored.deliveries[0].error.startswith("poison")
    assert {bench.ended(event_id).status.value for event_id in neighbours} == {"succeeded"}


@pytest.mark.parametrize("handler", ["leave", "leave_from_task"])
def test_sys_exit_in_a_handler_is_a_failure_like_any_other(bench: Bench, handler: str) -> None:
    """The process goes on, and the loop too."""
    bench.routes({"handler": f"deeds:{handler}", "retry": []}, {"handler": "deeds:ok_async"})
    left, fine = bench.keep(1, handler.replace("_", "-")), bench.keep(2, "ok-async")

    bench.work()

    assert bench.ended(left).deliveries[0].error == "SystemExit: 3"
    assert bench.ended(fine).status == "succeeded"
    assert len({seen["pid"] for seen in bench.seen()}) == 1


@pytest.mark.skipif(sys.platform != "linux", reason="reads its own size from /proc")
def test_memory_exhaustion_in_a_handler_is_a_failure_like_any_other(bench: Bench) -> None:
    """The process goes on; its neighbours succeed."""
    bench.routes({"handler": "deeds:exhaust", "retry": []}, {"handler": "deeds:ok"})
    greedy, fine = bench.keep(1, "exhaust"), bench.keep(2, "ok")

    bench.work()

    assert (bench.ended(greedy).deliveries[0].error or "").startswith("MemoryError")
    assert bench.ended(fine).status == "succeeded"


def test_a_second_sigterm_gives_back_at_once_what_is_still_held(bench: Bench) -> None:
    """Nobody waits for a handler that takes an hour; its delivery is free for another worker, at no charge."""
    bench.routes({"handler": "deeds:slow", "with": {"seconds": 600}, "timeout": "1h"})
    event_id = bench.keep(1, "slow")
    worker = bench.work("--grace", "600")
    wait_until(bench.seen, "the handler to start")

    worker.signal(signal.SIGTERM)
    worker.wait_for("worker.stopping")
    worker.signal(signal.SIGTERM)

    assert worker.wait() == 0
    (delivery,) = bench.archive.get(event_id).deliveries
    assert (delivery.state, delivery.attempts) == ("queued", ())


def test_a_handler_that_outlasts_the_grace_time_is_given_back(bench: Bench) -> None:
    """One SIGTERM is enough; a worker that hangs in its end would be killed, and its delivery called a crash."""
    bench.routes({"handler": "deeds:slow", "with": {"seconds": 600}, "timeout": "1h"})
    event_id = bench.keep(1, "slow")
    worker = bench.work("--grace", "1")
    wait_until(bench.seen, "the handler to start")

    assert worker.stop() == 0

    (delivery,) = bench.archive.get(event_id).deliveries
    assert (delivery.state, delivery.attempts) == ("queued", ())


def test_a_killed_worker_loses_nothing(bench: Bench) -> None:
    """kill -9 of the worker process: what it ran runs again, at once, under the same parent."""
    bench.routes({"handler": "deeds:slow", "with": {"seconds": 1.0}})
    ids = [bench.keep(number, "slow") for number in range(4)]
    bench.work("--threads", "2")
    first = wait_until(lambda: bench.seen()[:1], "a handler to start")[0]

    os.kill(int(str(first["pid"])), signal.SIGKILL)

    assert {bench.ended(event_id).status.value for event_id in ids} == {"succeeded"}


def test_a_whole_fleet_killed_is_recovered_by_another(bench: Bench) -> None:
    """kill -9 of parent and process alike."""
    bench.routes({"handler": "deeds:slow", "with": {"seconds": 2.0}})
    event_id = bench.keep(1, "slow")
    first = bench.work()
    pid = int(str(wait_until(lambda: bench.seen()[:1], "a handler to start")[0]["pid"]))
    bench.work()

    first.kill()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(bench.seen()) > 1, "the second run")

    assert bench.ended(event_id).status == "succeeded"


def test_what_many_threads_ran_when_their_fleet_died_does_not_run_again_one_after_another(bench: Bench) -> None:
    """Each alone in a process at first; but the last one does not wait until any other has ended: none does."""
    bench.routes({"handler": "deeds:hold", "timeout": "1h"})
    ids = [bench.keep(number, "hold") for number in range(6)]
    first = bench.work("--threads", "6")
    pid = int(str(wait_until(lambda: bench.seen()[5:6], "six handlers to start")[0]["pid"]))
    bench.work("--threads", "6")

    first.kill()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: len(bench.seen()) == 12, lambda: f"the second runs: {bench.seen()}")

    assert not any(seen.get("done") for seen in bench.seen())
    bench.go()
    assert {bench.ended(event_id).status.value for event_id in ids} == {"succeeded"}


def test_sigterm_finishes_what_runs_and_gives_back_what_was_only_held(bench: Bench) -> None:
    """A deploy loses and doubles nothing."""
    bench.routes({"handler": "deeds:slow", "with": {"seconds": 0.5}})
    ids = [bench.keep(number, "slow") for number in range(12)]
    worker = bench.work("--threads", "2")
    wait_until(bench.seen, "a handler to start")

    assert worker.stop() == 0

    assert {bench.archive.get(event_id).deliveries[0].state for event_id in ids} <= {"", "queued"}
    assert bench.client.keys("fd:held:*") == []
    assert bench.client.zcard(keys.WORKERS) == 0
    bench.work()
    assert {bench.ended(event_id).status.value for event_id in ids} == {"succeeded"}
    assert sorted(seen["id"] for seen in bench.seen() if "done" not in seen) == list(range(12))  # type: ignore[type-var]


def test_an_unknown_route_is_given_back_uncharged_until_it_is_known(bench: Bench) -> None:
    """The worker of an older deploy harms nothing; a reload makes the route known."""
    bench.routes({"handler": "deeds:ok"})
    event_id = bench.keep(1, "new-route")
    worker = bench.work()
    worker.wait_for("unknown route")

    bench.routes({"handler": "deeds:ok"}, {"handler": "deeds:ok", "name": "new-route"})

    stored = bench.ended(event_id)
    assert (stored.status, len(stored.deliveries[0].attempts)) == ("succeeded", 1)


def test_burst_ends_when_nothing_is_left(bench: Bench) -> None:
    """For a pipeline, or a cron job."""
    bench.routes({"handler": "deeds:ok"})
    ids = [bench.keep(number, "ok") for number in range(300)]

    assert bench.work("--burst", "--processes", "2").wait() == 0

    assert {bench.archive.get(event_id).status.value for event_id in ids} == {"succeeded"}
    assert len(bench.seen()) == 300


def test_burst_without_a_store_is_one_sentence(bench: Bench) -> None:
    """Whoever wants to be done is not made to wait; a worker that stays waits for the store."""
    bench.routes({"handler": "deeds:ok"})
    bench.settings["FRONTDESK_REDIS_URL"] = "redis://127.0.0.1:1/0"

    nowhere = bench.work("--burst")

    assert nowhere.wait() == 1
    assert "frontdesk: Redis: ConnectionError: Error 111 connecting to 127.0.0.1:1" in nowhere.output


def test_wrong_routes_and_wrong_arguments_are_one_sentence(bench: Bench) -> None:
    """No start; exit status 1."""
    (bench.folder / "routes.yaml").write_text("routes:\n  - action: BookingCraete\n    handler: log\n")

    wrong = bench.work()

    assert wrong.wait() == 1
    assert "BookingCreate" in wrong.output
    assert "Traceback" not in wrong.output
    few = bench.work("--processes", "0")
    assert few.wait() == 1
    assert "between 1 and 256 processes" in few.output


def test_a_queue_that_no_route_names_is_told_of_loudly(bench: Bench) -> None:
    """It is served, since it may hold what an older table put there; a name that none can have is refused."""
    bench.routes({"handler": "deeds:ok"})

    idle = bench.work("--queue", "defualt", "--queue", "default", "--burst")
    wrong = bench.work("--queue", "a b", "--burst")

    assert (idle.wait(), wrong.wait()) == (0, 1)
    (told,) = re.findall(r"--queue .*", idle.output)
    assert told.startswith("--queue defualt: no route of ")
    assert told.endswith("routes.yaml names this queue, so it gets no new deliveries; did you mean 'default'?")
    assert "frontdesk: --queue 'a b': a queue is 1 to 40 characters of a-z, 0-9, _ and -" in wrong.output


def test_no_queue_starves_behind_those_before_it(bench: Bench) -> None:
    """They are served by priority, but all are while all are full: also one in the middle."""
    queues = ("first", "middle", "last")
    bench.routes({"handler": "deeds:slow", "with": {"seconds": 0.02}, "queue": "first"}, queues=list(queues))
    for at, queue in enumerate(queues):
        records = [f'{{"Id":{at * 1_000 + number}}}'.encode() for number in range(400)]
        keep_all(bench.client, *[entry(record, routes=("slow",), queue=queue, entity=None) for record in records])

    bench.work("--processes", "1", "--threads", "1")

    def served() -> list[int]:
        return [int(str(seen["id"])) // 1_000 for seen in bench.seen()]

    wait_until(lambda: set(served()) == {0, 1, 2}, lambda: f"all of the queues to be served: {served()}")
    assert all(bench.client.llen(rq_keys.queue(queue)) for queue in queues)
    assert served()[0] == 0


def test_a_store_that_goes_away_is_waited_for(bench: Bench) -> None:
    """What runs finishes and is recorded when the store is back; nothing is run twice."""
    bench.routes({"handler": "deeds:slow", "with": {"seconds": 1.0}})
    event_id = bench.keep(1, "slow")
    bench.work()
    wait_until(bench.seen, "the handler to start")

    bench.client.client_pause(4_000, all=True)

    assert bench.ended(event_id).status == "succeeded"
    assert len([seen for seen in bench.seen() if "done" not in seen]) == 1


def test_a_store_that_died_is_asked_less_and_less_often(
    tmp_path: Path, start_valkey: StartValkey, frontdesk: StartFrontdesk
) -> None:
    """The worker stays; what it ran is recorded when the store is back, and was run once."""
    server = start_valkey("--appendfsync", "always")
    with server.client() as client:
        bench = Bench(tmp_path, server.url, client, frontdesk)
        bench.routes({"handler": "deeds:slow", "with": {"seconds": 1.0}})
        event_id = bench.keep(1, "slow")
        worker = bench.work("--processes", "1")
        wait_until(bench.seen, "the handler to start")

        def pauses() -> list[str]:
            return re.findall(r'"pause_s":([\d.]+),"event":"claim.failed"', worker.output)

        server.kill()
        wait_until(lambda: len(pauses()) > 3, worker.__str__)
        wait_until(lambda: '"record.delayed"' in worker.output, worker.__str__)
        server.start_again()

        assert pauses()[:4] == ["0.1", "0.2", "0.4", "0.8"]
        assert bench.ended(event_id).status == "succeeded"
        assert len([seen for seen in bench.seen() if "done" not in seen]) == 1


def test_rq_info_shows_our_workers_and_queues(bench: Bench) -> None:
    """An operator who knows RQ sees what he knows."""
    bench.routes({"handler": "deeds:ok", "queue": "doors"}, queues=["doors", "default"])
    bench.work("--processes", "2")

    workers = wait_until(lambda: len(found := Worker.all(connection=bench.client)) == 2 and found, "two workers")
    assert workers
    bench.ended(bench.keep(1, "ok", queue="doors"))
    assert [queue.name for queue in Queue.all(connection=bench.client)] == ["doors"]


def test_a_claim_whose_answer_was_lost_is_given_back(bench: Bench) -> None:
    """The store handed a delivery over and the worker never heard of it: it finds out when the store is back."""
    bench.routes({"handler": "deeds:ok"})
    worker = bench.work("--queue", "default")
    bench.ended(bench.keep(0, "ok"))
    (name,) = bench.workers()
    lost = bench.keep(1, "ok", queue="elsewhere")
    assert DeliveryQueue(bench.client).claim(name, ["elsewhere"], 1) is not None

    bench.client.client_pause(8_500, all=True)

    wait_until(lambda: bench.archive.get(lost).deliveries[0].state == "queued", "the delivery to be given back")
    assert worker.is_running
    assert bench.client.llen("rq:queue:elsewhere") == 1


def test_a_worker_parent_sweeps_and_what_was_lost_runs(bench: Bench) -> None:
    """A job that somebody took out of its queue is found and replaced without anybody asking."""
    bench.routes({"handler": "deeds:ok"})
    event_id = bench.keep(1, "ok")
    bench.client.delete("rq:queue:default")

    bench.work()

    assert bench.ended(event_id).status == "succeeded"
    found = wait_until(lambda: last_result(bench.client), "the sweeper's report")
    assert (found.unaccounted, found.repaired) == (0, 1)


def test_a_delivery_that_could_not_start_in_time_is_discarded(bench: Bench) -> None:
    """Whatever it waited for: a worker, a retry, a replay. A route without `max_age` runs it however late it is."""
    bench.routes(
        {"handler": "deeds:ok", "name": "late", "max_age": "1h"},
        {"handler": "deeds:ok", "name": "ever"},
        {"handler": "deeds:ok", "name": "soon", "max_age": "3h"},
    )
    old = entry(b'{"Id":1}', routes=("late", "ever", "soon"), at=time.time() - 7_200)
    keep_all(bench.client, old)
    bench.work()

    late, ever, soon = bench.ended(old.envelope.id).deliveries
    assert (late.status, ever.status, soon.status) == ("discarded", "succeeded", "succeeded")
    assert re.match(r"Discard: too late: its event came (2h|7\d+m?s) ago, and the route has", str(late.error))
    assert {str(seen["key"]).partition("-")[2] for seen in bench.seen()} == {"ever", "soon"}
    assert Audit(bench.client).run(full=True).unaccounted == 0


def test_a_route_that_went_into_the_shadow_runs_nothing(bench: Bench) -> None:
    """A delivery that was made before ends as discarded, and says why; it can be replayed later."""
    bench.routes({"handler": "deeds:ok", "shadow": True}, {"handler": "deeds:ok", "name": "live"})
    event_id = bench.keep(1, "ok", "live")

    bench.work("--burst")

    shadowed, live = bench.ended(event_id).deliveries
    assert (shadowed.status, live.status) == ("discarded", "succeeded")
    assert "its route is a shadow route now" in str(shadowed.error)
    assert [seen["key"] for seen in bench.seen()] == [f"{event_id}-live"]
