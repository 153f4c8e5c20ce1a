"""Any sequence of what can happen to deliveries that wait for each other or for a gate, against a plain model.

Order, limits, concurrency, pauses and targets that are down, together, under kills, retries, replays and erasures, on a
real server. Whatever happens: of a key only one runs, and the first; no limit is passed; nothing is run twice or lost;
the audit finds nothing; and at the end, when nothing stands in the way any more, everything can be run to its end.
"""

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from receiver.operations.erasure import Erasure
from receiver.storage.accounting.audit import Audit
from receiver.storage.model.entries import terms
from receiver.storage.model.keep_script import rq_time
from receiver.storage.queue.flow_control import Gates
from receiver.storage.queue.queue import Acknowledgement, Attempt, Claim, DeliveryQueue, Verdict
from receiver.storage.queue.route_limits import Rule, Runnable, Target
from receiver.storage.redis import keys
from receiver.storage.redis.client import StoreClient
from tests.support.deliveries import LEASE_MS
from tests.support.events import DAY_MS, entry, half_keep, keep_all

LONG = bool(os.environ.get("FRONTDESK_TEST_LONG"))
QUEUES = ("default", keys.ISOLATED)
KEYS = ("x", "y")
LIMIT, CONCURRENCY = 3, 2
RULES = (
    Rule("limited", limit=LIMIT, period_ms=DAY_MS),
    Rule("narrow", concurrency=CONCURRENCY),
    Rule("both", limit=LIMIT, period_ms=DAY_MS, concurrency=1),
)
ROUTES = ("ordered", "limited", "narrow", "both", "plain")
ORDERED = ("ordered", "both")
FINAL = ("succeeded", "dead", "discarded")
START = 1_700_000_000.0


@dataclass
class One:
    """What the model knows of a delivery. *asked*: its turn among those of its key."""

    id: str
    route: str
    key: str
    asked: tuple[int, str]
    state: str = "waits"
    claim: Claim | None = None
    worker: str = ""


class Flow(RuleBasedStateMachine):
    """The machine; made for one empty server."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__()
        self.client: Any = client
        client.flushall()
        self.queue = DeliveryQueue(client)
        self.gates = Gates(client)
        self.calls = StoreClient(client, "replay")
        self.all: dict[str, One] = {}
        self.began: Counter[str] = Counter()
        self.given_back: Counter[str] = Counter()  # with the place that they had: they begin once more in it
        self.were_down: set[str] = set()  # routes whose target was tried although a limit was reached
        self.heads: dict[tuple[str, str], One] = {}
        self.turn = 0

    # -- the rules ----------------------------------------------------------------------------------------------------

    @rule(
        route=st.sampled_from(ROUTES),
        key=st.sampled_from(KEYS),
        number=st.integers(1, 4),
        delay=st.booleans(),
        late_s=st.sampled_from([0, 0, 50]),
        fails=st.booleans(),
    )
    def keep(self, route: str, key: str, number: int, delay: bool, late_s: int, fails: bool) -> None:
        """A few events, perhaps some that waited in a spool, older than what is here, or whose first call failed."""
        lane = key if route in ORDERED else ""
        written = terms(lane, "", DAY_MS if delay and route == "plain" else 0)
        for _ in range(number):
            self.turn += 1
            at = START + self.turn - late_s
            one = entry(b'{"Id":%d}' % self.turn, routes=[route], at=at, terms=written)
            if fails:
                half_keep(self.client, one)
            keep_all(self.client, one)
            found = One(f"{one.envelope.id}-1", route, lane, (one.envelope.received_ms, one.envelope.id))
            self.all[found.id] = found
            self._settle()

    @rule(most=st.integers(1, 5), cannot=st.sets(st.sampled_from(ROUTES), max_size=2))
    def claim(self, most: int, cannot: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        """A worker of its own claims what it may. It does not know some of the routes."""
        self.turn += 1
        worker = f"worker-{self.turn}"
        self.queue.begin_lease(worker, LEASE_MS)
        rules = [one for one in RULES if one.route not in cannot]
        runnable = Runnable(tuple(cannot), tuple({*ROUTES} - cannot))
        claimed = self.queue.claim(worker, QUEUES, most, rules, runnable)
        assert claimed is not None
        paused = self.gates.paused()
        for claim in claimed.claims:
            one = self.all[claim.delivery_id]
            assert (one.state, one.route) == ("waits", claim.route)
            assert one.route not in cannot
            assert one.route not in paused
            assert not one.key or self.heads[one.route, one.key] is one
            one.state, one.claim, one.worker = "runs", claim, worker
            self.began[one.route] += 1

    @precondition(lambda self: self._running())
    @rule(
        data=st.data(),
        verdict=st.sampled_from(["succeeded", "discarded", "dead", "retry", "uncharged", "give_back", "unknown"]),
        later=st.booleans(),
        says=st.sampled_from(["", "", "down", "busy"]),
    )
    def acknowledge(self, data: st.DataObject, verdict: Verdict, later: bool, says: str) -> None:
        """An attempt ends somehow; perhaps it found its target down, or was asked to wait."""
        one = data.draw(st.sampled_from(self._running()))
        target = None
        if says == "down" and verdict in ("retry", "dead"):
            target = Target("down", DAY_MS)
        elif says == "busy" and verdict == "uncharged":
            target = Target("busy", DAY_MS)
        self._end(one, verdict, DAY_MS if later else 0, target)

    @precondition(lambda self: self._running())
    @rule(data=st.data(), ran=st.booleans())
    def a_worker_dies(self, data: st.DataObject, ran: bool) -> None:
        """With all it held; it was running all of it, or none."""
        worker = data.draw(st.sampled_from(sorted({one.worker for one in self._running()})))
        held = [one for one in self._running() if one.worker == worker]
        recovered = self.queue.recover(worker, {one.claim.job: 0 for one in held if one.claim} if ran else {})
        assert recovered is not None
        assert not recovered.more
        for one in held:
            is_dead = one.claim is not None and one.claim.job in recovered.poisoned
            one.state = "dead" if is_dead else "waits"
            self.given_back[one.route] += 1
        self._settle()

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        """A delivery is cancelled wherever it is."""
        one = self.all[data.draw(st.sampled_from(sorted(self.all)))]
        Erasure(self.client).erase([one.id.rpartition("-")[0]])
        for other in self.all.values():
            if other.id[:20] == one.id[:20] and other.state not in FINAL:
                other.state = "discarded"
        self._settle()

    @precondition(lambda self: any(one.state in FINAL for one in self.all.values()))
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """One that has ended is made anew, and joins the end of its key."""
        ended = sorted(one.id for one in self.all.values() if one.state in FINAL)
        one = self.all[data.draw(st.sampled_from(ended))]
        event = one.id[:20]
        made = self.calls.run("replay", rq_time(), event, "all", one.route, "default", 90, terms(one.key))
        for delivery in made:
            (of_event,) = [other for other in self.all.values() if other.id == one.id]
            name = delivery.decode()
            now = int(self.calls.now_ms())
            self.all[name] = One(name, of_event.route, of_event.key, (now, name))
            for other in self.all.values():
                if other.id[:20] == event and other.id != name and other.state == "dead":
                    other.state = "discarded"
            self._settle()

    @rule(route=st.sampled_from(ROUTES), verb=st.sampled_from(["pause", "resume"]))
    def pause(self, route: str, verb: str) -> None:
        """Somebody pauses a route, or lets it go again, also twice."""
        was = route in self.gates.paused()
        if verb == "pause":
            assert self.gates.pause(route, "ann") is not was
        else:
            assert self.gates.resume(route) is was

    @rule()
    def time_passes(self) -> None:
        """A day: what is scheduled is due, limits are free again, targets have been waited for."""
        for queue in QUEUES:
            for job in self.client.zrange(f"rq:scheduled:{queue}", 0, -1):
                self.client.zadd(f"rq:scheduled:{queue}", {job: 0})
        for route in ROUTES:
            self.client.delete(f"fd:l:{route}/")
            if self.client.hexists(keys.gate(route), "until"):
                self.client.hset(keys.gate(route), "until", 1)
            if self.client.hexists(keys.gate(route), "next"):
                self.client.hset(keys.gate(route), "next", 1)
        for gate, score in self.client.zrange(keys.GATES, 0, -1, withscores=True):
            if score != float("inf"):
                self.client.zadd(keys.GATES, {gate: 0})
        self.began.clear()

    @precondition(lambda self: any(one.state == "waits" for one in self.all.values()))
    @rule(data=st.data())
    def lose_and_repair(self, data: st.DataObject) -> None:
        """What a delivery waits in vanishes: the audit names its event, and repair puts it back."""
        waiting = sorted(one.id for one in self.all.values() if one.state == "waits")
        name = data.draw(st.sampled_from(waiting))
        for key in self.client.scan_iter("fd:w:*"):
            self.client.zrem(key, name)
        for queue in QUEUES:
            for job in self.client.lrange(keys.rq_queue(queue), 0, -1):
                if job.decode().rpartition("-")[0] == name:
                    self.client.lrem(keys.rq_queue(queue), 0, job)

        broken = Audit(self.client).run()
        assert set(broken.offenders) <= {name[:20]}
        assert Audit(self.client).run(repair=True).unaccounted == 0

    # -- what must be true --------------------------------------------------------------------------------------------

    @invariant()
    def no_limit_is_passed(self) -> None:
        """Neither of starts nor of places, but by what tries a target that is down."""
        running = Counter(one.route for one in self._running())
        for one in RULES:
            if one.route in self.were_down:
                continue
            if one.limit:
                assert self.began[one.route] <= one.limit + self.given_back[one.route]
            if one.concurrency:
                assert running[one.route] <= one.concurrency

    @invariant()
    def everything_is_accounted_for(self) -> None:
        """With the model's own numbers, and nobody who waits is forgotten."""
        report = Audit(self.client).run(full=True)
        assert (report.unaccounted, report.offenders) == (0, ())
        states = Counter(one.state for one in self.all.values())
        assert report.deliveries == {
            "created": len(self.all),
            **{name: states[name] for name in FINAL},
            "in_flight": states["waits"] + states["runs"],
            "expired": 0,
        }

    def teardown(self) -> None:
        """Once nothing stands in the way, everything that waits is run to its end, and nothing is left of it."""
        for one in self._running():
            self._end(one, "succeeded", 0, None)
        for route in ROUTES:
            self.gates.resume(route)
        for _ in range(20 + 4 * len(self.all)):
            if all(one.state in FINAL for one in self.all.values()):
                break
            self.time_passes()
            self.claim(5)
            for one in self._running():
                self._end(one, "succeeded", 0, None)
        assert {one.state for one in self.all.values()} <= set(FINAL)
        self.everything_is_accounted_for()
        self.time_passes()
        self.claim(1)
        left = {key.decode() for key in self.client.scan_iter("fd:[owr]:*")}
        assert left == set()

    # -- the model ----------------------------------------------------------------------------------------------------

    def _running(self) -> list[One]:
        return sorted((one for one in self.all.values() if one.state == "runs"), key=lambda one: one.id)

    def _settle(self) -> None:
        """Who leads each key: whoever leads it already, else the first of those that were asked for."""
        for one in self.all.values():
            key = (one.route, one.key)
            if one.key and (key not in self.heads or self.heads[key].state in FINAL):
                left = [o for o in self.all.values() if (o.route, o.key) == key and o.state not in FINAL]
                if left:
                    self.heads[key] = min(left, key=lambda o: o.asked)

    def _end(self, one: One, verdict: Verdict, delay_ms: int, target: Target | None) -> None:
        claim = one.claim
        assert claim is not None
        attempt = Attempt(claim.attempts + 1, "succeeded" if verdict == "succeeded" else "failed", 1, 2, one.worker)
        ended = Acknowledgement(claim.job, verdict, delay_ms, 30_000, attempt, target)
        assert self.queue.acknowledge("stranger", [ended]) == (claim.job,)
        assert self.queue.acknowledge(one.worker, [ended]) == ()
        assert self.queue.acknowledge(one.worker, [ended]) == (claim.job,)
        state = self.client.hget(keys.state(one.id[:20]), f"{one.id.rpartition('-')[2]}s")
        waits = {"retry", "uncharged", "give_back", "unknown"}
        if verdict in waits or (target and state == b"h"):
            assert state in (b"q", b"w", b"h")
            one.state = "waits"
        else:
            one.state = verdict
        if target and target.says == "down" and self.client.hexists(keys.gate(one.route), "open"):
            self.were_down.add(one.route)
        self.given_back[one.route] += verdict in ("give_back", "unknown")
        self._settle()


@pytest.mark.timeout(900)
def test_whatever_waits_goes_on_in_its_turn(client: redis.Redis) -> None:
    """Many random histories; FRONTDESK_TEST_LONG makes them more and longer."""

    class OnThisServer(Flow):
        def __init__(self) -> None:
            super().__init__(client)

    many, long = (100, 80) if LONG else (12, 30)
    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=many, stateful_step_count=long, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
