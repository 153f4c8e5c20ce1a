"""How much a worker process takes: much of what is quick, one for each thread of what is slow, and never too much."""

import pytest

from receiver.storage.redis import rq_keys
from tests.support.bench import Bench
from tests.support.events import entry, keep_all
from tests.support.processes import wait_until
from workers.run.capacity import ASYNC_LIMIT, Capacity


def after(capacity: Capacity, took_ms: int, runs: int = 200) -> int:
    """Let a process run so many handlers that took so long each; return its room then."""
    for _ in range(runs):
        capacity.claimed(1)
        capacity.ran(took_ms)
        capacity.settled()
        capacity.recorded(1)
    return capacity.room()


@pytest.mark.parametrize(("took_ms", "room"), [(0, 256), (5, 40), (10, 20), (25, 8), (50, 4), (300, 4), (60_000, 4)])
def test_it_takes_fifty_milliseconds_of_work_for_each_thread(took_ms: int, room: int) -> None:
    """As far as it has learnt how long handlers run; slow ones one at a time for each thread."""
    assert abs(after(Capacity(4, alone=False), took_ms) - room) <= 1


def test_what_it_holds_takes_room() -> None:
    """Until it is known how it ended."""
    capacity = Capacity(4, alone=False)
    capacity.claimed(3)
    assert capacity.room() == 1
    capacity.settled()
    assert capacity.room() == 2


def test_what_is_not_recorded_yet_is_bounded() -> None:
    """While the store is away, nobody goes on for ever."""
    capacity = Capacity(64, alone=False)
    after(capacity, 0)
    for _ in range(2_048):
        capacity.claimed(1)
        capacity.settled()
    assert capacity.room() == 0


def test_alone_the_next_is_taken_when_the_last_is_recorded() -> None:
    """Whoever may have killed a worker is tried with nobody beside it."""
    capacity = Capacity(4, alone=True)
    assert capacity.room() == 1
    capacity.claimed(1)
    capacity.settled()
    assert capacity.room() == 0
    capacity.recorded(1)
    assert capacity.room() == 1


def test_who_waits_for_something_slow_takes_it_for_slow() -> None:
    """Before it has ended, which may take an hour."""
    capacity = Capacity(4, alone=False)
    after(capacity, 0)
    capacity.claimed(5)
    assert not capacity.is_stuck_for(60)
    assert capacity.room() > 4
    assert capacity.is_stuck_for(-1)
    assert capacity.room() <= 0


def test_what_is_awaited_takes_no_thread() -> None:
    """Hundreds wait in the event loop beside the threads, up to a number of their own."""
    capacity = Capacity(4, alone=False)
    awaited = 0
    while (room := capacity.room()) > 0:
        capacity.claimed(room)
        for _ in range(room):
            capacity.awaits()
        awaited += room
    assert awaited == ASYNC_LIMIT
    capacity.settled(awaited=True)
    assert capacity.room() == 1


@pytest.mark.parametrize(("beside_ms", "room"), [(None, 256), (300, 4)])
def test_what_is_awaited_teaches_how_little_work_it_is(beside_ms: int | None, room: int) -> None:
    """Quick async handlers are claimed many at a time, unless those of threads beside them are slow."""
    capacity = Capacity(4, alone=False)
    for _ in range(200):
        if beside_ms is not None:
            after(capacity, beside_ms, runs=1)
        capacity.claimed(1)
        capacity.awaits()
        capacity.settled(awaited=True)
        capacity.recorded(1)
    assert capacity.room() == room


def test_a_slow_delivery_delays_no_other(bench: Bench) -> None:
    """What was claimed behind it, because all were quick so far, is given back and run by another process."""
    bench.routes({"handler": "deeds:ok"}, {"handler": "deeds:hold", "timeout": "1h"})
    bench.work("--processes", "2", "--threads", "1")
    quick = [entry(b'{"Id":%d}' % number, routes=("ok",), entity=None) for number in range(400)]
    keep_all(bench.client, *quick)  # they learn that handlers are quick
    wait_until(lambda: len(bench.seen()) == 400, lambda: f"the quick ones: {len(bench.seen())}")
    behind = [entry(b'{"Id":%d}' % number, routes=("ok",), entity=None) for number in range(1_000, 1_100)]

    keep_all(bench.client, entry(b'{"Id":5000}', routes=("hold",), entity=None), *behind)

    wait_until(lambda: len(bench.seen()) == 501, lambda: f"all others to run: {len(bench.seen())}")
    assert not any(seen.get("done") for seen in bench.seen())
    bench.go()


def test_async_handlers_wait_beside_each_other(bench: Bench) -> None:
    """All of them at a time, however few the threads."""
    bench.routes({"handler": "deeds:hold_async", "timeout": "1h"})
    several = [entry(b'{"Id":%d}' % number, routes=("hold-async",), entity=None) for number in range(200)]
    keep_all(bench.client, *several)

    bench.work("--processes", "1", "--threads", "2")

    wait_until(lambda: len(bench.seen()) == 200, lambda: f"all to begin: {len(bench.seen())}")
    assert not any(seen.get("done") for seen in bench.seen())
    bench.go()


def test_quick_async_handlers_among_slow_ones_of_threads_do_not_wait(bench: Bench) -> None:
    """They are claimed together, and what takes no thread runs beside those that keep all of them busy."""
    bench.routes({"handler": "deeds:ok_async"}, {"handler": "deeds:hold", "timeout": "1h"})
    mixed = [
        entry(b'{"Id":%d}' % number, routes=("ok-async" if number % 40 else "hold",), entity=None)
        for number in range(400)
    ]
    keep_all(bench.client, *mixed[:200])
    keep_all(bench.client, *mixed[200:])

    bench.work("--processes", "1", "--threads", "2")

    wait_until(lambda: len(bench.seen()) == 392, lambda: f"all that can run: {len(bench.seen())}")
    assert not any(seen.get("done") for seen in bench.seen())
    bench.go()


def test_what_ends_together_is_recorded_together(bench: Bench) -> None:
    """A backlog costs few calls: many deliveries are claimed by one, and many ends recorded by one."""
    bench.routes({"handler": "deeds:ok"})
    for start in range(0, 1_000, 200):
        several = range(start, start + 200)
        keep_all(bench.client, *[entry(b'{"Id":%d}' % number, routes=("ok",), entity=None) for number in several])
    bench.client.config_resetstat()

    assert bench.work("--processes", "1", "--burst").wait() == 0

    assert bench.client.llen(rq_keys.queue("default")) == 0
    assert len(bench.seen()) == 1_000
    assert bench.client.info("commandstats")["cmdstat_evalsha"]["calls"] < 500
