"""Looking through what is kept: in steps of a bounded size that reach everything once, whatever is asked for."""

from collections.abc import Iterator
from itertools import count, product

import pytest
import redis

from receiver.core.events import EventStatus
from receiver.storage.model.entries import Entry
from receiver.storage.query import event_index, event_reader
from receiver.storage.query.event_reader import EventReader, SearchPage
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.redis import keys
from tests.support.events import entry, keep_all

NOW = 1_790_000_000.0
HOURS = 3
IN_ALL = 900


@pytest.fixture
def kept(client: redis.Redis) -> list[Entry]:
    """Events of all kinds over three hours, a third of them kept late, as they are after an outage of the store."""
    entries = [_one(number) for number in range(IN_ALL)]
    late = [one for number, one in enumerate(entries) if number // 50 % 3 == 1]
    for batch in (*_batches([one for one in entries if one not in late]), *_batches(late)):
        keep_all(client, *batch)
    for number in range(0, IN_ALL, 100):
        client.hset(keys.state(entries[number].envelope.id), mapping={"1s": "s", "p": 0})
    return entries


def _one(number: int) -> Entry:
    return entry(
        b'{"Id":%d,"Note":"%s"}' % (number, b"rare" if number in (0, 411) else b"common"),
        at=NOW + number // 3 * HOURS * 3_600 * 3 / IN_ALL,  # three at a time, also in one millisecond
        action=("BookingCreate", "TeamCreated")[number % 2],
        business_id=1001 + number % 3,
        routes=() if number % 7 == 6 else (("one", "two")[number % 5 == 4],),
        quarantine="torn" if number % 11 == 10 else None,
    )


def _batches(entries: list[Entry]) -> Iterator[list[Entry]]:
    for start in range(0, len(entries), 100):
        yield entries[start : start + 100]


def _walk(archive: EventReader, wanted: EventFilter, **options: object) -> Iterator[SearchPage]:
    """Take one step only, and go on after it as the next page does, until there is none."""
    after = None
    while step := next(archive.search(wanted, after=after, **options), None):  # type: ignore[arg-type]
        yield step
        after = step.last


FILTERS = [
    EventFilter(action=action, business_id=business, route=route, status=status, since_ms=since, until_ms=until)
    for action, business, route, status, (since, until) in product(
        (None, "TeamCreated"),
        (None, 1002),
        (None, "two"),
        (None, EventStatus.SUCCEEDED, EventStatus.IN_FLIGHT, EventStatus.UNROUTED, EventStatus.QUARANTINED),
        ((None, None), (int(NOW * 1_000) + 1_800_000, int(NOW * 1_000) + 7_000_000)),
    )
]


def test_every_filter_finds_what_it_asks_for_once(client: redis.Redis, kept: list[Entry]) -> None:
    """All combinations, paged after every single step; as many as there are when each event is asked by itself."""
    archive = EventReader(client)
    everything = archive.many([one.envelope.id for one in kept])
    assert len(everything) == IN_ALL

    for wanted in FILTERS:
        found = [stored.envelope.id for step in _walk(archive, wanted) for stored in step.events]

        expected = [stored.envelope.id for stored in everything if wanted.wants(stored)]
        assert sorted(found) == sorted(expected), wanted


def test_a_step_is_small_and_all_of_them_pass_everything(client: redis.Redis, kept: list[Entry]) -> None:
    """However rare the hit is, and also while events are kept; those are newer than where one is."""
    steps = []
    for step in _walk(EventReader(client), EventFilter(), body=lambda body: b"rare" in body):
        steps.append(step)
        keep_all(client, entry(b'{"Id":"rare, but %d"}' % len(steps), at=NOW + HOURS * 3_600 - 1))

    assert sum(step.looked_at for step in steps) == IN_ALL
    assert max(step.looked_at for step in steps) <= event_reader.MOST_BATCH
    assert [stored.envelope.id for step in steps for stored in step.events] == [
        kept[411].envelope.id,
        kept[0].envelope.id,
    ]


def test_steps_stay_small_while_nothing_is_found(client: redis.Redis) -> None:
    """However many events an hour has, there is always a moment to stop at."""
    for batch in _batches([entry(b"%d" % number, at=NOW, routes=()) for number in range(2_000)]):
        keep_all(client, *batch)

    steps = list(EventReader(client).search(EventFilter(), body=lambda body: False))

    assert max(step.looked_at for step in steps) <= event_reader.MOST_BATCH
    assert sum(step.looked_at for step in steps) == 2_000


def test_what_the_time_excludes_is_passed_without_being_loaded(client: redis.Redis, kept: list[Entry]) -> None:
    """But counted, so that who asks can stop, and go on from there."""
    until_ms = int(NOW * 1_000) + 1_000
    loaded = count()

    def body(_: bytes) -> bool:
        return next(loaded) >= 0

    steps = list(EventReader(client).search(EventFilter(until_ms=until_ms), body=body))

    found = [stored.envelope.id for step in steps for stored in step.events]
    assert sorted(found) == sorted(one.envelope.id for one in kept[:3])
    assert next(loaded) <= 6
    of_the_hour = [one for one in kept if one.envelope.hour == kept[0].envelope.hour]
    assert sum(step.looked_at for step in steps) == len(of_the_hour) < IN_ALL / 2, "later hours are not looked at"


def test_an_event_that_is_gone_still_says_where_to_go_on(client: redis.Redis) -> None:
    """Its time was over between two pages."""
    entries = [entry(b"%d" % number, at=NOW + number) for number in range(300)]
    for batch in _batches(entries):
        keep_all(client, *batch)
    gone = entries[120].envelope
    client.lrem(keys.index(gone.hour), 0, gone.id)

    found = [stored.envelope.id for stored in EventReader(client).newest(EventFilter(), after=gone.id)]

    assert found == [one.envelope.id for one in reversed(entries[:120])]


def test_what_retention_marks_is_no_event(client: redis.Redis) -> None:
    """While it turns a list round."""
    one = entry(at=NOW)
    keep_all(client, one)
    client.rpush(keys.index(one.envelope.hour), "-")

    (step,) = EventReader(client).search(EventFilter())

    assert (len(step.events), step.looked_at, step.last) == (1, 1, one.envelope.id)


@pytest.mark.parametrize("until_ms", [-1, 0, 36**9, 10**15])
def test_any_time_can_be_asked_for(client: redis.Redis, until_ms: int) -> None:
    """Also one that no id can tell."""
    keep_all(client, entry(at=NOW))

    found = list(EventReader(client).newest(EventFilter(since_ms=-5, until_ms=until_ms)))

    assert len(found) == (until_ms > 0)
    bounds = event_index.Bounds(until_ms=until_ms)
    assert bounds.lowest < bounds.highest


@pytest.mark.parametrize(
    ("seconds", "size"),
    [(0.0, event_reader.MOST_BATCH), (1.0, event_reader.LEAST_BATCH), (0.008, event_reader.FIRST_BATCH)],
)
def test_the_pace_follows_what_it_costs(seconds: float, size: int) -> None:
    """Many of what is cheap, few of what is dear, within bounds."""
    ours = event_reader.AdaptiveBatch()

    for _ in range(20):
        ours.took(seconds)

    assert ours.size == size
