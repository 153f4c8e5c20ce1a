"""A delivery whose route a worker does not know waits for one that does. On a real server, without worker processes."""

import time
from collections import Counter
from typing import Any

import pytest
import redis

from receiver.core.durations import HOUR_MS
from receiver.storage.accounting.audit import Audit
from receiver.storage.model.entries import terms
from receiver.storage.query.event_reader import EventReader
from receiver.storage.queue.flow_control import Gates
from receiver.storage.queue.queue import Acknowledgement, Claim, DeliveryQueue, Verdict
from receiver.storage.queue.route_limits import RouteRule, Runnable, TargetReport
from receiver.storage.redis import keys, rq_keys
from tests.support.events import DAY_MS, entry, keep_all

LEASE_MS = 60_000
ROUTE = "announce"


class Worker:
    """A worker that can run ROUTE, or cannot. *handed*: how often a delivery of it came into its hands."""

    def __init__(self, client: redis.Redis, name: str, *, knows: bool, queues: tuple[str, ...] = ("default",)) -> None:
        self.name = name
        self.queue = DeliveryQueue(client)
        self.queue.begin_lease(name, LEASE_MS)
        self.queues = queues
        self.rules: tuple[RouteRule, ...] = ()
        self.runnable = Runnable(can=(ROUTE,)) if knows else Runnable(cannot=(ROUTE,))
        self.handed = 0

    def claim(self, most: int = 100) -> tuple[Claim, ...]:
        """Claim what may go."""
        claimed = self.queue.claim(self.name, self.queues, most, self.rules, self.runnable)
        assert claimed is not None
        self.handed += sum(claim.route == ROUTE for claim in claimed.claims)
        return claimed.claims

    def end(self, *claims: Claim, verdict: Verdict = "succeeded", target: TargetReport | None = None) -> None:
        """End what was claimed."""
        ended = [Acknowledgement(claim.job, verdict, target=target) for claim in claims]
        assert self.queue.acknowledge(self.name, ended) == ()


@pytest.fixture
def old(client: redis.Redis) -> Worker:
    """One whose routes.yaml does not have the route yet."""
    return Worker(client, "old", knows=False)


@pytest.fixture
def new(client: redis.Redis) -> Worker:
    """One that knows it."""
    return Worker(client, "new", knows=True)


def keep(client: redis.Redis, number: int, terms: str = "", route: str = ROUTE) -> list[str]:
    """Keep so many events; return their ids."""
    entries = [entry(b'{"at":%d}' % time.time_ns(), routes=[route], terms=terms) for _ in range(number)]
    keep_all(client, *entries)
    return [one.envelope.id for one in entries]


def ids(claims: tuple[Claim, ...]) -> list[str]:
    """The events of claims."""
    return [claim.delivery_id[:20] for claim in claims]


def state(client: redis.Redis, event_id: str) -> str:
    """What the delivery of an event does or waits for."""
    return EventReader(client).get(event_id).deliveries[0].state


def let_pass(client: redis.Redis, milliseconds: int) -> None:
    """Let so much time have passed in which nobody has looked at the route's gate."""
    client.zincrby(keys.GATES, -milliseconds, ROUTE)


def unknown_for(client: redis.Redis, event_id: str, milliseconds: int) -> None:
    """Let the delivery of an event be parked since so long ago."""
    client.hincrby(keys.state(event_id), "1b", -milliseconds)
    client.zincrby(keys.waiting(ROUTE), -milliseconds, f"{event_id}-1")
    let_pass(client, milliseconds)


def test_who_cannot_run_it_does_not_get_it_and_who_can_gets_it_at_once(
    client: redis.Redis, old: Worker, new: Worker
) -> None:
    """Unasked, uncharged, in its order; and what a worker is asked for is whether it knows the route."""
    events = keep(client, 3)

    assert old.claim() == ()
    assert {state(client, event) for event in events} == {"unknown route"}
    assert Audit(client).run(full=True).unaccounted == 0
    assert client.llen(keys.wake("default")) == 16, "each idle worker is woken, so that one who knows the route is"
    asked = new.queue.claim("new", ["default"], 100)
    assert asked is not None
    assert (asked.claims, asked.asked) == ((), (ROUTE,))
    claims = new.claim()
    assert ids(claims) == events
    assert [(claim.attempts, claim.unknown_ms) for claim in claims] == [(0, 0)] * 3
    new.end(*claims)

    assert new.claim() == ()
    assert client.exists(keys.GATES, keys.gate(ROUTE), keys.waiting(ROUTE)) == 0
    assert Audit(client).run(full=True).unaccounted == 0


def test_nothing_is_handed_back_while_somebody_knows_the_route(client: redis.Redis, old: Worker, new: Worker) -> None:
    """Ordered deliveries beside a worker that claims as often: none comes into its hands, and each lane goes on."""
    events = {key: keep(client, 30, terms(f"lane-{key}")) for key in range(5)}
    (other,) = keep(client, 1, route="mirror")
    ran: list[str] = []

    for _ in range(30):
        mirrored = old.claim()
        old.end(*mirrored)
        claims = new.claim(5)
        assert len(claims) == 5, "a lane has starved"
        ran += ids(claims)
        old.claim()
        new.end(*claims)

    assert old.handed == 0
    for lane in events.values():
        assert [event for event in ran if event in lane] == lane
    assert EventReader(client).get(other).status == "succeeded"
    assert Audit(client).run(full=True).unaccounted == 0


def test_a_limit_counts_a_start_once_and_a_place_is_kept(client: redis.Redis, old: Worker, new: Worker) -> None:
    """What was let go under a limit and is met by the wrong worker starts with the right that it has."""
    new.rules = (RouteRule(ROUTE, limit=3, period_ms=DAY_MS, concurrency=1),)
    events = keep(client, 4)
    ran: list[str] = []
    for _ in range(3):
        (claim,) = new.claim(1)
        ran += ids((claim,))
        new.end(claim)
        new.claim(0)  # lets the next one go, with its place
        assert old.claim() == ()
        assert client.scard(f"fd:r:{ROUTE}/") <= 1

    assert (ran, old.handed) == (events[:3], 0)
    assert new.claim() == ()
    assert state(client, events[3]) == "limit"
    assert client.scard(f"fd:r:{ROUTE}/") == 0


def test_gates_of_an_unknown_route_are_left_to_who_knows_it(client: redis.Redis, old: Worker, new: Worker) -> None:
    """Its limits are those of its own table; so is the pace at which a target that is down is tried."""
    new.rules = (RouteRule(ROUTE, limit=1, period_ms=DAY_MS),)
    events = keep(client, 3)
    new.end(*new.claim())
    client.zadd(keys.GATES, {f"{ROUTE}/": time.time() * 1_000 - 1})

    assert old.claim() == ()
    assert [state(client, event) for event in events[1:]] == ["limit"] * 2
    assert client.llen(rq_keys.queue("default")) == 0

    probe_at = int(time.time() * 1_000) + HOUR_MS
    client.hset(keys.gate(ROUTE), mapping={"open": probe_at - 2 * HOUR_MS, "pace": HOUR_MS, "next": probe_at})
    client.zadd(keys.GATES, {ROUTE: probe_at})
    (late,) = keep(client, 1)
    assert old.claim() == ()
    assert (new.claim(), state(client, late)) == ((), "target down")
    assert int(client.hget(keys.gate(ROUTE), "next") or 0) == probe_at
    assert client.zscore(keys.GATES, ROUTE) == probe_at


def test_a_queue_that_who_knows_the_route_does_not_serve_is_left_alone(client: redis.Redis, old: Worker) -> None:
    """It would go back and forth for ever, and the hour would never pass."""
    (event,) = keep(client, 1)
    elsewhere = Worker(client, "elsewhere", knows=True, queues=("bulk",))
    old.claim()
    let_pass(client, 1_000)
    before = client.zscore(keys.GATES, ROUTE)

    assert elsewhere.claim() == ()
    assert (state(client, event), client.zscore(keys.GATES, ROUTE)) == ("unknown route", before)


def test_stock_workers_and_earlier_versions_get_it_too(client: redis.Redis, old: Worker) -> None:
    """They look at no gate, or at each: where nobody else looks, it is put where they find it, now and then."""
    (event,) = keep(client, 1)
    assert old.claim() == ()
    assert old.claim() == ()
    assert client.llen(rq_keys.queue("default")) == 0
    since = client.hget(keys.state(event), "1b")
    let_pass(client, 3_000)

    assert old.claim() == ()
    assert client.lrange(rq_keys.queue("default"), 0, -1) == [f"{event}-1-1".encode()]
    assert old.claim() == ()
    assert (state(client, event), client.hget(keys.state(event), "1b")) == ("unknown route", since)
    let_pass(client, 3_000)
    old.claim()
    client.lpop(rq_keys.queue("default"))  # as RQ does

    claim = old.queue.take("stock:1", f"{event}-1-1", LEASE_MS)
    assert claim is not None
    assert claim.unknown_ms == int(since or 0)


def test_what_nobody_can_run_for_an_hour_is_handed_over_to_be_ended(client: redis.Redis, old: Worker) -> None:
    """Not what has been unknown for less; an hour in which somebody has looked who is busy does not count."""
    first, second = keep(client, 2)
    old.claim()
    unknown_for(client, first, HOUR_MS + 1)
    busy = Worker(client, "busy", knows=True)

    assert busy.claim(0) == ()
    assert (old.claim(), old.claim()) == ((), ())
    let_pass(client, 3_000)
    assert old.claim() == ()
    claims = old.claim()

    assert ids(claims) == [first]
    assert state(client, second) == "unknown route"
    old.end(*claims, verdict="dead")
    assert Audit(client).run(full=True).unaccounted == 0


def test_a_worker_finds_out_by_the_first_one(client: redis.Redis, new: Worker) -> None:
    """It gives it back as unknown: with the timeout that it had, alone if it must run alone, and to who knows it."""
    old = Worker(client, "old", knows=False, queues=(rq_keys.ISOLATED, "default"))
    old.runnable = Runnable()
    (event,) = keep(client, 1)
    client.hset(f"rq:job:{event}-1-1", "timeout", 86_400)
    (claim,) = old.claim()
    old.queue.recover("old", {claim.job: 0})
    old.queue.begin_lease("old", LEASE_MS)
    (claim,) = old.claim()
    assert claim.queue == rq_keys.ISOLATED

    old.end(claim, verdict="unknown")

    assert client.keys("rq:job:*") == [f"rq:job:{event}-1-3".encode()]
    assert client.hget(f"rq:job:{event}-1-3", "timeout") == b"86400"
    assert state(client, event) == "unknown route"
    assert new.claim() == ()
    assert client.lrange(rq_keys.queue(rq_keys.ISOLATED), 0, -1) == [f"{event}-1-3".encode()]


@pytest.mark.parametrize("verdict", ["uncharged", "give_back", "retry"])
def test_who_gives_a_delivery_back_that_it_knows_starts_no_clock(
    client: redis.Redis, new: Worker, verdict: Verdict
) -> None:
    """At SIGTERM, for a limit, before a shut gate: whatever proves that somebody knew the route ends the clock."""
    (event,) = keep(client, 1)
    (claim,) = new.claim()
    client.hset(keys.state(event), "1b", 1)

    new.end(claim, verdict=verdict)

    assert client.hget(keys.state(event), "1b") is None
    client.hset(keys.state(event), "1b", 1)
    Gates(client).pause(ROUTE, "ann")
    assert (new.claim(), state(client, event)) == ((), "pause")
    assert client.hget(keys.state(event), "1b") is None


def test_a_delivery_that_killed_its_process_was_known(client: redis.Redis, new: Worker) -> None:
    """It ran."""
    (event,) = keep(client, 1)
    (claim,) = new.claim()
    client.hset(keys.state(event), "1b", 1)

    new.queue.recover("new", {claim.job: 0})

    assert client.hget(keys.state(event), "1b") is None


def test_an_earlier_version_finds_and_repairs_nothing(client: redis.Redis, old: Worker, new: Worker) -> None:
    """To it, what is parked is held before a gate: the audit is content whoever runs it, and erasing finds it."""
    keep(client, 4, terms("lane"))
    old.claim()
    held: Any = client.zrange(keys.waiting(ROUTE), 0, -1)

    assert Audit(client).run(repair=True).repaired == 0
    assert Counter(len(name) for name in held) == {22: 1}
    popped: Any = client.zpopmin(keys.waiting(ROUTE), 1)  # as it lets go
    event = popped[0][0].decode()[:20]
    client.hset(keys.state(event), "1s", "q")
    client.hdel(keys.state(event), "1w")
    client.rpush(rq_keys.queue("default"), f"{event}-1-1")

    (claim,) = new.claim()
    assert ids((claim,)) == [event]
    new.end(claim)
    assert client.hget(keys.gate(ROUTE), "parked") is None
