"""Retention takes what is over, whole, and nothing else; the audit stays at 0 on every page of it."""

import time
from collections import Counter

import pytest
import redis

from receiver.core import ids
from receiver.core.errors import EventUnknown
from receiver.core.events import EventStatus
from receiver.observation.event_histogram import EventHistogram
from receiver.storage.accounting.audit import Audit
from receiver.storage.accounting.retention import Expired, Retention
from receiver.storage.model.entries import Entry, PlannedDelivery
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.event_tail import EventTail
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.redis import keys, scripts
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import DAY_MS, entry, keep_all

HOUR_S = 3_600
NEVER = 10 * DAY_MS


def is_kept(client: redis.Redis, one: Entry) -> bool:
    """Whether an event can still be shown."""
    try:
        return EventReader(client).get(one.envelope.id) is not None
    except EventUnknown:
        return False


def assert_audit_is_0(client: redis.Redis) -> None:
    """With every list compared."""
    report = Audit(client).run(full=True)
    assert (report.unaccounted, report.offenders) == (0, ())
    assert report.events["accepted"] == sum(report.events[name] for name in report.events if name != "accepted")


def leftovers(client: redis.Redis) -> set[str]:
    """Keys that hold something of an event, an hour or a person."""
    lasting = (
        b"fd:c:",
        b"fd:f:",
        b"fd:received",
        b"fd:queues",
        b"fd:sealed",
        b"fd:unsealed",
        b"fd:retention",
        b"rq:queues",
    )
    return {
        key.decode()
        for key in client.scan_iter()
        if not key.startswith((*lasting, b"fd:wake", b"fd:workers", b"fd:layout"))
    }


def test_what_succeeded_expires_whole_and_is_counted(client: redis.Redis) -> None:
    """Envelope, state, attempts, lists, entity: nothing is left but counters; quarantine's bytes are given back."""
    then = time.time() - 2 * HOUR_S
    gone = [entry(f"{number}".encode(), routes=("a", "b"), at=then) for number in range(3)]
    keep_all(client, *gone, entry(b"junk", at=then, quarantine="no JSON"), entry(b"lonely", routes=(), at=then))
    acknowledge(client, *claim_all(client))

    expired = Retention(client, 0, 0).turn(1_000)

    assert (expired.events, expired.more) == (5, False)
    assert leftovers(client) == {keys.QUARANTINE}
    assert client.hgetall(keys.QUARANTINE) == {b"total": b"0"}
    report = Audit(client).run(full=True)
    assert report.events == {"accepted": 5, "unrouted": 0, "quarantined": 0, "routed": 0, "expired": 5}
    assert report.deliveries | {"created": 6, "expired": 6} == report.deliveries
    assert_audit_is_0(client)


def test_dead_unrouted_and_quarantined_are_kept_for_longer(client: redis.Redis) -> None:
    """The times differ, and an event with one dead delivery is a dead one."""
    dead = entry(b"1", routes=("a", "b"))
    others = [entry(b"2", routes=()), entry(b"3", quarantine="no JSON")]
    succeeded = entry(b"4")
    keep_all(client, dead, *others, succeeded)
    one, *rest = claim_all(client)
    acknowledge(client, one, verdict="dead")
    acknowledge(client, *rest)

    Retention(client, 0, NEVER).turn(1_000)

    assert [is_kept(client, one) for one in (dead, *others, succeeded)] == [True, True, True, False]
    assert_audit_is_0(client)
    assert Retention(client, NEVER, 0).turn(1_000).events == 3
    assert_audit_is_0(client)


def test_what_is_in_flight_never_expires(client: redis.Redis) -> None:
    """Queued, waiting or running, and whatever its other deliveries are."""
    kept = [entry(f"{number}".encode(), routes=("a", "b")) for number in range(3)]
    keep_all(client, *kept)
    claims = claim_all(client)
    acknowledge(client, *claims[::2])
    acknowledge(client, claims[1], verdict="give_back")
    acknowledge(client, claims[3], verdict="retry", delay_ms=60_000)

    assert Retention(client, 0, 0).turn(1_000).events == 0
    assert all(is_kept(client, one) for one in kept)
    assert_audit_is_0(client)


def test_time_runs_from_the_end_of_the_last_delivery(client: redis.Redis) -> None:
    """An event of long ago whose delivery ended now is kept as long as any."""
    old = entry(at=time.time() - 30 * 24 * HOUR_S)
    keep_all(client, old)
    acknowledge(client, *claim_all(client))

    assert Retention(client, DAY_MS, 3 * DAY_MS).turn(1_000).events == 0
    assert is_kept(client, old)
    assert Retention(client, 0, 3 * DAY_MS).turn(1_000).events == 1


def test_a_turn_is_bounded_and_the_next_goes_on(client: redis.Redis) -> None:
    """Page by page, with the audit at 0 and every event that stays listed at each step, in its old order at the end."""
    then = time.time() - 2 * HOUR_S
    stay = [entry(f"s{number}".encode(), routes=(), at=then) for number in range(40)]
    go = [entry(f"g{number}".encode(), at=then, action="BookingUpdate") for number in range(600)]
    mixed: list[Entry] = [*go[:200], *stay[:20], *go[200:], *stay[20:]]
    for start in range(0, len(mixed), 160):
        keep_all(client, *mixed[start : start + 160])
    while claims := claim_all(client):
        acknowledge(client, *claims)
    retention = Retention(client, 0, NEVER)

    turns = [retention.turn(1)]
    while turns[-1].more:
        assert_audit_is_0(client)
        listed = {stored.envelope.id for stored in EventReader(client).newest(EventFilter(status=EventStatus.UNROUTED))}
        assert listed == {one.envelope.id for one in stay}
        turns.append(Retention(client, 0, NEVER).turn(1))

    assert sum(turn.events for turn in turns) == 600
    assert {turn.pages for turn in turns} == {1}
    hour = stay[0].envelope.hour
    in_order = [one.envelope.id.encode() for one in stay]
    assert client.lrange(keys.index(hour), 0, -1) == in_order
    assert client.lrange(keys.index(hour, business_id=1001), 0, -1) == in_order
    assert client.exists(keys.index(hour, action="BookingUpdate"), keys.index(hour, route="announce")) == 0
    assert client.exists(keys.TURNING, keys.STALE, keys.stale(hour)) == 0
    assert retention.turn(10) == Expired(0, 1, False)
    assert_audit_is_0(client)


def test_what_arrives_while_a_list_is_turned_stays(client: redis.Redis) -> None:
    """A late event from a spool joins behind, and is looked at in this turn or the next."""
    then = time.time() - 2 * HOUR_S
    for batch in range(3):
        keep_all(client, *[entry(f"{batch}/{number}".encode(), routes=(), at=then) for number in range(200)])
    Retention(client, 0, 0).turn(1)
    late = entry(b"late", routes=(), at=then)
    keep_all(client, late)

    assert Retention(client, NEVER, NEVER).turn(1_000).events == 0
    assert is_kept(client, late)
    assert Retention(client, 0, 0).turn(1_000).events == 600 - 256 + 1
    assert leftovers(client) == set()
    assert_audit_is_0(client)


def test_hours_without_anything_due_cost_nothing(client: redis.Redis) -> None:
    """When the first of its events may be over is remembered; other times of retention make it forget that."""
    keep_all(client, entry(routes=(), at=time.time() - 20 * 24 * HOUR_S))
    retention = Retention(client, DAY_MS, 2 * DAY_MS)

    assert [retention.turn(100).pages for _ in range(3)] == [1, 0, 0]
    assert Retention(client, DAY_MS, 3 * DAY_MS).turn(100).pages == 1


@pytest.mark.parametrize("newer", [False, True])
def test_the_newest_event_of_an_entity_stays_the_newest(client: redis.Redis, newer: bool) -> None:
    """An expired event takes only its own entry."""
    old = entry(b"1", entity="Booking:7")
    keep_all(client, old)
    acknowledge(client, *claim_all(client))
    if newer:
        keep_all(client, entry(b"2", entity="Booking:7"))

    Retention(client, 0, 0).turn(100)

    assert len(client.keys("fd:n:*")) == (1 if newer else 0)


def test_counters_of_hours_long_over_are_added_up(client: redis.Redis) -> None:
    """The totals stay; the number of keys does not grow for ever."""
    for years in (2, 3):
        keep_all(client, entry(f"{years}".encode(), routes=(), at=time.time() - years * 365 * 24 * HOUR_S))
    Retention(client, 0, 0).turn(100)
    before = Audit(client).run()
    assert len(client.keys("fd:c:*")) == 2

    Retention(client, 0, 0).turn(100)

    assert client.keys("fd:c:*") == [b"fd:c:0"]
    assert Audit(client).run() == before
    assert before.events["expired"] == 2


def test_what_a_route_in_the_shadow_wanted_is_found_counted_and_gone_in_time(client: redis.Redis) -> None:
    """No delivery, so both formulas hold; found under the route's name; nothing is left when the event expires."""
    then = time.time() - 2 * HOUR_S
    both = entry(b'{"Id":1}', routes=("live",), at=then)
    only = entry(b'{"Id":2}', routes=(), at=then)
    both = both._replace(wanted=(*both.wanted, PlannedDelivery("watching"), PlannedDelivery("peeking")))
    keep_all(client, both, only._replace(wanted=(PlannedDelivery("watching"),)))

    found = list(EventReader(client).newest(EventFilter(route="watching")))
    peeked = list(EventReader(client).newest(EventFilter(route="peeking")))
    acknowledge(client, *claim_all(client))

    assert [(one.envelope.id, one.status, one.shadow) for one in found] == [
        (only.envelope.id, EventStatus.UNROUTED, ("watching",)),
        (both.envelope.id, EventStatus.IN_FLIGHT, ("watching", "peeking")),
    ]
    assert [len(one.deliveries) for one in (*found, *peeked)] == [0, 1, 1]
    assert_audit_is_0(client)
    assert Retention(client, 0, 0).turn(1_000).events == 2
    assert leftovers(client) == set()
    assert_audit_is_0(client)


def _listed(client: redis.Redis, key: str) -> list[str]:
    return [bytes(name).decode() for name in client.lrange(key, 0, -1)]  # type: ignore[arg-type]


def _minutes(client: redis.Redis, first_ms: int) -> list[int]:
    return [one.received for one in EventHistogram(client).buckets(first_ms + 59 * 60_000, 60_000, 60)]


def test_a_list_keeps_its_order_at_every_step_of_a_turn(client: redis.Redis) -> None:
    """So those who search it by bisection or by position find what they ask for while retention is at work."""
    hour_s = int(time.time()) // HOUR_S * HOUR_S - 2 * HOUR_S
    entries = [entry(b"%d" % n, routes=("a",) if n % 3 else (), at=hour_s + n * 2) for n in range(1_500)]
    for start in range(0, len(entries), 150):
        keep_all(client, *entries[start : start + 150])
    while claims := claim_all(client):
        acknowledge(client, *claims)
    following = EventTail(EventReader(client), clock=lambda: hour_s + 3_599)
    key, names = keys.index(entries[0].envelope.hour), [one.envelope.id for one in entries]
    turns, more = 0, True
    while more:
        more = Retention(client, 0, NEVER).turn(1).more
        turns += 1
        listed = _listed(client, key)
        assert listed == [name for name in names if name in set(listed)], "in their order, and nothing else"
        gone = [name for name in names if name not in set(listed)]
        after = gone[len(gone) // 2]
        older = [stored.envelope.id for stored in EventReader(client).newest(EventFilter(), after=after)]
        assert older == [name for name in reversed(listed) if name < after]
        by_minute = Counter((ids.milliseconds_of(name) // 60_000) % 60 for name in listed)
        assert _minutes(client, hour_s * 1_000) == [by_minute[minute] for minute in range(60)]
        news = entry(b"news %d" % turns, routes=(), at=hour_s + 3_100 + turns)
        keep_all(client, news)
        names.append(news.envelope.id)
        assert [stored.envelope.id for stored in following.look()] == [news.envelope.id]
    assert turns > 6
    assert _listed(client, key) == [*names[:1_500:3], *names[1_500:]]
    assert_audit_is_0(client)


def test_a_list_that_0_2_0_left_in_the_middle_of_a_rotation_gets_its_order_back(client: redis.Redis) -> None:
    """That release moved what it had looked at behind a mark; a page of this one then turned the rest."""
    then = time.time() - 2 * HOUR_S
    entries = [entry(b"%d" % n, routes=(), at=then + n / 1_000) for n in range(300)]
    keep_all(client, *entries)
    hour, names = entries[0].envelope.hour, [one.envelope.id for one in entries]
    key = keys.index(hour)
    client.delete(key)
    client.rpush(key, *names[120:], "-", *names[:120])
    client.hset(keys.TURNING, str(hour), str(int(then * 1_000)))
    seen = [stored.envelope.id for stored in EventReader(client).newest(EventFilter())]
    assert sorted(seen) == names, "readers pass the mark by"
    EventHistogram(client).buckets(int(then * 1_000), 60_000, 60)

    assert not Retention(client, 0, NEVER).turn(1_000).more

    assert _listed(client, key) == names
    assert client.exists(keys.TURNING) == 0
    assert Retention(client, 0, 0).turn(1_000).events == 300
    assert leftovers(client) == set()


@pytest.mark.parametrize("left", [0, 1, 257])
def test_what_somebody_else_takes_out_during_a_turn_hides_nothing(client: redis.Redis, left: int) -> None:
    """Writing off takes ids out of a list, too: in front of the cursor, or behind it."""
    then = time.time() - 2 * HOUR_S
    entries = [entry(b"%d" % n, routes=(), at=then + n / 1_000) for n in range(600)]
    for start in range(0, 600, 150):
        keep_all(client, *entries[start : start + 150])
    assert Retention(client, 0, NEVER).turn(1).more
    key = keys.index(entries[0].envelope.hour)
    taken = _listed(client, key)[left : left + 51]
    for name in taken:
        client.lrem(key, 0, name)

    retention = Retention(client, 0, 0)
    assert sum(retention.turn(1_000).events for _ in range(2)) == 600 - len(taken)
    assert client.exists(key) == 0


def test_a_page_of_a_long_list_is_short_wherever_it_is(client: redis.Redis) -> None:
    """What is taken out of the middle is looked for from the nearer end, and in one command a page."""
    then = int(time.time()) // HOUR_S * HOUR_S - 2 * HOUR_S
    key, hour = "fd:i:%d:r:a", then // HOUR_S
    names = [ids.lowest(then * 1_000 + n * 10)[:9] + f"{n:011d}" for n in range(20_000)]
    for start in range(0, len(names), 5_000):
        client.rpush(key % hour, *names[start : start + 5_000])
        client.mset({keys.envelope(name): b"" for name in names[start : start + 5_000 : 2]})
    turn = client.register_script(scripts.source("expire_page"))
    client.config_resetstat()

    pages = 0
    while not turn(args=[f"{hour}:r:a", 256, 0, 0])[2]:
        pages += 1

    assert pages >= 78
    assert _listed(client, key % hour) == names[::2]
    spent = client.info("commandstats")
    assert int(spent["cmdstat_lrem"]["calls"]) <= pages + 1
    assert int(spent["cmdstat_lrange"]["calls"]) <= pages + 2
