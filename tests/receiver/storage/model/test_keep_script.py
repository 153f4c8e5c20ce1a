"""The script that keeps events: once each, indexed, counted, enqueued, all in one step."""

import os
import time

import pytest
import redis
from rq import Queue
from rq.job import Job

from receiver.core.errors import EventUnknown
from receiver.core.events import EventStatus
from receiver.storage.accounting.retention import Retention
from receiver.storage.model import codec, keep_script
from receiver.storage.model.entries import Receipt
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import EventFilter
from receiver.storage.redis import keys, scripts
from tests.support.events import entry, keep_all, quarantine_cost


def test_an_event_is_kept_whole_with_a_delivery_for_each_route(client: redis.Redis) -> None:
    """The record comes back byte for byte; every route that asked has a delivery in flight."""
    kept = entry('[{"Name":"José 🥶"}]'.encode(), routes=("announce", "mirror"))

    receipts = keep_all(client, kept)

    assert receipts == [Receipt(kept.envelope.id, "accepted")]
    stored = EventReader(client).get(kept.envelope.id)
    assert stored.envelope == kept.envelope
    assert stored.status == EventStatus.IN_FLIGHT
    assert [(delivery.route, delivery.state) for delivery in stored.deliveries] == [
        ("announce", "queued"),
        ("mirror", "queued"),
    ]


def test_each_delivery_is_one_rq_job_that_stock_rq_can_read(client: redis.Redis) -> None:
    """RQ sees the job in its queue, with our function, one short argument and no payload anywhere."""
    kept = entry(b'{"Id":1,"FullName":"Ada"}', queue="doors")

    keep_all(client, kept)

    job = Queue("doors", connection=client, serializer="json").jobs[0]
    assert (job.func_name, job.args) == ("workers.deliver.run", [f"{kept.envelope.id}-1-1"])
    assert (job.result_ttl, job.timeout, job.description) == (0, 90, "run")
    assert client.object("encoding", f"rq:job:{job.id}") == b"listpack"
    assert "Ada" not in str(client.hgetall(f"rq:job:{job.id}"))


def test_an_event_that_arrives_again_within_the_window_is_a_duplicate(client: redis.Redis) -> None:
    """The second is told the first one's id, and makes no delivery."""
    first, second = entry(), entry()

    receipts = keep_all(client, first) + keep_all(client, second)

    assert receipts == [Receipt(first.envelope.id, "accepted"), Receipt(first.envelope.id, "duplicate")]
    assert client.llen("rq:queue:default") == 1
    assert EventReader(client).counters(first.envelope.hour)["duplicates"] == 1


def test_twins_in_one_batch_are_one_event(client: redis.Redis) -> None:
    """Deduplication sees what the same batch has just kept."""
    first, second = entry(), entry()

    receipts = keep_all(client, first, second)

    assert [receipt and receipt.status for receipt in receipts] == ["accepted", "duplicate"]


def test_outside_the_window_it_is_another_event(client: redis.Redis) -> None:
    """A window is measured between the arrivals of the two, not between the calls."""
    now = time.time()
    first, late, too_late = (entry(at=now + seconds, window_ms=60_000) for seconds in (0, 59.9, 120.5))

    statuses = [receipt and receipt.status for receipt in keep_all(client, first, late, too_late)]

    assert statuses == ["accepted", "duplicate", "accepted"]


def test_other_business_action_or_record_is_another_event(client: redis.Redis) -> None:
    """The fingerprint is of all three."""
    receipts = keep_all(
        client, entry(), entry(business_id=1002), entry(action="BookingUpdate"), entry(b'{"Id":2}', entity="Booking:2")
    )

    assert [receipt and receipt.status for receipt in receipts] == ["accepted"] * 4


def test_a_batch_that_is_sent_again_changes_nothing(client: redis.Redis) -> None:
    """Its reply was lost; by their ids the events are answered as they were."""
    batch = [entry(), entry(b"{}", entity=None, routes=()), entry(b"junk", quarantine="no JSON")]
    first = keep_all(client, *batch)
    before = {key: client.dump(key) for key in client.scan_iter() if not key.startswith(b"fd:wake")}

    second = keep_all(client, *batch)

    assert first == second
    assert before == {key: client.dump(key) for key in client.scan_iter() if not key.startswith(b"fd:wake")}


def test_an_event_that_no_route_wants_is_unrouted_and_found(client: redis.Redis) -> None:
    """It is kept and listed, not dropped."""
    kept = entry(routes=())

    keep_all(client, kept)

    found = list(EventReader(client).newest(EventFilter(status=EventStatus.UNROUTED)))
    assert [stored.envelope.id for stored in found] == [kept.envelope.id]


def test_quarantine_claims_no_fingerprint_and_has_limits(client: redis.Redis) -> None:
    """The same junk twice is two; beyond the limit nothing more is kept; one hook fills only its share."""
    junk = [entry(bytes([65 + number]) * 400, quarantine="no JSON") for number in range(8)]
    size = int(max(quarantine_cost(len(codec.pack(one.envelope))) for one in junk))

    statuses = [receipt and receipt.status for receipt in keep_all(client, *junk, quarantine_limit=size * 8)]

    assert statuses == ["quarantined"] * 2 + [None] * 6
    other = entry(b"Z" * 400, business_id=1002, quarantine="no JSON")
    assert keep_all(client, other, quarantine_limit=size * 8) == [Receipt(other.envelope.id, "quarantined")]
    assert keep_all(client, entry(), quarantine_limit=0)[0] is not None


def test_malformed_arguments_write_nothing(client: redis.Redis) -> None:
    """A script error keeps what was written before it, so everything is checked first."""
    script = client.register_script(scripts.source("keep"))
    header: list[bytes | str | int] = ["now", 10**6, 10**6, 0]
    good = keep_script.arguments([entry(terms="lane|key|5|d")])[4:]
    bad: dict[str, list[bytes | str | int]] = {
        "the end is missing": good[:-1],
        "an id": ["id", *good[1:]],
        "a bucket": [*good[:5], "none", *good[6:]],
        "a fingerprint": [*good[:6], b"x", *good[7:]],
        "a window": [*good[:7], "soon", *good[8:]],
        "portions": [*good[:10], "few", *good[11:]],
        "deliveries": [*good[:11], "some", *good[12:]],
        "a timeout": [*good[:14], "long", *good[15:]],
        "terms": [*good[:15], "lane|key|5", *good[16:]],
    }

    for what, arguments in bad.items():
        for some in ([*good, *arguments], [*arguments, *good]):
            with pytest.raises(redis.ResponseError, match="malformed"):
                script(args=[*header, *some])
            assert client.dbsize() == 0, what
    headers: list[list[bytes | str | int]] = [["now", "much", 1, 0], ["now", 1, 1, ""]]
    for wrong in headers:
        with pytest.raises(redis.ResponseError, match="malformed"):
            script(args=[*wrong, *good])

    assert client.dbsize() == 0
    assert script(args=[*header, *good]) == [b"a"]


def test_the_newest_event_of_an_entity_is_remembered_whatever_the_order_of_arrival(client: redis.Redis) -> None:
    """An older event that waited in a spool does not take the place of a newer one."""
    now = time.time()
    old, new = entry(b"1", at=now - 10), entry(b"2", at=now)

    keep_all(client, new)
    keep_all(client, old)

    newest = [value for key in client.scan_iter("fd:n:*") for value in client.hvals(key)]
    assert newest == [new.envelope.id.encode()]


def test_every_event_is_counted_under_the_hour_of_its_id(client: redis.Redis) -> None:
    """accepted = unrouted + quarantined + routed, also for events that waited for hours."""
    then = time.time() - 7_200
    batch = [
        entry(b"1", at=then, routes=("a", "b")),
        entry(b"2", at=then, routes=()),
        entry(b"3", quarantine="no JSON"),
    ]

    keep_all(client, *batch)

    archive = EventReader(client)
    assert archive.counters(batch[0].envelope.hour) == {"accepted": 2, "routed": 1, "unrouted": 1, "d_created": 2}
    assert archive.counters(batch[2].envelope.hour) == {"accepted": 1, "quarantined": 1}


def test_a_job_is_gone_from_rq_when_its_hash_is_read_as_stock_rq_does(client: redis.Redis) -> None:
    """Job.fetch of stock RQ restores our lean hash without an error."""
    kept = entry()
    keep_all(client, kept)

    job = Job.fetch(f"{kept.envelope.id}-1-1", connection=client, serializer="json")

    assert job.get_status() == "queued"
    assert client.smembers("rq:queues") == {b"rq:queue:default"}
    assert client.smembers(keys.QUEUES) == {b"default"}


def test_a_spooled_event_that_proves_a_duplicate_is_found_under_both_ids(client: redis.Redis) -> None:
    """Its sender was told its own id long ago. Drained twice, because a reply was lost, it is still one duplicate."""
    spooled, live = entry(), entry()
    keep_all(client, live)

    receipts = [keep_all(client, spooled, alias_ms=60_000)[0] for _ in range(2)]

    assert receipts == [Receipt(live.envelope.id, "duplicate")] * 2
    archive = EventReader(client)
    assert archive.get(spooled.envelope.id).envelope == live.envelope
    assert archive.counters(live.envelope.hour)["duplicates"] == 1
    assert 0 < client.pttl(keys.alias(spooled.envelope.id)) <= 60_000


def test_a_duplicate_that_was_told_the_first_id_leaves_no_alias(client: redis.Redis) -> None:
    """A live request costs no memory for an id that nobody was given."""
    live, again = entry(), entry()

    keep_all(client, live, again)

    assert list(client.scan_iter("fd:alias:*")) == []
    with pytest.raises(EventUnknown, match=again.envelope.id):
        EventReader(client).get(again.envelope.id)


@pytest.mark.parametrize("size", [1, 300, 5_000])
def test_quarantine_takes_no_more_of_the_store_than_it_may(client: redis.Redis, size: int) -> None:
    """Whatever the bodies, at four hooks: what is counted is what an entry takes, with its keys and places in lists."""
    bound = 4_000_000
    keep_all(client, entry())  # the script is there, and the keys that every store has
    before = client.info("memory")["used_memory"]
    outcomes: list[Receipt | None] = []
    while None not in outcomes[-4:] or any(outcomes[-4:]):
        batch = [
            entry(os.urandom(size), quarantine="no JSON", entity=None, business_id=1_001 + number % 4)
            for number in range(100)
        ]
        outcomes += keep_all(client, *batch, quarantine_limit=bound)

    taken = client.info("memory")["used_memory"] - before

    assert taken <= bound
    assert int(client.hget(keys.QUARANTINE, "total") or 0) <= bound
    assert sum(outcome is not None for outcome in outcomes) > bound // (4 * (size + 500))


def test_what_quarantine_counts_goes_with_its_entries(client: redis.Redis) -> None:
    """Also with one of release 0.2.0, which was counted by its envelope alone and did not note it; never below zero."""
    old, new = (entry(body, quarantine="no JSON", entity=None) for body in (b"old", b"new"))
    keep_all(client, old)
    client.hdel(keys.state(old.envelope.id), "c")
    size = client.strlen(keys.envelope(old.envelope.id))
    client.hset(keys.QUARANTINE, mapping={"total": size, "1001/BookingCreate": size})
    keep_all(client, new)
    cost = int(client.hget(keys.state(new.envelope.id), "c") or 0)
    assert client.hgetall(keys.QUARANTINE) == dict.fromkeys((b"total", b"1001/BookingCreate"), b"%d" % (size + cost))
    retention = Retention(client, 1, 1)

    client.hdel(keys.state(old.envelope.id), "z")
    client.hset(keys.state(new.envelope.id), "z", 2**48)
    retention.turn(100)
    assert client.hgetall(keys.QUARANTINE) == dict.fromkeys((b"total", b"1001/BookingCreate"), b"%d" % cost)

    client.hset(keys.QUARANTINE, "total", 5_000)  # 0.2.0 took off less than was put on
    client.hdel(keys.state(new.envelope.id), "z")
    client.delete(keys.DUE)
    retention.turn(100)
    assert client.hgetall(keys.QUARANTINE) == {b"total": b"0"}
