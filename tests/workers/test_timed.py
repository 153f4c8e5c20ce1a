"""Routes with `at`, with real workers that are killed: each entity's last word holds."""

import json
import os
import signal
import time
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest

from receiver.core.ids import IdGenerator
from receiver.ingest.hook_plan import HookPlan
from receiver.nexudus import actions, payload
from receiver.routing import file
from receiver.storage.accounting.audit import Audit
from receiver.storage.redis import rq_keys
from tests.support.bench import Bench
from tests.support.events import DAY_MS, keep_all
from tests.support.processes import wait_until
from tests.workers.parent.test_mixed_fleet import stock

AT = 'timestamp(data.FromTime) - duration("1h")'
HOUR = timedelta(hours=1)
_mint = IdGenerator()


def after(some: timedelta) -> str:
    """A time of a record."""
    return (datetime.now(UTC) + some).isoformat()


def keep(
    bench: Bench, action: str, number: int, starts: timedelta, *, came: timedelta = timedelta(), **more: object
) -> str:
    """Keep an event as a receiver does, by the routes of today. *starts*: from now, when its delivery does."""
    table = file.read(bench.folder / "routes.yaml", known_actions=actions.NAMES)
    record = {"Id": number, "FromTime": after(starts + HOUR), **more}
    (one,) = payload.split(json.dumps(record).encode())
    at = time.time() + came.total_seconds()
    plan = HookPlan(1001, action, table, dedup_window_ms=DAY_MS)
    entry = plan.received(_mint(at), int(at * 1_000), one, verified_by=None, trace="", failures=None)
    keep_all(bench.client, entry)
    return entry.envelope.id


def timed(handler: str = "deeds:ok", **more: object) -> dict[str, object]:
    """Return a route with `at`."""
    return {"handler": handler, "action": "Booking*", "at": AT, "cancelled_by": "BookingDelete", **more}


def kill_a_worker(bench: Bench) -> None:
    """kill -9 of one worker process."""
    pids = {int(pid) for pid in (bench.client.hget(rq_keys.worker(name), "pid") for name in bench.workers()) if pid}
    os.kill(min(pids), signal.SIGKILL)


def test_the_last_word_of_each_booking_holds_while_workers_are_killed(bench: Bench) -> None:
    """Forty bookings are made, moved twice and half of them deleted; attempts fail, a process is killed."""
    bench.routes(timed("deeds:fail_once", retry=["20ms"], concurrency=6))
    numbers = range(40)
    worker = bench.work("--processes", "2", "--threads", "4")
    made = [keep(bench, "BookingCreate", number, 50 * HOUR) for number in numbers]
    moved = [keep(bench, "BookingUpdate", number, -HOUR / 60) for number in numbers]
    wait_until(lambda: len(bench.seen()) > 8, "some to run")
    kill_a_worker(bench)
    again = [keep(bench, "BookingUpdate", number, -HOUR / 30) for number in numbers]
    gone = [keep(bench, "BookingDelete", number, HOUR) for number in numbers if number % 2]
    last = [bench.ended(event) for event in again]  # before what comes next may take the place of one that has not run
    later = [keep(bench, "BookingUpdate", number, 90 * HOUR, UpdatedOn=after(-HOUR)) for number in numbers[:2]]

    assert {bench.ended(event).status for event in made} == {"discarded"}
    assert {bench.ended(event).status for event in moved} <= {"succeeded", "discarded"}
    assert all(stored.status == "succeeded" for stored in last[::2])
    assert {bench.ended(event).status for event in gone} == {"discarded"}
    assert [bench.archive.get(event).deliveries[0].state for event in later] == ["its time", "its time"]
    ended = Counter(line["key"] for line in bench.seen() if line["attempt"] == 2)
    assert {f"{stored.envelope.id}-fail-once" for stored in last[::2]} <= ended.keys()
    counted = Audit(bench.client).run(full=True)
    assert (counted.unaccounted, counted.deliveries["in_flight"]) == (0, 2)
    assert len(bench.client.keys("fd:o:*")) == 2
    assert worker.stop() == 0


@pytest.mark.parametrize("by", ["ours", "stock"])
def test_it_is_put_off_when_the_route_of_today_says_later(bench: Bench, by: str) -> None:
    """At no charge, and looked at again within the hour; also by a stock worker."""
    bench.routes(timed())
    first = keep(bench, "BookingCreate", 1, timedelta(seconds=-1))
    bench.routes(timed(at=AT.replace("- duration", "+ duration")))
    worker = stock(bench, 0) if by == "stock" else bench.work()
    try:
        waits = wait_until(
            lambda: one if (one := bench.archive.get(first).deliveries[0]).state == "its time" else None,
            "it to be put off",
        )
    finally:
        worker.end()

    assert (waits.attempts, bench.seen()) == ((), [])
    assert waits.next_attempt_ms
    assert waits.next_attempt_ms > (time.time() + 1.9 * 3_600) * 1_000
    soon = time.time() + 3_600
    assert bench.client.zcount(rq_keys.scheduled("default"), 0, soon) == 1
    assert Audit(bench.client).run(full=True).unaccounted == 0


def test_it_starts_at_its_time_and_not_before(bench: Bench) -> None:
    """Through a restart of the workers."""
    bench.routes(timed())
    bench.work().stop()
    event = keep(bench, "BookingCreate", 1, timedelta(seconds=3))
    planned = bench.archive.get(event).deliveries[0].next_attempt_ms
    bench.work()

    stored = bench.ended(event)

    assert stored.status == "succeeded"
    assert planned
    assert stored.deliveries[0].attempts[0]["started_ms"] >= planned


def test_what_is_too_late_counts_from_its_time(bench: Bench) -> None:
    """Not from when its event came: months may lie between. One without a time says so, also after an edit."""
    bench.routes(timed(max_age="30m"))
    old = keep(bench, "BookingCreate", 1, -HOUR / 60, came=-48 * HOUR)
    late = keep(bench, "BookingCreate", 2, -HOUR)
    blank = keep(bench, "BookingCreate", 3, HOUR, FromTime=None)
    bench.work("--burst").wait()
    bench.routes(timed(at="timestamp(data.Nothing)"))
    edited = keep(bench, "BookingCreate", 4, HOUR)
    bench.work("--burst").wait()

    assert bench.ended(old).status == "succeeded"
    assert "too late: its time was " in str(bench.ended(late).deliveries[0].error)
    assert str(bench.ended(blank).deliveries[0].error).startswith("no time: timestamp() cannot work with")
    assert bench.ended(edited).deliveries[0].error == "no time: there is no 'Nothing' in it"
    assert len(bench.seen()) == 1


def test_thousands_that_are_moved_to_now_all_run(bench: Bench) -> None:
    """Once each, whatever they waited for before."""
    bench.routes(timed("deeds:ok_async"))
    for number in range(1_000):
        keep(bench, "BookingCreate", number, 50 * HOUR)
    for number in range(1_000):
        keep(bench, "BookingUpdate", number, timedelta(seconds=-1))
    bench.work("--processes", "2")

    wait_until(lambda: len(bench.seen()) >= 1_000, "all to run")
    wait_until(lambda: Audit(bench.client).run().deliveries["in_flight"] == 0, "all to be recorded")
    assert Counter(line["id"] for line in bench.seen()).most_common(1)[0][1] == 1
    counted = Audit(bench.client).run(full=True)
    assert (counted.unaccounted, counted.deliveries["succeeded"], counted.deliveries["discarded"]) == (0, 1_000, 1_000)
