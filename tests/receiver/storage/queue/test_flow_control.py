"""What deliveries wait for: their order, a limit, a pause, their target. Each on a real server, without any worker."""

import re
import time
from typing import Any

import pytest
import redis

from receiver.core.durations import HOUR_MS
from receiver.storage.accounting.audit import Audit
from receiver.storage.model.entries import terms
from receiver.storage.query.event_reader import EventReader
from receiver.storage.queue.flow_control import Gates
from receiver.storage.queue.queue import Acknowledgement, Attempt, Claim, DeliveryQueue, Verdict
from receiver.storage.queue.route_limits import RouteRule, TargetReport
from receiver.storage.redis import keys, rq_keys
from tests.support.events import DAY_MS, entry, keep_all
from tests.support.processes import wait_until

LEASE_MS = 3_600_000
ORDERED = terms("lane")
LONG_AGO_MS = 4 * DAY_MS


class Desk:
    """One worker, and what it sees."""

    def __init__(self, client: redis.Redis) -> None:
        self.client = client
        self.queue = DeliveryQueue(client)
        self.queue.begin_lease("ann", LEASE_MS)
        self.archive = EventReader(client)
        self.rules: tuple[RouteRule, ...] = ()

    def keep(self, number: int, route: str = "announce", terms: str = "") -> list[str]:
        """Keep so many events; return their ids."""
        entries = [
            entry(b'{"Id":%d,"at":%d}' % (at, time.time_ns()), routes=[route], terms=terms) for at in range(number)
        ]
        keep_all(self.client, *entries)
        return [one.envelope.id for one in entries]

    def claim(self, most: int = 100) -> tuple[Claim, ...]:
        """Claim what may go."""
        claimed = self.queue.claim("ann", ["default", rq_keys.ISOLATED], most, self.rules)
        assert claimed is not None
        return claimed.claims

    def end(
        self, *claims: Claim, verdict: Verdict = "succeeded", delay_ms: int = 0, target: TargetReport | None = None
    ) -> None:
        """End attempts."""
        for claim in claims:
            attempt = Attempt(
                claim.attempts + 1, "succeeded" if verdict == "succeeded" else "failed", 1, 2, "ann", "why"
            )
            ended = Acknowledgement(claim.job, verdict, delay_ms, 30_000, attempt, target)
            assert self.queue.acknowledge("ann", [ended]) == ()

    def waits(self, event_id: str) -> str:
        """What the delivery of an event does or waits for."""
        return self.archive.get(event_id).deliveries[-1].state

    def status(self, event_id: str) -> tuple[str, str | None]:
        """How the delivery of an event stands, and its last error."""
        delivery = self.archive.get(event_id).deliveries[-1]
        return delivery.status.value, delivery.error

    def due_in_s(self, event_id: str) -> float:
        """In how many seconds the delivery of an event is due."""
        return (self.archive.get(event_id).deliveries[-1].next_attempt_ms or 0) / 1_000 - time.time()

    def waited(self, event_id: str, seconds: int) -> None:
        """Let so many seconds have passed since the key of a debounced event began to be restless."""
        assert self.client.hincrby(keys.state(event_id), "1d", -seconds * 1_000) > 0

    def grow_old(self, gate: str, ms: int) -> None:
        """Let so many milliseconds have passed since the last starts that a limit counts, and the gate be looked at."""
        key = f"fd:l:{gate}"
        for at, began in enumerate(self.client.lrange(key, 0, -1)):
            self.client.lset(key, at, str(int(began) - ms))
        self.look_now(gate)

    def look_now(self, gate: str) -> None:
        """Have a gate looked at by the next claim, whatever it waits for; the next probe of a target is due."""
        self.client.zadd(keys.GATES, {gate: 0})
        if self.client.hexists(keys.gate(gate), "next"):
            self.client.hset(keys.gate(gate), "next", 0)

    def unaccounted(self) -> int:
        """What the audit finds."""
        return Audit(self.client).run(full=True).unaccounted


@pytest.fixture
def desk(client: redis.Redis) -> Desk:
    """A desk on an empty server."""
    return Desk(client)


def ids(claims: tuple[Claim, ...]) -> list[str]:
    """The events of claims."""
    return [claim.delivery_id[:20] for claim in claims]


def test_one_after_another_also_over_retries_and_deaths(desk: Desk) -> None:
    """Only the first has a job; a retry keeps its turn; a dead one lets the next go; other keys are not delayed."""
    first, second, third = desk.keep(3, terms=ORDERED)
    (other,) = desk.keep(1, terms=terms("other"))

    one, free = desk.claim()
    assert ids((one, free)) == [first, other]
    assert [desk.waits(event) for event in (first, second, third)] == ["running", "order", "order"]
    desk.end(one, verdict="retry")
    (again,) = desk.claim()
    assert ids((again,)) == [first]
    desk.end(again, verdict="dead")
    (one,) = desk.claim()
    assert ids((one,)) == [second]
    assert desk.unaccounted() == 0
    desk.end(one, free, verdict="discarded")
    (one,) = desk.claim()
    desk.end(one)

    assert desk.status(third) == ("succeeded", "why")
    assert desk.client.keys("fd:o:*") + desk.client.keys("rq:job:*") == []


def test_an_event_that_waited_in_a_spool_takes_its_turn_among_those_that_wait(desk: Desk) -> None:
    """By its arrival, not by when it was drained; what runs already is not called back."""
    now = time.time()
    middle = entry(b'{"Id":2}', terms=ORDERED, at=now)
    newest = entry(b'{"Id":3}', terms=ORDERED, at=now + 1)
    spooled = entry(b'{"Id":1}', terms=ORDERED, at=now - 60)
    keep_all(desk.client, middle)
    keep_all(desk.client, newest)
    keep_all(desk.client, spooled, alias_ms=1_000)

    ran = []
    for _ in range(3):
        (claim,) = desk.claim()
        ran += ids((claim,))
        desk.end(claim)

    assert ran == [middle.envelope.id, spooled.envelope.id, newest.envelope.id]


def test_a_lane_that_an_earlier_version_left_behind_goes_on(desk: Desk) -> None:
    """It ends a delivery without telling the lane: the next event of the key does not wait for a ghost, and those
    that do are found by the audit."""
    first, second = desk.keep(2, terms=ORDERED)
    (claim,) = desk.claim()
    desk.end(claim)
    desk.client.zadd(keys.lane("announce:lane"), {f"{first}-1": 0, f"{second}-1": 5})
    desk.client.hset(keys.state(second), mapping={"1s": "h", "1w": "o", "1e": "90"})
    desk.client.delete("rq:queue:default")

    assert Audit(desk.client).run().offenders == (second,)
    assert Audit(desk.client).run(repair=True).repaired == 1
    (claim,) = desk.claim()
    assert ids((claim,)) == [second]
    desk.end(claim)

    desk.client.zadd(keys.lane("announce:lane"), {f"{first}-1": 0})
    desk.keep(1, terms=ORDERED)
    assert len(desk.claim()) == 1


def test_only_the_newest_of_a_key_runs_once_it_is_quiet(desk: Desk) -> None:
    """The others end as superseded; what runs is left alone; an older one that comes late changes nothing."""
    debounced = terms("lane", "", 300, debounced=True)
    running, _, third = [desk.keep(1, terms=debounced)[0] for _ in range(3)]
    assert desk.waits(third) == "debounce"
    (claim,) = wait_until(lambda: desk.claim(), "the quiet time to pass")
    assert ids((claim,)) == [third]
    newest = desk.keep(1, terms=debounced)[0]
    late = entry(b'{"Id":9}', terms=debounced, at=time.time() - 60)
    keep_all(desk.client, late)

    assert desk.status(running)[0] == "discarded"
    assert str(desk.status(running)[1]).startswith("superseded by ")
    assert desk.status(late.envelope.id) == ("discarded", f"superseded by {newest}")
    assert (desk.waits(third), desk.waits(newest)) == ("running", "order")
    assert desk.unaccounted() == 0
    desk.end(claim)
    (claim,) = wait_until(lambda: desk.claim(), "the newest")
    assert ids((claim,)) == [newest]


def test_a_key_that_never_falls_quiet_is_delivered_nevertheless(desk: Desk) -> None:
    """After ten times the quiet time: the newest then. What has waited so long is not superseded, wherever it is; the
    next one begins to wait anew behind it."""
    debounced = terms("lane", "", 60_000, debounced=True)
    (first,) = desk.keep(1, terms=debounced)
    desk.waited(first, 595)
    (second,) = desk.keep(1, terms=debounced)
    assert desk.status(first) == ("discarded", f"superseded by {second}")
    assert desk.due_in_s(second) <= 5

    desk.waited(second, 600)
    late = entry(b'{"Id":9}', terms=debounced, at=time.time() - 60)
    keep_all(desk.client, late)
    (third,) = desk.keep(1, terms=debounced)
    desk.waited(third, 600)  # what waits behind another is superseded all the same
    (newest,) = desk.keep(1, terms=debounced)
    desk.client.zadd("rq:scheduled:default", {f"{second}-1-1": 0})
    (claim,) = desk.claim()

    assert ids((claim,)) == [second]
    assert desk.status(late.envelope.id) == ("discarded", f"superseded by {second}")
    assert desk.status(third) == ("discarded", f"superseded by {newest}")
    desk.end(claim)
    assert desk.client.hget(keys.state(second), "1d") is None
    began = time.time()
    (later,) = desk.keep(1, terms=debounced)
    assert began + 59 < desk.due_in_s(later) + time.time() <= time.time() + 60
    assert desk.unaccounted() == 0


def test_behind_a_pause_only_the_newest_of_a_debounced_key_waits(desk: Desk) -> None:
    """However long that lasts; it is due as soon as the route goes on."""
    debounced = terms("lane", "", 60_000, debounced=True)
    (old,) = desk.keep(1, terms=debounced)
    Gates(desk.client).pause("announce", "ann")
    desk.client.zadd("rq:scheduled:default", {f"{old}-1-1": 0})
    assert (desk.claim(), desk.waits(old)) == ((), "pause")
    desk.waited(old, 86_400)

    (new,) = desk.keep(1, terms=debounced)

    assert desk.status(old) == ("discarded", f"superseded by {new}")
    Gates(desk.client).resume("announce")
    assert ids(wait_until(lambda: desk.claim(), "the newest")) == [new]
    assert desk.unaccounted() == 0


def test_what_failed_is_not_tried_again_once_something_newer_waits(desk: Desk) -> None:
    """Of a debounced route: the newest stands for it."""
    debounced = terms("lane", "", 1, debounced=True)
    (old,) = desk.keep(1, terms=debounced)
    (claim,) = wait_until(lambda: desk.claim(), "the quiet time to pass")
    (new,) = desk.keep(1, terms=debounced)

    desk.end(claim, verdict="retry", delay_ms=DAY_MS)

    assert desk.status(old) == ("discarded", f"superseded by {new}")
    assert ids(wait_until(lambda: desk.claim(), "the newest")) == [new]
    assert desk.unaccounted() == 0


def test_a_delay_comes_before_the_first_attempt(desk: Desk) -> None:
    """It is seen as such, and due by the store's clock."""
    (event,) = desk.keep(1, terms=terms(delay_ms=60_000))

    assert (desk.claim(), desk.waits(event)) == ((), "delay")
    desk.client.zadd("rq:scheduled:default", {f"{event}-1-1": 0})
    (claim,) = desk.claim()
    desk.end(claim, verdict="retry", delay_ms=60_000)
    assert desk.waits(event) == "scheduled"


def test_no_stretch_of_time_sees_more_starts_than_the_limit(desk: Desk) -> None:
    """What waits is let go as the first starts grow old, in the order of its events; it costs no attempt."""
    desk.rules = (RouteRule("announce", limit=2, period_ms=HOUR_MS),)
    events = desk.keep(5)

    claims = desk.claim()
    assert ids(claims) == events[:2]
    assert desk.waits(events[2]) == "limit"
    assert desk.claim() == ()
    desk.grow_old("announce/", HOUR_MS - 60_000)
    assert desk.claim() == ()
    desk.grow_old("announce/", 60_000)
    (claim, *_) = claims = desk.claim()
    assert (ids(claims), claim.attempts) == (events[2:4], 0)
    desk.grow_old("announce/", HOUR_MS)
    assert ids(desk.claim()) == events[4:]
    assert desk.unaccounted() == 0


def test_a_place_is_given_to_the_next_whatever_becomes_of_who_had_it(desk: Desk) -> None:
    """Success, retry, erasure and death; what is given back unrun keeps its place."""
    desk.rules = (RouteRule("announce", concurrency=1),)
    events = desk.keep(4)
    (one,) = desk.claim()
    assert desk.waits(events[1]) == "concurrency"

    desk.end(one, verdict="give_back")
    (one,) = desk.claim()
    assert ids((one,)) == events[:1]
    desk.end(one, verdict="retry", delay_ms=DAY_MS)
    (one,) = desk.claim()
    assert ids((one,)) == events[1:2]
    assert desk.queue.recover("ann", {one.job: 0}) is not None
    desk.queue.begin_lease("ann", LEASE_MS)
    (one,) = desk.claim()
    assert ids((one,)) == events[1:2]
    desk.end(one)
    (one,) = desk.claim()
    assert ids((one,)) == events[2:3]
    assert desk.client.smembers("fd:r:announce/") == {f"{events[2]}-1".encode()}


def test_places_that_an_earlier_version_did_not_give_back_are_found(desk: Desk) -> None:
    """The gate is looked at now and then while it is full."""
    desk.rules = (RouteRule("announce", concurrency=1),)
    (event,) = desk.keep(1)
    desk.client.sadd("fd:r:announce/", "0" * 20 + "-1")
    assert desk.claim() == ()
    assert 0 < float(desk.client.zscore(keys.GATES, "announce/") or 0) - time.time() * 1_000 <= 30_000

    desk.look_now("announce/")

    assert ids(desk.claim()) == [event]


def test_limits_may_count_by_a_key(desk: Desk) -> None:
    """Each key has its own places; one that is full keeps no other waiting."""
    desk.rules = (RouteRule("announce", concurrency=1),)
    ann = desk.keep(2, terms=terms(per="ann"))
    bob = desk.keep(2, terms=terms(per="bob"))

    assert sorted(ids(desk.claim())) == sorted([ann[0], bob[0]])
    assert Gates(desk.client).standing()["announce"].waiting == 2


def test_a_limit_that_is_gone_from_the_table_holds_nobody(desk: Desk) -> None:
    """The table of today decides."""
    desk.rules = (RouteRule("announce", limit=1, period_ms=DAY_MS),)
    events = desk.keep(3)
    assert len(desk.claim()) == 1
    desk.rules = ()
    desk.look_now("announce/")

    assert ids(desk.claim()) == events[1:]


@pytest.mark.parametrize("hours", [-3, 3])
def test_a_clock_that_jumps_strands_nobody(desk: Desk, hours: int) -> None:
    """What was told by the old clock, an hour ahead or behind, is looked at by the new one."""
    desk.rules = (RouteRule("announce", limit=1, period_ms=1_000),)
    events = desk.keep(2)
    assert len(desk.claim()) == 1
    then = int(time.time() * 1_000) - hours * 3_600_000
    desk.client.delete("fd:l:announce/")
    desk.client.rpush("fd:l:announce/", then)
    desk.client.set("fd:gates:clock", then)
    desk.client.zadd(keys.GATES, {"announce/": then + 1_000})
    desk.client.hset(keys.gate("announce"), mapping={"until": then + 60_000, "from": then})

    assert ids(wait_until(lambda: desk.claim(), "the second")) == events[1:]


def test_a_paused_route_keeps_queueing_and_costs_nothing(desk: Desk) -> None:
    """What runs runs on; the rest waits, counted, in order, until the route is resumed. Other routes do not notice."""
    gates = Gates(desk.client)
    (running,) = desk.keep(1)
    (claim,) = desk.claim()
    assert gates.pause("announce", "ann")
    assert not gates.pause("announce", "bob")
    events, (other,) = desk.keep(3), desk.keep(1, route="mirror")
    assert desk.waits(events[0]) == "pause"  # although no worker has seen it yet
    assert gates.standing()["announce"].waiting == 3

    assert ids(desk.claim()) == [other]
    desk.end(claim, verdict="retry")
    assert desk.claim() == ()
    assert [desk.waits(event) for event in (running, *events)] == ["pause"] * 4
    gate = gates.standing()["announce"]
    assert (gate.state, gate.waiting, gate.pause and gate.pause.who) == ("paused", 4, "ann")
    assert desk.unaccounted() == 0
    assert gates.resume("announce")
    assert not gates.resume("announce")

    claims = desk.claim()
    assert ids(claims) == [running, *events]
    assert [claim.attempts for claim in claims] == [1, 0, 0, 0]
    desk.end(*claims)
    assert desk.claim() == ()
    assert desk.client.exists(keys.GATES, keys.PAUSED) == 0


def test_a_target_that_asks_to_wait_slows_its_whole_route(desk: Desk) -> None:
    """Nobody goes to it before the time is over; then one does, and each answer lets two more go."""
    events = desk.keep(8)
    (first,) = desk.claim(1)

    desk.end(first, verdict="uncharged", delay_ms=300, target=TargetReport("busy", DAY_MS))

    assert desk.claim() == ()
    assert {desk.waits(event) for event in events} == {"retry-after"}
    assert Gates(desk.client).standing()["announce"].state == "told to wait"
    (probe,) = wait_until(lambda: desk.claim(), "the time to be over")
    assert (ids((probe,)), probe.attempts, probe.failures) == (events[:1], 0, 0)
    assert desk.claim() == ()
    desk.end(probe)
    two = desk.claim()
    assert len(two) == 3
    desk.end(*two)
    assert len(desk.claim()) == 4
    assert desk.unaccounted() == 0


def _find_down(desk: Desk) -> None:
    """Five deliveries find the target of their route down, the last of them three seconds after the others."""
    *first, last = desk.claim(5)
    for claim in first:
        desk.end(claim, verdict="retry", target=TargetReport("down", DAY_MS))
    found: Any = desk.client.zrange("fd:down:announce", 0, -1, withscores=True)
    desk.client.zadd("fd:down:announce", {name: at_ms - 3_000 for name, at_ms in found})
    desk.end(last, verdict="retry", target=TargetReport("down", DAY_MS))


def test_failures_that_are_made_good_soon_are_no_target_that_is_down(desk: Desk) -> None:
    """Many first attempts fail within a moment, and the second ones do not."""
    desk.keep(60)
    for claim in desk.claim(60):
        desk.end(claim, verdict="retry", target=TargetReport("down", DAY_MS))

    assert Gates(desk.client).standing() == {}


def test_a_burst_to_a_target_that_is_down_does_not_die_before_that_is_plain(desk: Desk) -> None:
    """Twenty at once say so, too, when there is no attempt left; their ends are no ends then."""
    events = desk.keep(24)
    for claim in desk.claim(20):
        desk.end(claim, verdict="dead", target=TargetReport("down", DAY_MS))

    assert Gates(desk.client).standing()["announce"].state == "target down"
    assert [desk.status(event)[0] for event in events].count("dead") == 19


def test_a_target_that_is_down_is_tried_by_one_and_the_others_wait_uncharged(desk: Desk) -> None:
    """Five in a row say so, when it lasts; the probes are uncharged, further and further apart; an answer ends it."""
    events = desk.keep(12)
    down = TargetReport("down", DAY_MS)
    _find_down(desk)

    assert desk.claim() == ()
    gate = Gates(desk.client).standing()["announce"]
    assert (gate.state, gate.waiting) == ("target down", 12)
    assert {desk.waits(event) for event in events} == {"target down"}
    paces = []
    for _ in range(3):
        desk.look_now("announce")
        (probe,) = desk.claim()
        paces.append(int(desk.client.hget(keys.gate("announce"), "pace") or 0))
        assert desk.claim() == ()
        desk.end(probe, verdict="dead", target=down)
    assert paces == sorted(set(paces))
    assert desk.status(events[0])[0] == "in_flight"
    desk.look_now("announce")
    (probe,) = desk.claim()
    desk.end(probe)

    done = 1
    while claims := desk.claim():
        done += len(claims)
        desk.end(*claims)
    assert done == 12
    assert desk.client.exists(keys.GATES, keys.gate("announce"), "fd:down:announce") == 0
    assert desk.unaccounted() == 0


def test_one_delivery_that_fails_again_and_again_does_not_shut_its_route(desk: Desk) -> None:
    """Nor do many among which others succeed."""
    desk.keep(1)
    for _ in range(8):
        (claim,) = desk.claim()
        desk.end(claim, verdict="retry", target=TargetReport("down", DAY_MS))
    assert len(desk.claim()) == 1
    desk.keep(9)
    for at, claim in enumerate(desk.claim()):
        desk.end(
            claim,
            verdict="succeeded" if at % 3 == 2 else "dead",
            target=TargetReport("down", DAY_MS) if at % 3 < 2 else None,
        )

    desk.keep(1)
    assert len(desk.claim()) == 1


def test_waiting_for_a_target_ends(desk: Desk) -> None:
    """Those that waited for too long are dead: `gave up`. They lose nothing else: they can be replayed."""
    desk.rules = (RouteRule("announce", give_up_ms=DAY_MS),)
    events = desk.keep(7)
    _find_down(desk)
    assert desk.claim() == ()
    for event in events[:6]:
        desk.client.hset(keys.state(event), "1v", int(time.time() * 1_000) - LONG_AGO_MS)

    desk.look_now("announce")
    (probe,) = desk.claim()

    assert ids((probe,)) == events[6:]
    for event in events[:6]:
        status, error = desk.status(event)
        assert status == "dead"
        assert re.fullmatch(
            rf"gave up: its target was waited for, {str(LONG_AGO_MS // 1_000)[:3]}\d+ s long", str(error)
        ), error
    desk.client.hset(keys.state(events[6]), "1v", int(time.time() * 1_000) - LONG_AGO_MS)
    desk.end(probe, verdict="uncharged", delay_ms=60_000, target=TargetReport("busy", DAY_MS))
    assert desk.status(events[6])[0] == "dead"
    assert desk.unaccounted() == 0


def test_however_many_wait_for_a_target_they_give_up_together(desk: Desk) -> None:
    """A look ends some hundreds; the next follows at once while there are more, not when the target is tried next."""
    desk.rules = (RouteRule("announce", give_up_ms=15_000),)
    events = [event for _ in range(15) for event in desk.keep(200)]
    _find_down(desk)
    while desk.waits(events[-1]) != "target down":
        assert desk.claim() == ()
    with desk.client.pipeline(transaction=False) as pipeline:
        for event in events:
            pipeline.hset(keys.state(event), "1v", int(time.time() * 1_000) - 15_000)
        pipeline.execute()
    desk.client.hset(keys.gate("announce"), "next", int(time.time() * 1_000) + 300_000)
    desk.client.zadd(keys.GATES, {"announce": 0})

    looks = 0
    while desk.client.zcard(keys.waiting("announce")):
        assert (looks := looks + 1) <= 3_000 // 256
        claimed = desk.queue.claim("ann", ["default"], 100, desk.rules)
        assert claimed is not None
        assert claimed.claims == ()

    assert {desk.status(event)[0] for event in events} == {"dead"}
    assert desk.unaccounted() == 0


def test_a_paused_route_is_counted_behind_however_many_other_gates(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its gate stands last in the list of them, which is not read to its end."""
    gates = Gates(desk.client)
    gates.pause("announce", "ann")
    desk.keep(3)
    desk.claim()
    monkeypatch.setattr("receiver.storage.queue.flow_control._MOST", 1)
    desk.client.zadd(keys.GATES, {"mirror/somebody": 1})

    assert gates.standing()["announce"].waiting == 3


def test_a_stock_worker_finds_gates_shut_too(desk: Desk) -> None:
    """The job that it took ends; its delivery waits under another one, which is there when the gate opens."""
    gates = Gates(desk.client)
    (event,) = desk.keep(1)
    gates.pause("announce", "ann")
    desk.client.delete("rq:queue:default")

    assert desk.queue.take("stock:1", f"{event}-1-1", LEASE_MS) is None
    desk.client.delete(f"rq:job:{event}-1-1")  # as RQ does when the function has returned

    assert (desk.waits(event), desk.unaccounted()) == ("pause", 0)
    gates.resume("announce")
    (claim,) = desk.claim()
    assert claim.job == f"{event}-1-2"
    rules = (RouteRule("announce", concurrency=1),)
    (second,) = desk.keep(1)
    assert desk.queue.take("stock:2", f"{second}-1-1", LEASE_MS, rules) is not None
