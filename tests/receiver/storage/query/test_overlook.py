"""The store seen as a whole: trends, queues, workers, what is used up, following along, cursors."""

import random
import time
from itertools import islice

import pytest
import redis

from receiver.core.durations import HOUR_MS
from receiver.core.errors import StorageUnavailable
from receiver.core.events import EventStatus
from receiver.observation.event_histogram import EventHistogram
from receiver.observation.store_status import StoreStatus
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.event_tail import EventTail
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.redis import connection, keys
from receiver.storage.shared.one_time_tokens import OneTimeTokens
from tests.support.events import entry, keep_all

NOW = 1_790_000_000.0
MINUTE_MS = 60_000


def test_each_event_is_in_the_bucket_of_its_minute(client: redis.Redis) -> None:
    """Over the edge of an hour, with what stands aside told apart; the sum is what was kept."""
    offsets = [random.Random(4).uniform(0, 3_599) for _ in range(700)]
    offsets.sort()
    kinds = [("r", "u", "q", "r", "r")[number % 5] for number in range(700)]
    for start in range(0, 700, 100):
        keep_all(
            client,
            *(
                entry(
                    b'{"Id":%d}' % number,
                    at=NOW - 3_599 + offsets[number],
                    routes=("announce",) if kinds[number] == "r" else (),
                    quarantine="torn" if kinds[number] == "q" else None,
                )
                for number in range(start, start + 100)
            ),
        )

    buckets = EventHistogram(client).buckets(int(NOW * 1_000), MINUTE_MS, 61)

    expected = [0] * 61
    begin = buckets[0].start_ms
    for offset in offsets:
        expected[(int((NOW - 3_599 + offset) * 1_000) - begin) // MINUTE_MS] += 1
    assert [bucket.received for bucket in buckets] == expected
    assert sum(bucket.standing[EventStatus.UNROUTED] for bucket in buckets) == kinds.count("u")
    assert sum(bucket.standing[EventStatus.QUARANTINED] for bucket in buckets) == kinds.count("q")
    assert sum(bucket.well for bucket in buckets) == kinds.count("r")


def test_who_looks_again_sees_what_came_since(client: redis.Redis) -> None:
    """What a histogram remembers of its last look changes nothing of what it counts, also over the end of an hour."""
    histogram, until_ms = EventHistogram(client), 0
    for minute in range(0, 150, 7):
        at = NOW + 60 * minute
        keep_all(client, *(entry(b'{"Id":%d}' % (minute * 10 + one), at=at + one * 20) for one in range(5)))
        until_ms = int((at + 100) * 1_000)

        for step_ms, number in ((MINUTE_MS, 60), (15 * MINUTE_MS, 12)):
            fresh = EventHistogram(client).buckets(until_ms, step_ms, number)
            assert histogram.buckets(until_ms, step_ms, number) == fresh
    assert sum(bucket.received for bucket in histogram.buckets(until_ms, HOUR_MS, 6)) == 5 * len(range(0, 150, 7))


def test_hours_are_counted_without_looking_at_their_events(client: redis.Redis) -> None:
    """A week of them; duplicates beside."""
    one = entry(b'{"Id":1}', at=NOW)
    keep_all(client, one, entry(b'{"Id":2}', at=NOW - 3 * 3_600), entry(b'{"Id":1}', at=NOW))

    buckets = EventHistogram(client).buckets(int(NOW * 1_000), HOUR_MS, 168)

    assert [bucket.received for bucket in buckets if bucket.received] == [1, 1]
    sums = EventHistogram(client).counters([int(NOW // 3_600)])
    assert (sums["accepted"], sums["duplicates"], sums["d_created"]) == (1, 1, 1)


def test_an_empty_store_has_a_pulse_too(client: redis.Redis) -> None:
    """Nothing, rather than an error."""
    pulse = StoreStatus(client)

    assert (pulse.queues(), pulse.workers(), pulse.received(), pulse.spools(), pulse.audit()) == ((), (), {}, (), None)
    assert set(pulse.standing().values()) == {0}
    assert sum(bucket.received for bucket in EventHistogram(client).buckets(int(NOW * 1_000), MINUTE_MS, 60)) == 0


def test_queues_tell_how_long_the_first_one_waits(client: redis.Redis) -> None:
    """Those that can run now, since when, and routes by what they got."""
    now = time.time()
    keep_all(client, entry(b"1", queue="doors", at=now), entry(b"2", queue="bulk", routes=("a", "b"), at=now))

    doors, bulk = sorted(StoreStatus(client).queues(), key=lambda queue: queue.ready)

    assert (doors.name, doors.ready, doors.scheduled) == ("doors", 1, 0)
    assert (bulk.name, bulk.ready) == ("bulk", 2)
    assert doors.oldest_ms is not None
    assert int(now * 1_000) <= doors.oldest_ms <= time.time() * 1_000
    hour = StoreStatus(client).hour()
    routed = StoreStatus(client).routed(["a", "b", "announce", "c"], hour, 24)
    assert routed == {"a": 1, "b": 1, "announce": 1, "c": 0}


def test_what_is_spent_is_spent_for_everybody(client: redis.Redis) -> None:
    """Once, until it would have been over anyway; the store holds no name of it."""
    spent, other = OneTimeTokens(client), OneTimeTokens(client)

    assert [spent.spend("link of mine", 60_000), other.spend("link of mine", 60_000)] == [True, False]
    assert (other.is_spent("link of mine"), other.is_spent("another")) == (True, False)
    (key,) = client.keys("fd:spent:*")
    assert b"mine" not in key
    assert 0 < int(client.pttl(key)) <= 60_000


def test_following_begins_now_and_misses_nothing_at_the_turn_of_the_hour(client: redis.Redis) -> None:
    """What is kept late under the hour before comes too."""
    clock = [NOW // 3_600 * 3_600 + 3_599.0]
    keep_all(client, entry(b"old", at=clock[0]))
    following = EventTail(EventReader(client), clock=lambda: clock[0])
    assert following.look() == []

    first = entry(b"first", at=clock[0])
    keep_all(client, first)
    clock[0] += 2
    late, fresh = entry(b"late", at=clock[0] - 2), entry(b"fresh", at=clock[0])
    keep_all(client, late)
    keep_all(client, fresh)

    seen = [stored.envelope.id for stored in following.look()]
    assert seen == [one.envelope.id for one in (first, late, fresh)]
    assert following.look() == []


@pytest.mark.parametrize(("start", "size"), [(0, 50), (3, 730), (999, 333), (1_001, 101), (1_950, 7)])
def test_pages_by_cursor_have_neither_gap_nor_repetition(client: redis.Redis, start: int, size: int) -> None:
    """Whatever the size of the pages, also deep in an hour with more events than one call reads."""
    entries = [entry(b"%d" % number, at=NOW + number * 2) for number in range(2_000)]
    for first in range(0, 2_000, 250):
        keep_all(client, *entries[first : first + 250])
    expected = [one.envelope.id for one in reversed(entries)]
    archive, seen, after = EventReader(client), list[str](), expected[start]

    while page := [stored.envelope.id for stored in islice(archive.newest(EventFilter(), after=after), size)]:
        seen += page
        after = page[-1]

    assert seen == expected[start + 1 :]


def test_a_store_that_is_away_is_said_to_be() -> None:
    """One kind of error for all of them."""
    client = connection.connect("redis://127.0.0.1:1/0", timeout_s=0.5)

    for ask in (StoreStatus(client).queues, StoreStatus(client).workers, lambda: OneTimeTokens(client).spend("x", 1)):
        with pytest.raises(StorageUnavailable, match="Redis"):
            ask()
    assert keys.spent("0") == "fd:spent:0"
