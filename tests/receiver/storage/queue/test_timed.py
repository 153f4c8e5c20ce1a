"""Deliveries that wait for a time: what replaces them, what calls them off, and what does not."""

import time

import pytest
import redis

from receiver.core.events import DeliveryStatus, EventStatus
from receiver.operations.erasure import Erasure
from receiver.storage.accounting.audit import Audit
from receiver.storage.accounting.retention import Retention
from receiver.storage.model.entries import Entry, timed_terms
from receiver.storage.model.keep_script import rq_time
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import StoredDelivery
from receiver.storage.queue.flow_control import Gates
from receiver.storage.queue.queue import Acknowledgement, DeliveryQueue
from receiver.storage.redis import keys, rq_keys
from receiver.storage.redis.store_client import StoreClient
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import DAY_MS, entry, half_keep, keep_all

ROUTE = "remind"
SOON = int(time.time() * 1_000) + DAY_MS
LATER = SOON + DAY_MS
PAST = SOON - 2 * DAY_MS
"""Planned times."""


class Booking:
    """Events of one booking on a route with `at`, each with a record and an id of its own."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.number = 0

    def make(self, terms: str, **more: object) -> Entry:
        """Return an event whose delivery has these terms."""
        self.number += 1
        return entry(b'{"Id":1,"N":%d}' % self.number, routes=[ROUTE], terms=terms, **more)  # type: ignore[arg-type]

    def keep(self, terms: str, **more: object) -> str:
        """Keep an event and return its id."""
        one = self.make(terms, **more)
        keep_all(self.client, one)
        return one.envelope.id

    def plan(self, due_ms: int = SOON, updated_s: int = 0, lane: str = "key", **more: object) -> str:
        """Keep an event that plans a delivery."""
        return self.keep(timed_terms(lane, "", due_ms, updated_s), **more)

    def delete(self, updated_s: int = 0, **more: object) -> str:
        """Keep an event whose action calls off what waits."""
        return self.keep(
            timed_terms("key", "", 0, updated_s, "action", "BookingDelete"), action="BookingDelete", **more
        )

    def misfit(self, updated_s: int = 0, **more: object) -> str:
        """Keep an event that `where` does not match."""
        return self.keep(timed_terms("key", "", 0, updated_s, "where", "BookingUpdate"), **more)

    def delivery(self, event: str) -> StoredDelivery:
        """Return the last delivery of an event."""
        return EventReader(self.client).get(event).deliveries[-1]


@pytest.fixture
def booking(client: redis.Redis) -> Booking:
    return Booking(client)


def balanced(client: redis.Redis, **deliveries: int) -> None:
    """The audit finds nothing, and counts so many deliveries."""
    report = Audit(client).run(full=True)
    assert (report.unaccounted, report.offenders) == (0, ())
    assert {name: number for name, number in report.deliveries.items() if number} == deliveries


def test_it_waits_for_its_time_and_a_newer_event_replaces_it(client: redis.Redis, booking: Booking) -> None:
    """What waits is visible: until when, and that it waits for its time."""
    first = booking.plan(SOON)
    waits = booking.delivery(first)
    assert (waits.status, waits.state, waits.next_attempt_ms) == (DeliveryStatus.IN_FLIGHT, "its time", SOON)
    assert claim_all(client) == ()

    second = booking.plan(LATER)

    assert booking.delivery(first).error == f"replaced by a newer event: {second}"
    assert booking.delivery(first).status == DeliveryStatus.DISCARDED
    assert booking.delivery(second).next_attempt_ms == LATER
    balanced(client, created=2, discarded=1, in_flight=1)


def test_a_time_that_has_passed_starts_at_once(client: redis.Redis, booking: Booking) -> None:
    """Once for each time: what was delivered for that time is not delivered again, until it is replayed."""
    first = booking.plan(PAST)
    acknowledge(client, *claim_all(client))
    again, moved = booking.plan(PAST), booking.plan(PAST + 1)

    assert booking.delivery(again).error == f"delivered for that time already: {first}-1"
    assert [claim.delivery_id for claim in claim_all(client)] == [f"{moved}-1"]
    balanced(client, created=3, succeeded=1, discarded=1, in_flight=1)


def test_a_dead_delivery_does_not_count_as_delivered(client: redis.Redis, booking: Booking) -> None:
    """The next event tries again for the same time."""
    booking.plan(PAST)
    acknowledge(client, *claim_all(client), verdict="dead")
    again = booking.plan(PAST)
    assert [claim.delivery_id for claim in claim_all(client)] == [f"{again}-1"]


def test_its_action_calls_it_off(client: redis.Redis, booking: Booking) -> None:
    """The event that does is routed: its delivery ends at once and says what it did."""
    first = booking.plan()
    gone = booking.delete()

    assert booking.delivery(first).error == f"called off by BookingDelete: {gone}"
    assert booking.delivery(gone).error == f"called off {first}-1"
    assert EventReader(client).get(gone).status == EventStatus.DISCARDED
    assert client.zcard(rq_keys.scheduled("default")) == 0
    assert booking.delivery(booking.delete()).error == "called off nothing: no delivery waited"
    balanced(client, created=3, discarded=3)
    assert Audit(client).run().events["routed"] == 3


def test_a_newer_event_that_where_does_not_match_calls_it_off(client: redis.Redis, booking: Booking) -> None:
    """And one that finds nothing is unrouted, as events are that no route wants."""
    first = booking.plan()
    misfit, idle = booking.misfit(), booking.misfit()

    assert booking.delivery(first).error == f"called off by BookingUpdate, which `where` does not match: {misfit}"
    assert booking.delivery(misfit).error == f"called off {first}-1: `where` does not match"
    assert EventReader(client).get(idle).status == EventStatus.UNROUTED
    balanced(client, created=2, discarded=2)
    assert Audit(client).run().events["unrouted"] == 1


@pytest.mark.parametrize("waits_before", [False, True])
@pytest.mark.parametrize("updated_s", [0, 50])
def test_an_older_event_does_not_bring_back_what_was_called_off(
    client: redis.Redis, booking: Booking, updated_s: int, *, waits_before: bool
) -> None:
    """Neither by its id, as one out of a spool, nor by when its record was changed, nor in the same second."""
    if waits_before:
        booking.plan(updated_s=updated_s and 10)
    gone = booking.delete(updated_s=updated_s)
    if updated_s:
        late = [booking.plan(updated_s=second) for second in (40, updated_s)]
    else:
        late = [booking.plan(at=time.time() - 60)]

    assert [booking.delivery(one).error for one in late] == [f"called off by BookingDelete: {gone}"] * len(late)
    assert claim_all(client) == ()
    if updated_s:
        assert booking.delivery(booking.plan(updated_s=updated_s + 1)).status == DeliveryStatus.IN_FLIGHT
    assert Audit(client).run(full=True).unaccounted == 0


def test_an_older_event_replaces_no_newer_one(client: redis.Redis, booking: Booking) -> None:
    """It is discarded, in whatever order they come; nor does an old delete, or one that fits no more, call it off."""
    newer = booking.plan(LATER, updated_s=20)
    for late in (booking.plan(SOON, updated_s=10), booking.delete(updated_s=10)):
        assert booking.delivery(late).error == f"replaced by a newer event: {newer}"
    assert EventReader(client).get(booking.misfit(updated_s=19)).status == EventStatus.UNROUTED
    assert booking.delivery(newer).next_attempt_ms == LATER
    balanced(client, created=3, discarded=2, in_flight=1)


def test_a_misfit_that_came_first_holds(client: redis.Redis, booking: Booking) -> None:
    """Nothing waited, and still an older event plans nothing behind it."""
    misfit = booking.misfit(updated_s=20)
    late = booking.plan(updated_s=10)
    assert booking.delivery(late).error == f"called off by BookingUpdate, which `where` does not match: {misfit}"


def test_an_event_without_a_time_replaces_what_waits_and_starts_nothing(client: redis.Redis, booking: Booking) -> None:
    """It says why."""
    first = booking.plan()
    blank = booking.keep(timed_terms("key", "", 0, 0, "no time", "there is no 'FromTime' in it | so"))

    assert booking.delivery(first).error == f"replaced by a newer event, which has no time: {blank}"
    assert booking.delivery(blank).error == "no time: there is no 'FromTime' in it | so"
    balanced(client, created=2, discarded=2)


def test_without_an_entity_it_waits_for_itself(client: redis.Redis, booking: Booking) -> None:
    """Nothing replaces it; nothing is remembered."""
    booking.plan(lane="")
    booking.plan(lane="")
    assert booking.keep(timed_terms("", "", 0, 0, "where", "BookingUpdate"))
    balanced(client, created=2, in_flight=2)
    assert client.keys("fd:t:*") == []


def test_what_runs_goes_on_and_the_newest_follows(client: redis.Redis, booking: Booking) -> None:
    """What it could not do, it need not try again."""
    first = booking.plan(PAST)
    (claim,) = claim_all(client)
    second, third = booking.plan(PAST + 1), booking.plan(LATER)
    assert booking.delivery(second).error == f"replaced by a newer event: {third}"
    held = booking.delivery(third)
    assert (held.state, held.next_attempt_ms) == ("order", LATER)

    acknowledge(client, claim, verdict="retry", delay_ms=DAY_MS)

    assert booking.delivery(first).error == f"replaced by a newer event: {third}"
    assert booking.delivery(third).state == "its time"
    balanced(client, created=3, discarded=2, in_flight=1)


def test_one_that_is_retried_or_paused_is_replaced_too(client: redis.Redis, booking: Booking) -> None:
    """Whatever it waits for."""
    booking.plan(PAST)
    acknowledge(client, *claim_all(client), verdict="retry", delay_ms=DAY_MS)
    Gates(client).pause(ROUTE, "ann")
    booking.plan(PAST + 1)
    assert claim_all(client) == ()
    assert client.zcard(keys.waiting(ROUTE)) == 1
    third = booking.delete()
    Gates(client).resume(ROUTE)
    assert claim_all(client) == ()
    assert booking.delivery(third).error is not None
    balanced(client, created=3, discarded=3)


def test_it_is_put_off_when_its_time_is_later_now(client: redis.Redis, booking: Booking) -> None:
    """Without an attempt, and is still replaced by a newer event."""
    first = booking.plan(PAST)
    acknowledge_put_off(client)
    waits = booking.delivery(first)
    assert (waits.state, len(waits.attempts)) == ("its time", 0)
    assert waits.next_attempt_ms
    assert waits.next_attempt_ms > SOON - DAY_MS / 2
    booking.plan(LATER)
    balanced(client, created=2, discarded=1, in_flight=1)


def acknowledge_put_off(client: redis.Redis) -> None:
    """Put off by a day whatever can be claimed."""
    ended = [Acknowledgement(claim.job, "put_off", DAY_MS) for claim in claim_all(client)]
    assert ended
    assert DeliveryQueue(client).acknowledge("ann", ended) == ()


def test_replays_follow_the_same_order(client: redis.Redis, booking: Booking) -> None:
    """One of an older event ends at once; one of the newest runs again although it was delivered."""
    older = booking.plan(PAST)
    newest = booking.plan(PAST + 1)
    acknowledge(client, *claim_all(client))
    calls = StoreClient(client, "replay")
    for event, due in ((older, PAST), (newest, PAST + 1)):
        assert calls.run("replay", rq_time(), event, "all", ROUTE, "default", 90, timed_terms("key", "", due, 0))

    assert booking.delivery(older).error == f"replaced by a newer event: {newest}"
    assert [claim.delivery_id for claim in claim_all(client)] == [f"{newest}-2"]
    balanced(client, created=4, succeeded=1, discarded=2, in_flight=1)


def test_the_same_event_twice_is_one(client: redis.Redis, booking: Booking) -> None:
    """A duplicate neither replaces nor is counted; neither does the same id, sent again."""
    one = booking.make(timed_terms("key", "", SOON, 5))
    twin = entry(one.envelope.body, routes=[ROUTE], terms=timed_terms("key", "", LATER, 5))
    for some in (one, one, twin):
        keep_all(client, some)
    assert booking.delivery(one.envelope.id).next_attempt_ms == SOON
    balanced(client, created=1, in_flight=1)


def test_what_failed_in_the_middle_is_planned_when_it_comes_again(client: redis.Redis, booking: Booking) -> None:
    """The store remembers what it said; it does not take itself for older, nor for delivered."""
    one = booking.make(timed_terms("key", "", PAST, 5))
    half_keep(client, one)
    keep_all(client, one)
    assert [claim.delivery_id for claim in claim_all(client)] == [f"{one.envelope.id}-1"]


def test_erased_events_wait_for_nothing(client: redis.Redis, booking: Booking) -> None:
    """The next event of the entity plans anew."""
    Erasure(client).erase([booking.plan()])
    booking.plan(LATER)
    balanced(client, created=2, discarded=1, in_flight=1)


def test_retention_leaves_what_waits_and_forgets_the_rest(client: redis.Redis, booking: Booking) -> None:
    """However much shorter it is than the wait. What is remembered of an entity ends by itself."""
    waiting = booking.plan(LATER + 300 * DAY_MS, at=time.time() - 86_400)
    ended = booking.delete(at=time.time() - 86_400 * 2)
    keep_all(client, entry(b'{"Id":9}', routes=[], at=time.time() - 86_400))
    Retention(client, 1, 1).turn(1_000)
    assert EventReader(client).get(waiting).status == EventStatus.IN_FLIGHT
    assert ended
    (left_ms,) = [client.pttl(key) for key in client.keys("fd:t:*")]
    assert 330 * DAY_MS < left_ms < 340 * DAY_MS
    assert Audit(client).run(full=True).unaccounted == 0


def test_an_event_that_calls_off_thousands_of_routes_is_kept_in_portions(client: redis.Redis) -> None:
    """Of those that `where` does not match nothing is made, in the first call; and all is counted."""
    many = [f"remind-{number}" for number in range(250)]
    one = entry(b"1", routes=many, terms=timed_terms("key", "", SOON, 0))
    two = entry(b"2", routes=[*many, "other"], terms=timed_terms("key", "", 0, 0, "where", "BookingUpdate"))
    keep_all(client, one)
    keep_all(client, two)
    balanced(client, created=500, discarded=500)


def test_thousands_are_moved_at_once(client: redis.Redis) -> None:
    """Each has its new time, and nothing is left of the old ones."""
    number = 3_000
    for due in (SOON, LATER):
        for first in range(0, number, 200):
            keep_all(
                client,
                *[
                    entry(b"%d/%d" % (one, due), routes=[ROUTE], terms=timed_terms(f"k{one}", "", due, 0))
                    for one in range(first, first + 200)
                ],
            )
    balanced(client, created=2 * number, discarded=number, in_flight=number)
    assert client.zcard(rq_keys.scheduled("default")) == number
    assert client.zcount(rq_keys.scheduled("default"), LATER / 1_000, LATER / 1_000) == number
