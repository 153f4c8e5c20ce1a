"""The audit says nothing while all is well, names what is not, and repairs what can be repaired."""

import threading
import time

import pytest
import redis

from receiver.core.events import EventStatus
from receiver.storage.accounting.audit import Audit, AuditReport
from receiver.storage.accounting.hour_counters import HourCounters
from receiver.storage.accounting.missing_jobs import CompactSet
from receiver.storage.accounting.retention import Retention
from receiver.storage.query.event_reader import EventReader
from receiver.storage.redis import connection, keys
from tests.support.deliveries import acknowledge, claim_all
from tests.support.events import entry, keep_all
from tests.support.processes import wait_until

HOUR_S = 3_600


def audit(client: redis.Redis, *, full: bool = False, repair: bool = False) -> AuditReport:
    """One audit."""
    return Audit(client).run(full=full, repair=repair)


def assert_in_order(report: AuditReport) -> None:
    """Both formulas hold, and nobody is named."""
    events, deliveries = dict(report.events), dict(report.deliveries)
    assert events.pop("accepted") == sum(events.values())
    assert deliveries.pop("created") == sum(deliveries.values())
    assert (report.unaccounted, report.offenders) == (0, ())


@pytest.mark.parametrize("full", [False, True])
def test_an_empty_store_is_in_order(client: redis.Redis, full: bool) -> None:
    """All keys are there, all of them zero."""
    assert audit(client, full=full).shape() == {
        "events": {"accepted": 0, "unrouted": 0, "quarantined": 0, "routed": 0, "expired": 0},
        "deliveries": {"created": 0, "succeeded": 0, "dead": 0, "discarded": 0, "in_flight": 0, "expired": 0},
        "spooled": 0,
        "duplicates": 0,
        "unaccounted": 0,
        "offenders": [],
    }


@pytest.mark.parametrize("full", [False, True])
def test_everything_is_counted_as_what_it_is(client: redis.Redis, full: bool) -> None:
    """Every status of events and deliveries, in three hours, with duplicates and spools beside."""
    now = time.time()
    keep_all(
        client,
        *[entry(f"{number}".encode(), routes=("a", "b"), at=now - number * HOUR_S) for number in range(3)],
        entry(b"0", routes=("a", "b")),
        entry(b"lonely", routes=()),
        entry(b"junk", quarantine="no JSON"),
    )
    succeeded, dead, discarded, retried, running, _ = claim_all(client)
    acknowledge(client, succeeded)
    acknowledge(client, dead, verdict="dead")
    acknowledge(client, discarded, verdict="discarded")
    acknowledge(client, retried, verdict="retry", delay_ms=60_000)
    acknowledge(client, running, verdict="give_back")
    client.hset(keys.SPOOLS, mapping={"one": b'{"depth":7,"oldest_ms":1}', "gone": b'{"depth":2}', "odd": b"{"})

    report = audit(client, full=full)

    assert report.shape() == {
        "events": {"accepted": 5, "unrouted": 1, "quarantined": 1, "routed": 3, "expired": 0},
        "deliveries": {"created": 6, "succeeded": 1, "dead": 1, "discarded": 1, "in_flight": 3, "expired": 0},
        "spooled": 9,
        "duplicates": 1,
        "unaccounted": 0,
        "offenders": [],
    }


class TestWithoutALiveJob:
    """A delivery in flight that nobody will ever run."""

    def test_a_job_that_left_its_queue_is_missed(self, client: redis.Redis) -> None:
        """Its event is named, the delivery is not counted as in flight, and its neighbour is left alone."""
        gone, there = entry(b"1"), entry(b"2")
        keep_all(client, gone, there)
        client.lpop("rq:queue:default")

        report = audit(client)

        assert (report.unaccounted, report.offenders) == (1, (gone.envelope.id,))
        assert report.deliveries["in_flight"] == 1

    def test_a_job_that_left_the_schedule_is_missed(self, client: redis.Redis) -> None:
        """It waits for a time that nobody knows any more."""
        kept = entry()
        keep_all(client, kept)
        acknowledge(client, *claim_all(client), verdict="retry", delay_ms=60_000)
        assert audit(client).unaccounted == 0
        client.delete("rq:scheduled:default")

        assert audit(client).offenders == (kept.envelope.id,)

    @pytest.mark.parametrize("loss", ["held", "lease"])
    def test_a_job_in_nobodys_hands_is_missed(self, client: redis.Redis, loss: str) -> None:
        """Running, says its state; but no worker holds it, or one that nobody will ever recover."""
        kept = entry()
        keep_all(client, kept)
        claim_all(client)
        assert audit(client).unaccounted == 0
        if loss == "held":
            client.delete(keys.held("ann"))
        else:
            client.zrem(keys.WORKERS, "ann")

        assert audit(client).offenders == (kept.envelope.id,)

    @pytest.mark.parametrize("state", ["queued", "scheduled", "running", "alone"])
    def test_repair_gives_it_a_new_job_that_runs_once(self, client: redis.Redis, state: str) -> None:
        """The old job, should it turn up again, is stale."""
        kept = entry()
        keep_all(client, kept)
        old = f"{kept.envelope.id}-1-1"
        if state == "scheduled":
            acknowledge(client, *claim_all(client), verdict="retry", delay_ms=50)
            client.delete("rq:scheduled:default")
        elif state == "queued":
            client.delete("rq:queue:default")
        else:
            claim_all(client)
            client.delete(keys.held("ann"))
            if state == "alone":
                client.hset(keys.state(kept.envelope.id), "1i", 1)

        report = audit(client, repair=True)

        assert (report.repaired, report.unaccounted, report.deliveries["in_flight"]) == (1, 0, 1)
        assert_in_order(audit(client, full=True))
        client.rpush("rq:queue:default", old)
        claims = wait_until(lambda: claim_all(client, "bob"), "the delivery")
        acknowledge(client, *claims, worker="bob")
        jobs = [claim.job for claim in claims]
        assert len(jobs) == 1
        assert jobs != [old]
        assert claim_all(client, "bob") == ()
        assert EventReader(client).get(kept.envelope.id).status == EventStatus.SUCCEEDED
        assert_in_order(audit(client, full=True))

    def test_many_are_found_in_a_queue_of_many(self, client: redis.Redis) -> None:
        """Every third of a queue longer than a page of it; exactly these are named."""
        batches = [[entry(f"{batch}/{number}".encode()) for number in range(250)] for batch in range(24)]
        for batch in batches:
            keep_all(client, *batch)
        events = [one.envelope.id for batch in batches for one in batch]
        with client.pipeline() as pipeline:
            for event_id in events[::3]:
                pipeline.lrem("rq:queue:default", 1, f"{event_id}-1-1")
            pipeline.execute()

        report = audit(client)

        assert report.unaccounted == len(events[::3])
        assert report.offenders == tuple(events[::3])[:1_000]


class TestWhatIsGone:
    """Somebody took a key away."""

    @pytest.mark.parametrize("full", [False, True])
    def test_a_state_that_is_gone_is_missed(self, client: redis.Redis, full: bool) -> None:
        """One event, counted once, whatever it had of deliveries."""
        gone, there = entry(b"1", routes=("a", "b")), entry(b"2")
        keep_all(client, gone, there)
        client.delete(keys.state(gone.envelope.id))

        report = audit(client, full=full)

        assert (report.unaccounted, report.offenders) == (1, (gone.envelope.id,))
        assert report.events == {"accepted": 2, "unrouted": 0, "quarantined": 0, "routed": 1, "expired": 0}

    @pytest.mark.parametrize("full", [False, True])
    def test_a_state_that_is_gone_is_written_off_when_it_is_said(self, client: redis.Redis, full: bool) -> None:
        """Whatever became of its deliveries is counted as expired, and nothing of it is left; the others stay."""
        events = [entry(f"{number}".encode(), routes=("a", "b")) for number in range(5)]
        keep_all(client, *events, entry(b"lonely", routes=()), entry(b"junk", quarantine="no JSON"))
        succeeded, dead, *_ = claim_all(client)
        acknowledge(client, succeeded)
        acknowledge(client, dead, verdict="dead")
        gone = [event.envelope.id for event in events[:3]]
        for event_id in gone:
            client.delete(keys.state(event_id), keys.envelope(event_id))
        before = audit(client, full=full, repair=True)

        report = Audit(client).run(full=full, write_off=True)

        assert (before.unaccounted, report.kept, report.written_off) == (3, 0, 3)
        assert_in_order(report)
        assert_in_order(audit(client, full=True))
        assert report.events == {"accepted": 7, "unrouted": 1, "quarantined": 1, "routed": 2, "expired": 3}
        assert (report.deliveries["created"], report.deliveries["expired"]) == (10, 6)
        assert not [key for event_id in gone for key in client.keys(f"fd:*{event_id}*")]
        assert Retention(client, 1, 1).turn(100).events >= 0
        assert not [key for key in client.keys("fd:i:*") if set(client.lrange(key, 0, -1)) & set(map(str.encode, gone))]

    def test_whose_record_is_kept_is_given_back(self, client: redis.Redis) -> None:
        """Unrouted, so that it can be replayed; or quarantined, as it was."""
        one, junk, there = entry(routes=("a", "b")), entry(b"junk", quarantine="no JSON"), entry(b"2")
        keep_all(client, one, junk, there)
        client.delete(keys.state(one.envelope.id), keys.state(junk.envelope.id))

        report = Audit(client).run(write_off=True)

        assert (report.kept, report.written_off) == (2, 0)
        assert_in_order(report)
        assert_in_order(audit(client, full=True))
        archive = EventReader(client)
        assert archive.get(one.envelope.id).status == EventStatus.UNROUTED
        assert archive.get(junk.envelope.id).status == EventStatus.QUARANTINED
        assert report.deliveries["expired"] == 2

    def test_counters_that_contradict_it_are_left_alone(self, client: redis.Redis) -> None:
        """What cannot be said honestly is not said: the event stays named."""
        gone = entry()
        keep_all(client, gone)
        client.delete(keys.state(gone.envelope.id), keys.envelope(gone.envelope.id))
        client.hincrby(keys.counters(gone.envelope.hour), "routed", 1)
        before = client.hgetall(keys.counters(gone.envelope.hour))

        report = Audit(client).run(write_off=True)

        assert (report.written_off, gone.envelope.id in report.offenders) == (0, True)
        assert client.hgetall(keys.counters(gone.envelope.hour)) == before

    def test_a_record_that_is_gone_is_missed(self, client: redis.Redis) -> None:
        """Its delivery could not be run."""
        gone = entry()
        keep_all(client, gone)
        client.delete(keys.envelope(gone.envelope.id))

        assert audit(client).offenders == (gone.envelope.id,)

    def test_counters_that_say_something_else_are_noticed(self, client: redis.Redis) -> None:
        """Nobody can be named, but the answer is not 0."""
        kept = entry()
        keep_all(client, kept)
        client.hincrby(keys.counters(kept.envelope.hour), "d_created", 1)

        report = audit(client)

        assert (report.unaccounted, report.offenders) == (1, ())

    def test_an_event_that_is_counted_as_nothing_is_noticed(self, client: redis.Redis) -> None:
        """The counters of an hour contradict themselves."""
        kept = entry()
        keep_all(client, kept)
        client.hincrby(keys.counters(kept.envelope.hour), "accepted", 3)

        assert audit(client).unaccounted == 3

    def test_a_wrong_count_of_deliveries_in_flight_is_put_right(self, client: redis.Redis) -> None:
        """Each event keeps one; retention relies on it."""
        kept = entry()
        keep_all(client, kept)
        client.hset(keys.state(kept.envelope.id), "p", 5)

        assert audit(client).offenders == (kept.envelope.id,)
        assert audit(client, repair=True).unaccounted == 0
        assert_in_order(audit(client))

    @pytest.mark.parametrize("list_name", ["", ":a:BookingCreate", ":b:1001", ":r:announce"])
    def test_a_list_that_does_not_name_an_event_is_found_by_a_full_audit(
        self, client: redis.Redis, list_name: str
    ) -> None:
        """It could not be found any more by time, action, business or route; repair lists it again."""
        gone, there = entry(b"1"), entry(b"2")
        keep_all(client, gone, there)
        key = keys.index(gone.envelope.hour) + list_name
        client.lrem(key, 1, gone.envelope.id)

        assert gone.envelope.id in audit(client, full=True).offenders
        audit(client, full=True, repair=True)
        assert_in_order(audit(client, full=True))
        assert set(client.lrange(key, 0, -1)) == {gone.envelope.id.encode(), there.envelope.id.encode()}


class TestSeals:
    """Hours that are over and in order are not looked at again."""

    def test_an_hour_is_sealed_when_it_is_over_and_all_has_ended(self, client: redis.Redis) -> None:
        """Not before: the current hour and one with a delivery in flight stay open."""
        then = time.time() - 2 * HOUR_S
        old, new = entry(b"1", at=then), entry(b"2")
        keep_all(client, old, new)
        audit(client)
        assert client.zrange(keys.SEALED, 0, -1) == []
        acknowledge(client, *claim_all(client))

        audit(client)

        assert client.zrange(keys.SEALED, 0, -1) == [str(old.envelope.hour).encode()]
        assert client.zrange(keys.UNSEALED, 0, -1) == [str(new.envelope.hour).encode()]
        assert Audit(client).size() == 1
        assert Audit(client).size(full=True) == 2
        assert audit(client).deliveries["succeeded"] == 2

    def test_a_sealed_hour_is_believed_until_a_full_audit(self, client: redis.Redis) -> None:
        """That is what makes it fast."""
        old = entry(at=time.time() - 2 * HOUR_S)
        keep_all(client, old)
        acknowledge(client, *claim_all(client))
        audit(client)
        client.delete(keys.state(old.envelope.id))

        assert audit(client).unaccounted == 0
        assert audit(client, full=True).offenders == (old.envelope.id,)

    def test_whatever_moves_a_counter_breaks_the_seal(self, client: redis.Redis) -> None:
        """A late event from a spool opens its hour again."""
        then = time.time() - 2 * HOUR_S
        keep_all(client, entry(b"1", at=then, routes=()))
        audit(client)
        assert Audit(client).size() == 0

        keep_all(client, entry(b"2", at=then, routes=()))

        assert Audit(client).size() == 2
        assert audit(client).events["unrouted"] == 2
        assert Audit(client).size() == 0


def test_live_traffic_is_never_accused(client: redis.Redis, redis_url: str) -> None:
    """Deliveries are kept, claimed, given back, retried and ended while audits run: each of them says 0."""
    stop = threading.Event()
    failures: list[BaseException] = []

    def traffic(worker: str) -> None:
        try:
            with connection.connect(redis_url) as own:
                number = 0
                while not stop.is_set():
                    number += 1
                    keep_all(own, *[entry(f"{worker}/{number}/{one}".encode(), routes=("a", "b")) for one in range(20)])
                    claims = claim_all(own, worker)
                    for at, verdict in enumerate(("succeeded", "retry", "give_back", "uncharged", "dead")):
                        acknowledge(own, *claims[at::5], verdict=verdict, worker=worker)  # type: ignore[arg-type]
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=traffic, args=(name,)) for name in ("ann", "bob")]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: client.zcard(keys.HOURS), "the first event")
        reports = [audit(client, full=number % 2 == 0) for number in range(4)]
    finally:
        stop.set()
        for thread in threads:
            thread.join(30)

    assert failures == []
    assert [(report.unaccounted, report.offenders) for report in reports] == [(0, ())] * 4
    assert reports[-1].events["accepted"] >= reports[0].events["accepted"] > 0
    assert_in_order(audit(client, full=True))


def test_a_roll_knows_its_members_and_nobody_else() -> None:
    """Also when some are added after it was asked."""
    roll = CompactSet()
    roll.add_all(b"%d" % number for number in range(10_000))

    assert all(b"%d" % number in roll for number in range(10_000))
    assert not any(b"%d" % number in roll for number in range(10_000, 20_000))
    roll.add_all([b"late"])
    assert b"late" in roll


def test_differences_in_both_directions_count_once() -> None:
    """One delivery that is counted as dead and was found succeeded is one."""
    counted = HourCounters({"routed": 3, "d_dead": 1, "d_succeeded": 1})

    assert counted.difference(HourCounters({"routed": 1, "d_succeeded": 2})) == (2, 1)
    assert counted.difference(HourCounters({"routed": 3, "d_dead": 1, "d_succeeded": 1, "d_in_flight": 2})) == (0, 2)
