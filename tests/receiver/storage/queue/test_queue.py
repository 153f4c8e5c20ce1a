"""Claim, acknowledge, lease, recover: a delivery is in one place at a time, and its end is recorded once."""

import time
from collections.abc import Sequence

import pytest
import redis

from receiver.core.events import DeliveryStatus, EventStatus
from receiver.storage.query.event_reader import EventReader
from receiver.storage.query.stored_event import StoredEvent
from receiver.storage.queue.queue import Acknowledgement, Attempt, Claim, DeliveryQueue, Verdict
from receiver.storage.redis import keys, rq_keys
from tests.support.events import entry, keep_all
from tests.support.processes import wait_until

LEASE_MS = 60_000


@pytest.fixture
def deliveries(client: redis.Redis) -> DeliveryQueue:
    """The queue, with two workers under lease."""
    queue = DeliveryQueue(client)
    queue.begin_lease("ann", LEASE_MS)
    queue.begin_lease("bob", LEASE_MS)
    return queue


def claim_all(
    deliveries: DeliveryQueue, worker: str = "ann", queues: Sequence[str] = ("default",)
) -> tuple[Claim, ...]:
    """Claim whatever is there."""
    claimed = deliveries.claim(worker, queues, 100)
    assert claimed is not None
    return claimed.claims


def ended(claim: Claim, verdict: Verdict, *, delay_ms: int = 0, error: str | None = None) -> Acknowledgement:
    """An acknowledgement with an attempt."""
    attempt = Attempt(claim.attempts + 1, "succeeded" if verdict == "succeeded" else "failed", 1, 2, "ann", error)
    return Acknowledgement(claim.job, verdict, delay_ms, 30_000, attempt)


def only(client: redis.Redis, event_id: str) -> StoredEvent:
    """The event as it is stored."""
    return EventReader(client).get(event_id)


def test_a_claimed_delivery_is_in_one_workers_hands(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """Nobody else gets it; the event shows it as running."""
    kept = entry()
    keep_all(client, kept)

    (claim,) = claim_all(deliveries)

    assert claim_all(deliveries, "bob") == ()
    assert (claim.route, claim.attempts, claim.failures, claim.superseded) == ("announce", 0, 0, False)
    assert claim.envelope == kept.envelope
    assert only(client, kept.envelope.id).deliveries[0].state == "running"


def test_queues_are_served_in_the_order_they_are_named(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """Priority is the order of the names; within a queue, the order of arrival."""
    keep_all(client, entry(b"1", queue="bulk"), entry(b"2", queue="doors"), entry(b"3", queue="bulk"))

    claims = claim_all(deliveries, queues=("doors", "bulk"))

    assert [claim.envelope and claim.envelope.body for claim in claims] == [b"2", b"1", b"3"]


@pytest.mark.parametrize(
    ("verdict", "status"),
    [
        ("succeeded", DeliveryStatus.SUCCEEDED),
        ("discarded", DeliveryStatus.DISCARDED),
        ("dead", DeliveryStatus.DEAD),
    ],
)
def test_an_end_is_recorded_and_leaves_nothing_of_rq(
    client: redis.Redis, deliveries: DeliveryQueue, verdict: Verdict, status: DeliveryStatus
) -> None:
    """The delivery ends, the attempt stays, the job, its registry entry and the claim are gone."""
    kept = entry()
    keep_all(client, kept)
    (claim,) = claim_all(deliveries)

    stale = deliveries.acknowledge("ann", [ended(claim, verdict, error="because")])

    assert stale == ()
    stored = only(client, kept.envelope.id)
    assert (stored.status.value, stored.deliveries[0].status) == (status.value, status)
    assert stored.deliveries[0].attempts[0]["error"] == "because"
    assert client.keys("rq:job:*") + client.keys("rq:wip:*") + client.keys("fd:held:*") == []
    counters = EventReader(client).counters(kept.envelope.hour)
    assert counters[f"d_{status.value}"] == counters["d_created"] == 1


def test_an_end_leaves_no_field_of_the_way_there(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """Neither of one that waited for its retry, nor of one that ran alone after its worker died; nobody holds it."""
    first, second = entry(b"1"), entry(b"2", entity="Booking:2")
    keep_all(client, first, second)
    waited, died = claim_all(deliveries)
    deliveries.acknowledge("ann", [ended(waited, "retry", delay_ms=1)])
    assert deliveries.recover("ann", {died.job: 1}) is not None
    deliveries.begin_lease("ann", 60_000)
    (again,) = wait_until(lambda: claim_all(deliveries), "the retry to come due")
    (alone,) = claim_all(deliveries, queues=(rq_keys.ISOLATED,))

    deliveries.acknowledge("ann", [ended(again, "succeeded"), ended(alone, "succeeded")])

    for kept in (first, second):
        state = client.hgetall(keys.state(kept.envelope.id))
        assert not {b"1t", b"1w", b"1b", b"1i"} & state.keys()
        assert (state[b"1s"], state[b"p"], state.get(b"1o", b"")) == (b"s", b"0", b"")


def test_routes_of_one_event_end_apart(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """One succeeds, one dies, one goes on; the event is in flight until all have ended, then dead."""
    kept = entry(routes=("a", "b", "c"))
    keep_all(client, kept)
    a, b, c = claim_all(deliveries)

    deliveries.acknowledge("ann", [ended(a, "succeeded"), ended(b, "dead"), ended(c, "retry")])

    assert only(client, kept.envelope.id).status == EventStatus.IN_FLIGHT
    (again,) = claim_all(deliveries)
    deliveries.acknowledge("ann", [ended(again, "succeeded")])
    stored = only(client, kept.envelope.id)
    assert stored.status == EventStatus.DEAD
    assert [delivery.status for delivery in stored.deliveries] == ["succeeded", "dead", "succeeded"]


def test_a_retry_waits_in_rqs_own_schedule_and_comes_due(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """No process sleeps for it; whoever claims next after its time gets it, as a new job with one failure more."""
    keep_all(client, entry())
    (claim,) = claim_all(deliveries)

    deliveries.acknowledge("ann", [ended(claim, "retry", delay_ms=60_000)])

    early = deliveries.claim("bob", ["default"], 10)
    assert early is not None
    assert early.claims == ()
    assert 0 < early.next_due_ms - time.time() * 1_000 <= 60_001
    client.zincrby("rq:scheduled:default", -59.8, f"{claim.delivery_id}-2")
    assert client.zcard("rq:scheduled:default") == 1
    (again,) = wait_until(lambda: claim_all(deliveries, "bob"), "the retry to come due")
    assert (again.attempts, again.failures) == (1, 1)
    assert again.job != claim.job


def test_what_is_due_goes_in_front_of_a_backlog(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """In the order of its times. Behind a backlog a retry would not show for long that its target is up."""
    keep_all(client, *[entry(b'{"Id":%d}' % number, entity=f"Booking:{number}") for number in range(3)])
    first = claim_all(deliveries)
    for claim, delay_ms in zip(first, (60_000, 20_000, 40_000), strict=True):
        deliveries.acknowledge("ann", [ended(claim, "retry", delay_ms=delay_ms)])
    fresh = [entry(b'{"Id":%d}' % number, entity=f"Booking:{number}") for number in range(10, 13)]
    keep_all(client, *fresh)
    for claim in first:
        client.zincrby("rq:scheduled:default", -3_600, f"{claim.delivery_id}-2")

    claimed = claim_all(deliveries)

    expected = [first[at].delivery_id for at in (1, 2, 0)] + [f"{one.envelope.id}-1" for one in fresh]
    assert [claim.delivery_id for claim in claimed] == expected


def test_what_is_given_back_uncharged_costs_no_attempt(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """However often: it only waited."""
    keep_all(client, entry())
    for _ in range(2):
        (claim,) = claim_all(deliveries)
        deliveries.acknowledge("ann", [Acknowledgement(claim.job, "uncharged")])

    (third,) = claim_all(deliveries)

    assert (third.attempts, third.failures, third.unknown_ms) == (0, 0, 0)


def test_what_is_given_back_unrun_keeps_its_place(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """At shutdown a worker returns what it only held, to the front."""
    keep_all(client, entry(b"1"), entry(b"2"))
    claimed = deliveries.claim("ann", ["default"], 1)
    assert claimed is not None

    deliveries.acknowledge("ann", [Acknowledgement(claimed.claims[0].job, "give_back")])

    assert [claim.envelope and claim.envelope.body for claim in claim_all(deliveries, "bob")] == [b"1", b"2"]


def test_a_stale_acknowledgement_changes_nothing(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """Of somebody else's delivery, of an ended one, or sent twice because the reply was lost."""
    kept = entry()
    keep_all(client, kept)
    (claim,) = claim_all(deliveries)

    assert deliveries.acknowledge("bob", [ended(claim, "dead")]) == (claim.job,)
    assert deliveries.acknowledge("ann", [ended(claim, "succeeded")]) == ()
    assert deliveries.acknowledge("ann", [ended(claim, "succeeded")]) == (claim.job,)

    stored = only(client, kept.envelope.id)
    assert stored.status == EventStatus.SUCCEEDED
    assert len(stored.deliveries[0].attempts) == 1
    assert EventReader(client).counters(kept.envelope.hour)["d_succeeded"] == 1


def test_foreign_jobs_are_refused_and_stay_visible(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """A job that is no delivery is never run; it is in RQ's registry of failed jobs."""
    client.hset("rq:job:evil", mapping={"data": b'["os.system",null,["true"],{}]', "origin": "default"})
    client.hset("rq:job:" + "0" * 20 + "-1-1", mapping={"data": b'["os.system",null,["true"],{}]'})
    client.rpush("rq:queue:default", "evil", "0" * 20 + "-1-1")
    keep_all(client, entry())

    claimed = deliveries.claim("ann", ["default"], 10)

    assert claimed is not None
    assert (claimed.refused, len(claimed.claims)) == (2, 1)
    assert client.zcard("rq:failed:default") == 2
    assert client.hget("rq:job:evil", "status") == b"failed"


def test_a_job_that_was_pushed_twice_runs_once(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """Stock tools can requeue a job id; the second copy is stale."""
    kept = entry()
    keep_all(client, kept)
    client.rpush("rq:queue:default", f"{kept.envelope.id}-1-1")

    (claim,) = claim_all(deliveries)
    deliveries.acknowledge("ann", [ended(claim, "succeeded")])

    assert claim_all(deliveries) == ()


def test_a_worker_without_a_lease_claims_nothing(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """One that was frozen past its lease finds out, and what it held is somebody else's."""
    keep_all(client, entry())
    deliveries.begin_lease("eve", 1)
    (claim,) = claim_all(deliveries, "eve")
    recovered = wait_until(deliveries.recover, "the lease to end")

    assert recovered.worker == "eve"
    assert deliveries.claim("eve", ["default"], 1) is None
    assert deliveries.renew_leases(["eve", "ann"], LEASE_MS) == ("eve",)
    assert deliveries.acknowledge("eve", [ended(claim, "succeeded")]) == (claim.job,)


def test_what_a_dead_worker_only_held_goes_back_and_what_it_ran_runs_alone(
    client: redis.Redis, deliveries: DeliveryQueue
) -> None:
    """Nothing innocent is charged; the suspect moves to the isolated queue with the death on record."""
    ran, held = entry(b"1"), entry(b"2")
    keep_all(client, ran, held)
    claims = claim_all(deliveries)

    recovered = deliveries.recover("ann", {claims[0].job: 1_700_000_000_000})

    assert recovered is not None
    assert (recovered.unrun, recovered.alone, recovered.more) == ((claims[1].job,), (claims[0].job,), False)
    (unrun,) = claim_all(deliveries, "bob")
    assert (unrun.envelope, unrun.attempts, unrun.deaths) == (held.envelope, 0, 0)
    (alone,) = claim_all(deliveries, "bob", [rq_keys.ISOLATED])
    assert (alone.envelope, alone.attempts, alone.failures, alone.deaths) == (ran.envelope, 1, 0, 1)
    attempt = only(client, ran.envelope.id).deliveries[0].attempts[0]
    assert (attempt["outcome"], attempt["started_ms"]) == ("crashed", 1_700_000_000_000)


def test_three_deaths_while_alone_are_poison(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """The first death, among others, does not count towards it."""
    kept = entry()
    keep_all(client, kept)
    (claim,) = claim_all(deliveries)
    recovered = deliveries.recover("ann", {claim.job: 0})

    poisoned = []
    for death in range(3):
        worker = f"alone-{death}"
        deliveries.begin_lease(worker, LEASE_MS)
        (claim,) = claim_all(deliveries, worker, [rq_keys.ISOLATED])
        recovered = deliveries.recover(worker, {claim.job: 0})
        poisoned.append(bool(recovered and recovered.poisoned == (claim.job,)))

    assert poisoned == [False, False, True]
    stored = only(client, kept.envelope.id)
    assert stored.status == EventStatus.DEAD
    assert stored.deliveries[0].error is not None
    assert stored.deliveries[0].error.startswith("poison: ")


def test_after_a_run_alone_that_only_failed_it_is_a_delivery_like_any_other(
    client: redis.Redis, deliveries: DeliveryQueue
) -> None:
    """Its retry goes to its own queue."""
    keep_all(client, entry(queue="doors"))
    (claim,) = claim_all(deliveries, queues=["doors"])
    deliveries.recover("ann", {claim.job: 0})
    (alone,) = claim_all(deliveries, "bob", [rq_keys.ISOLATED])

    deliveries.acknowledge("bob", [ended(alone, "retry")])

    (again,) = claim_all(deliveries, "bob", ["doors"])
    assert (again.failures, again.deaths) == (1, 1)


def test_many_held_deliveries_are_recovered_in_slices(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """No call blocks the server for long; the lease ends with the last slice."""
    keep_all(client, *[entry(str(number).encode()) for number in range(25)])
    claim_all(deliveries)

    slices = [deliveries.recover("ann", {}, most=10) for _ in range(3)]

    assert [len(part.unrun) if part else 0 for part in slices] == [10, 10, 5]
    assert [part and part.more for part in slices] == [True, True, False]
    assert client.zscore(keys.WORKERS, "ann") is None


def test_an_idle_worker_wakes_at_once(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """A token is there as soon as something is; none is left behind when the queue is empty."""
    keep_all(client, entry())

    deliveries.wait(["other", "default"], 3_600)  # a test that does so hangs

    claim_all(deliveries)
    assert client.exists("fd:wake:default") == 0


def test_suspended_workers_claim_nothing(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """`rq suspend` holds ours too."""
    keep_all(client, entry())
    client.set("rq:suspended", 1)

    assert claim_all(deliveries) == ()
    client.delete("rq:suspended")
    assert len(claim_all(deliveries)) == 1


def test_an_older_event_of_an_entity_is_superseded(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """The handler of the older one is told that a newer one is kept already."""
    keep_all(client, entry(b"1", entity="Booking:7"), entry(b"2", entity="Booking:7"), entry(b"3", entity="Booking:8"))

    assert [claim.superseded for claim in claim_all(deliveries)] == [True, False, False]


def test_an_older_event_that_was_spooled_is_superseded_too(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """It reaches the store after the newer one, whose handler is told of nothing newer."""
    older, newer = entry(b"1", entity="Booking:7"), entry(b"2", entity="Booking:7")
    keep_all(client, newer)
    keep_all(client, older)

    superseded = {claim.job.partition("-")[0]: claim.superseded for claim in claim_all(deliveries)}

    assert superseded == {older.envelope.id: True, newer.envelope.id: False}


def test_a_stock_worker_takes_one_delivery_and_only_once(client: redis.Redis, deliveries: DeliveryQueue) -> None:
    """What RQ has popped is taken by its job id; a second taker finds it stale."""
    kept = entry()
    keep_all(client, kept)
    job = f"{kept.envelope.id}-1-1"
    client.lpop("rq:queue:default")

    claim = deliveries.take("rq-1", job, LEASE_MS)

    assert claim is not None
    assert claim.envelope == kept.envelope
    assert deliveries.take("rq-2", job, LEASE_MS) is None
    assert deliveries.take("rq-2", "not-ours", LEASE_MS) is None
    assert deliveries.look(job) == claim


def test_a_retry_that_a_stock_scheduler_moved_is_run_and_runs_once(
    client: redis.Redis, deliveries: DeliveryQueue
) -> None:
    """RQ's own scheduler pushes due jobs into their queue without telling anybody."""
    keep_all(client, entry())
    (claim,) = claim_all(deliveries)
    deliveries.acknowledge("ann", [ended(claim, "retry", delay_ms=1)])
    (job,) = client.zrange("rq:scheduled:default", 0, -1)
    client.rpush("rq:queue:default", str(job, "ascii") if isinstance(job, bytes) else "")

    (again,) = wait_until(lambda: claim_all(deliveries, "bob"), "the retry")

    assert again.failures == 1
    assert claim_all(deliveries) == ()
    assert deliveries.acknowledge("bob", [ended(again, "succeeded")]) == ()
