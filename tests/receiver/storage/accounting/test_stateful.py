"""Any sequence of what can happen to events, against a plain model of what must be true after each step.

Keep, claim, acknowledge, recover, replay, release, expire, erase, lose and repair, in any order, on a real server.
After each step both formulas of promise 3 hold, with the model's own numbers; every delivery in flight is in exactly
one place; and an audit that believes no seal finds nothing.
"""

import os
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from receiver.nexudus.actions import CODES
from receiver.operations.erasure import Erasure
from receiver.operations.release import Release
from receiver.operations.replay import Replay
from receiver.routing import file
from receiver.storage.accounting.audit import Audit
from receiver.storage.accounting.retention import Retention
from receiver.storage.query.event_reader import EventReader
from receiver.storage.queue.queue import Claim, DeliveryQueue, Verdict
from receiver.storage.redis import keys, rq_keys
from tests.support.deliveries import LEASE_MS, acknowledge
from tests.support.events import DAY_MS, entry, half_keep, keep_all

LONG = bool(os.environ.get("TESTS_LONG"))
QUEUES = ("default", rq_keys.ISOLATED)
ROUTES = ("a", "b", "c")
POISON = 3
START = 1_700_000_000.0
ENDS: dict[Verdict, str] = {"succeeded": "s", "dead": "d", "discarded": "c"}
NAMES = {"s": "succeeded", "d": "dead", "c": "discarded"}

ALL_ROUTES = file.parse(
    "routes: [" + ",".join(f"{{name: {name}, action: '*', handler: log}}" for name in ROUTES) + "]",
    file="routes.yaml",
    known_actions=CODES,
)
"""Today's table wants everything, whatever the table that routed an event wanted."""


@dataclass
class Delivery:
    """What the model knows of a delivery: `q`ueued, `w`aiting, running (`x`), or how it ended."""

    route: str
    state: str = "q"
    claim: Claim | None = None
    worker: str = ""
    is_alone: bool = False
    deaths_alone: int = 0


@dataclass
class Kept:
    """What the model knows of an event."""

    id: str
    body: bytes
    kind: Literal["routed", "unrouted", "quarantined"]
    deliveries: list[Delivery] = field(default_factory=list)
    is_erased: bool = False

    @property
    def is_over(self) -> bool:
        """Whether all its deliveries have ended."""
        return all(one.state in NAMES for one in self.deliveries)

    @property
    def is_standing(self) -> bool:
        """Whether it is kept for the longer time."""
        return self.kind != "routed" or any(one.state == "d" for one in self.deliveries)


class Conservation(RuleBasedStateMachine):
    """The machine; made for one empty server."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__()
        self.client = client
        client.flushall()
        self.archive = EventReader(client)
        self.queue = DeliveryQueue(client)
        self.events: dict[str, Kept] = {}
        self.counts: Counter[str] = Counter()
        self.workers = 0
        self.made = 0

    # -- the rules ----------------------------------------------------------------------------------------------------

    @rule(
        routes=st.integers(0, 3),
        hours=st.integers(0, 2),
        set_aside=st.booleans(),
        twice=st.booleans(),
        fails=st.booleans(),
    )
    def keep(self, routes: int, hours: int, set_aside: bool, twice: bool, fails: bool) -> None:
        """An event of one of three hours, perhaps sent again under its own id, or after a call that failed."""
        self.made += 1
        body = b'{"Id":%d,"CoworkerId":%d}' % (self.made, self.made % 5)
        one = entry(
            body,
            routes=ROUTES[:routes],
            at=START + 3_600 * hours + self.made * 0.01,
            entity=f"Booking:{self.made % 3}",
            quarantine="?" if set_aside else None,
        )
        if fails:
            half_keep(self.client, one)
        for _ in range(1 + twice):
            (receipt,) = keep_all(self.client, one)
            assert receipt is not None
            assert (receipt.id, receipt.status) == (one.envelope.id, "quarantined" if set_aside else "accepted")
        event = Kept(one.envelope.id, body, "quarantined" if set_aside else "routed" if routes else "unrouted")
        if not set_aside:
            event.deliveries = [Delivery(route) for route in ROUTES[:routes]]
        self.events[event.id] = event
        self.counts["accepted"] += 1
        self.counts["created"] += len(event.deliveries)

    @precondition(lambda self: any(event.kind != "quarantined" for event in self.events.values()))
    @rule(data=st.data())
    def keep_a_duplicate(self, data: st.DataObject) -> None:
        """The same record arrives under another id."""
        first = data.draw(st.sampled_from([one for one in self.events.values() if one.kind != "quarantined"]))
        again = entry(first.body, at=self.archive.get(first.id).envelope.received_ms / 1_000 + 1)

        (receipt,) = keep_all(self.client, again)

        assert receipt is not None
        if receipt.status == "duplicate":
            self.counts["duplicates"] += 1
        else:  # a released request is known by another fingerprint than that of the tests
            self.events[again.envelope.id] = Kept(again.envelope.id, first.body, "routed", [Delivery("announce")])
            self.counts["accepted"] += 1
            self.counts["created"] += 1

    @rule(most=st.integers(1, 4))
    def claim(self, most: int) -> None:
        """A worker of its own claims some."""
        self.workers += 1
        worker = f"worker-{self.workers}"
        self.queue.begin_lease(worker, LEASE_MS)
        claimed = self.queue.claim(worker, QUEUES, most)
        assert claimed is not None
        for claim in claimed.claims:
            delivery = self._delivery(claim.delivery_id)
            assert delivery.state == "q"
            assert claim.route == delivery.route
            delivery.state, delivery.claim, delivery.worker = "x", claim, worker

    @precondition(lambda self: self._in_state("x"))
    @rule(
        data=st.data(),
        verdict=st.sampled_from(["succeeded", "discarded", "dead", "retry", "uncharged", "give_back"]),
        delay_ms=st.sampled_from([0, DAY_MS]),
        twice=st.booleans(),
    )
    def acknowledge(self, data: st.DataObject, verdict: Verdict, delay_ms: int, twice: bool) -> None:
        """An attempt ends; perhaps it is said twice, perhaps by somebody whom it does not belong to."""
        delivery = data.draw(st.sampled_from(self._in_state("x")))
        claim = delivery.claim
        assert claim is not None
        assert acknowledge(self.client, claim, verdict=verdict, worker="stranger") == (claim.job,)
        assert acknowledge(self.client, claim, verdict=verdict, worker=delivery.worker, delay_ms=delay_ms) == ()
        if twice:
            assert acknowledge(self.client, claim, verdict=verdict, worker=delivery.worker) == (claim.job,)
        delivery.state = ENDS.get(verdict, "w" if delay_ms and verdict != "give_back" else "q")
        if verdict in ("retry", "uncharged"):
            delivery.is_alone = False

    @precondition(lambda self: self._in_state("w"))
    @rule()
    def time_passes(self) -> None:
        """Whatever waits is due; a claim of none makes it so."""
        for queue in QUEUES:
            for job in self._waiting(queue):
                self.client.zadd(f"rq:scheduled:{queue}", {job: 0})
        self.queue.begin_lease("clock", LEASE_MS)
        self.queue.claim("clock", QUEUES, 0)
        for delivery in self._in_state("w"):
            delivery.state = "q"

    @precondition(lambda self: self._in_state("x"))
    @rule(data=st.data())
    def a_worker_dies(self, data: st.DataObject) -> None:
        """Some of what it held was running."""
        worker = data.draw(st.sampled_from(sorted({one.worker for one in self._in_state("x")})))
        held = [one for one in self._in_state("x") if one.worker == worker]
        ran = data.draw(st.lists(st.sampled_from(range(len(held))), unique=True))
        jobs = {one.claim.job: 0 for at, one in enumerate(held) if at in ran and one.claim}

        recovered = self.queue.recover(worker, jobs)

        assert recovered is not None
        assert not recovered.more
        for at, delivery in enumerate(held):
            delivery.state = "q"
            if at not in ran:
                continue
            delivery.deaths_alone += delivery.is_alone
            if delivery.deaths_alone >= POISON:
                delivery.state = "d"
            delivery.is_alone = True

    @precondition(lambda self: self.events)
    @rule(data=st.data(), only_dead=st.booleans())
    def replay(self, data: st.DataObject, only_dead: bool) -> None:
        """By today's table: a route that is still busy is left alone, a dead delivery makes way for its successor."""
        event = self.events[data.draw(st.sampled_from(sorted(self.events)))]
        result = Replay(self.client, ALL_ROUTES, only_dead=only_dead).run(self.archive.get(event.id))
        if event.kind == "quarantined" or event.is_erased:
            assert result.deliveries == ()
            return
        made = 0
        for route in ROUTES:
            last = next((one for one in reversed(event.deliveries) if one.route == route), None)
            wanted = last.state == "d" if last and only_dead else not only_dead
            if (last and last.state not in NAMES) or not wanted:
                continue
            if last and last.state == "d":
                last.state = "c"
            event.deliveries.append(Delivery(route))
            made += 1
        assert len(result.deliveries) == made
        self.counts["created"] += made
        if made:
            event.kind = "routed"

    @precondition(lambda self: any(event.kind == "quarantined" for event in self.events.values()))
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """A request that was set aside becomes an event under its id."""
        waiting = [one for one in self.events.values() if one.kind == "quarantined"]
        event = data.draw(st.sampled_from(waiting))
        result = Release(self.client, ALL_ROUTES, (), dedup_window_ms=DAY_MS).run(self.archive.get(event.id))
        assert result.events == (() if event.is_erased else (event.id,))
        if not event.is_erased:
            event.kind = "routed"
            event.deliveries = [Delivery(route) for route in ROUTES]
            self.counts["created"] += len(ROUTES)

    @rule(spares_standing=st.booleans(), pages=st.integers(1, 3))
    def expire(self, spares_standing: bool, pages: int) -> None:
        """The time of all that has ended is over, or of all but the standing, in turns that may be cut off."""
        kept_ms = 100_000 * DAY_MS if spares_standing else 0
        expired = 0
        for most in (pages, pages, 1_000):
            expired += Retention(self.client, 0, kept_ms).turn(most).events
            self.everything_is_accounted_for(expired_meanwhile=True)
        gone = [one for one in self.events.values() if one.is_over and not (spares_standing and one.is_standing)]
        assert expired == len(gone)
        for event in gone:
            del self.events[event.id]
            self.counts["expired"] += 1
            self.counts["d_expired"] += len(event.deliveries)

    @precondition(lambda self: self.events)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        """One event's record is cleared and its deliveries are cancelled; what runs finds itself stale."""
        event = self.events[data.draw(st.sampled_from(sorted(self.events)))]
        erased = Erasure(self.client).erase([event.id])
        in_flight = [one for one in event.deliveries if one.state not in NAMES]
        assert (erased.events, erased.cancelled) == ((event.id,), len(in_flight))
        for delivery in in_flight:
            if delivery.state == "x" and delivery.claim:
                assert acknowledge(self.client, delivery.claim, worker=delivery.worker) == (delivery.claim.job,)
            delivery.state = "c"
        event.is_erased = True

    @precondition(lambda self: self._in_state("q", "w", "x"))
    @rule(data=st.data())
    def lose_and_repair(self, data: st.DataObject) -> None:
        """A job vanishes: the audit names its event and no other, and repair gives the delivery a new one."""
        delivery = data.draw(st.sampled_from(self._in_state("q", "w", "x")))
        event = next(one for one in self.events.values() if any(found is delivery for found in one.deliveries))
        number = event.deliveries.index(delivery) + 1 if delivery.state == "x" else self._number(event, delivery)
        job = f"{event.id}-{number}-{int(self.client.hget(keys.state(event.id), f'{number}j') or 1)}"
        for queue in QUEUES:
            self.client.lrem(rq_keys.queue(queue), 0, job)
            self.client.zrem(f"rq:scheduled:{queue}", job)
        for held in self.client.scan_iter(keys.held("*")):
            self.client.srem(held, job)

        broken = Audit(self.client).run()
        repaired = Audit(self.client).run(repair=True)

        assert (broken.unaccounted, broken.offenders) == (1, (event.id,))
        assert (repaired.unaccounted, repaired.repaired) == (0, 1)
        if delivery.state == "x":
            delivery.state = "q"

    # -- what must be true --------------------------------------------------------------------------------------------

    @invariant()
    def everything_is_accounted_for(self, *, expired_meanwhile: bool = False) -> None:
        """The audit finds nothing, with the model's own numbers."""
        report = Audit(self.client).run(full=True)
        assert (report.unaccounted, report.offenders) == (0, ())
        assert report.events["accepted"] == sum(report.events.values()) - report.events["accepted"]
        assert report.deliveries["created"] == sum(report.deliveries.values()) - report.deliveries["created"]
        if expired_meanwhile:
            return
        kinds = Counter(event.kind for event in self.events.values())
        states = Counter(one.state for event in self.events.values() for one in event.deliveries)
        assert report.events == {
            "accepted": self.counts["accepted"],
            "unrouted": kinds["unrouted"],
            "quarantined": kinds["quarantined"],
            "routed": kinds["routed"],
            "expired": self.counts["expired"],
        }
        assert report.deliveries == {
            "created": self.counts["created"],
            **{name: states[letter] for letter, name in NAMES.items()},
            "in_flight": states["q"] + states["w"] + states["x"],
            "expired": self.counts["d_expired"],
        }
        assert report.duplicates == self.counts["duplicates"]

    @invariant()
    def every_delivery_is_in_one_place(self) -> None:
        """In a queue once, or waiting once, or in one worker's hands; and nowhere when it has ended."""
        queued = Counter(job for queue in QUEUES for job in self.client.lrange(rq_keys.queue(queue), 0, -1))
        waiting = Counter(job for queue in QUEUES for job in self.client.zrange(f"rq:scheduled:{queue}", 0, -1))
        held = Counter(job for key in self.client.scan_iter(keys.held("*")) for job in self.client.smembers(key))
        jobs = {key.removeprefix(b"rq:job:") for key in self.client.scan_iter("rq:job:*")}
        for event in self.events.values():
            state = self.client.hgetall(keys.state(event.id))
            for number, delivery in enumerate(event.deliveries, 1):
                job = b"%b-%d-%d" % (event.id.encode(), number, int(state.get(b"%dj" % number, 1)))
                expected = {"q": (1, 0, 0), "w": (0, 1, 0), "x": (0, 0, 1)}.get(delivery.state, (0, 0, 0))
                places = (queued[job], waiting[job], held[job])
                # What was erased while it was queued stands there, stale, until somebody takes it.
                is_stale = delivery.state == "c" and event.is_erased and places == (1, 0, 0)
                assert places == expected or is_stale
                assert (job in jobs) == (delivery.state in ("q", "w", "x"))
                assert state[b"%ds" % number] == delivery.state.encode()

    def teardown(self) -> None:
        """At last everything that can still run is run to its end, once."""
        if self._in_state("w"):
            self.time_passes()
        while any(self.client.llen(rq_keys.queue(queue)) for queue in QUEUES):
            self.claim(4)
        for delivery in self._in_state("x"):
            assert delivery.claim is not None
            assert acknowledge(self.client, delivery.claim, worker=delivery.worker) == ()
            delivery.state = "s"
        assert self._in_state("q", "w", "x") == []
        self.everything_is_accounted_for()
        assert self.client.keys("rq:job:*") + self.client.keys("rq:wip:*") == []

    # -- the model ----------------------------------------------------------------------------------------------------

    def _delivery(self, delivery_id: str) -> Delivery:
        event_id, _, number = delivery_id.rpartition("-")
        return self.events[event_id].deliveries[int(number) - 1]

    def _in_state(self, *states: str) -> list[Delivery]:
        return [one for event in self.events.values() for one in event.deliveries if one.state in states]

    def _waiting(self, queue: str) -> list[str]:
        return [job.decode() for job in self.client.zrange(f"rq:scheduled:{queue}", 0, -1) if isinstance(job, bytes)]

    def _number(self, event: Kept, delivery: Delivery) -> int:
        return next(number for number, one in enumerate(event.deliveries, 1) if one is delivery)


@pytest.mark.timeout(900)
def test_nothing_is_lost_whatever_happens(client: redis.Redis) -> None:
    """Many random histories; TESTS_LONG makes them more and longer."""

    class OnThisServer(Conservation):
        def __init__(self) -> None:
            super().__init__(client)

    many, long = (100, 60) if LONG else (20, 25)
    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=many, stateful_step_count=long, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
