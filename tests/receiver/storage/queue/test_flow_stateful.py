"""Any sequence of what can happen to deliveries that wait for each other or for a gate, against a plain model.

Order, limits, concurrency, pauses and targets that are down, together, under kills, retries, replays and erasures, on a
real server. Whatever happens: of a key only one runs, and the first; no limit is passed; nothing is run twice or lost;
the audit finds nothing; and at the end, when nothing stands in the way any more, everything can be run to its end.
"""

from collections import Counter
from dataclasses import dataclass

import pytest
import redis
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from receiver.storage.model.entries import terms
from receiver.storage.model.keep_script import rq_time
from receiver.storage.queue.queue import Acknowledgement, Attempt, Verdict
from receiver.storage.queue.route_limits import RouteRule, Runnable, TargetReport
from receiver.storage.redis import keys
from tests.support.delivery_machine import FINAL, QUEUES, START, DeliveryMachine, Known, run_histories
from tests.support.events import DAY_MS, entry, half_keep, keep_all

KEYS = ("x", "y")
LIMIT, CONCURRENCY = 3, 2
RULES = (
    RouteRule("limited", limit=LIMIT, period_ms=DAY_MS),
    RouteRule("narrow", concurrency=CONCURRENCY),
    RouteRule("both", limit=LIMIT, period_ms=DAY_MS, concurrency=1),
)
ROUTES = ("ordered", "limited", "narrow", "both", "plain")
ORDERED = ("ordered", "both")


@dataclass
class One(Known):
    """A delivery. *asked*: its turn among those of its key."""

    route: str
    key: str
    asked: tuple[int, str]


class Flow(DeliveryMachine[One]):
    """Orders, limits and targets."""

    routes = ROUTES

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self.began: Counter[str] = Counter()
        self.given_back: Counter[str] = Counter()  # with the place that they had: they begin once more in it
        self.were_down: set[str] = set()  # routes whose target was tried although a limit was reached
        self.heads: dict[tuple[str, str], One] = {}

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
            self.settle()

    @rule(most=st.integers(1, 5), cannot=st.sets(st.sampled_from(ROUTES), max_size=2))
    def claim(self, most: int, cannot: set[str] = frozenset()) -> None:  # type: ignore[assignment]
        """A worker of its own claims what it may. It does not know some of the routes."""
        worker = self.a_worker()
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

    @precondition(lambda self: self.running())
    @rule(
        data=st.data(),
        verdict=st.sampled_from(["succeeded", "discarded", "dead", "retry", "uncharged", "give_back", "unknown"]),
        later=st.booleans(),
        says=st.sampled_from(["", "", "down", "busy"]),
    )
    def acknowledge(self, data: st.DataObject, verdict: Verdict, later: bool, says: str) -> None:
        """An attempt ends somehow; perhaps it found its target down, or was asked to wait."""
        one = data.draw(st.sampled_from(self.running()))
        target = None
        if says == "down" and verdict in ("retry", "dead"):
            target = TargetReport("down", DAY_MS)
        elif says == "busy" and verdict == "uncharged":
            target = TargetReport("busy", DAY_MS)
        self.end(one, verdict, DAY_MS if later else 0, target)

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
            self.settle()

    # -- what must be true --------------------------------------------------------------------------------------------

    @invariant()
    def no_limit_is_passed(self) -> None:
        """Neither of starts nor of places, but by what tries a target that is down."""
        running = Counter(one.route for one in self.running())
        for one in RULES:
            if one.route in self.were_down:
                continue
            if one.limit:
                assert self.began[one.route] <= one.limit + self.given_back[one.route]
            if one.concurrency:
                assert running[one.route] <= one.concurrency

    # -- the model ----------------------------------------------------------------------------------------------------

    def came_back(self, one: One) -> None:
        """With its place: it begins once more in it."""
        self.given_back[one.route] += 1

    def a_day_is_over(self) -> None:
        """As many may begin again."""
        self.began.clear()

    def settle(self) -> None:
        """Who leads each key: whoever leads it already, else the first of those that were asked for."""
        for one in self.all.values():
            key = (one.route, one.key)
            if one.key and (key not in self.heads or self.heads[key].state in FINAL):
                left = [o for o in self.all.values() if (o.route, o.key) == key and o.state not in FINAL]
                if left:
                    self.heads[key] = min(left, key=lambda o: o.asked)

    def end(self, one: One, verdict: Verdict, delay_ms: int = 0, target: TargetReport | None = None) -> None:
        """Also at a target that is down, or asks to wait."""
        claim = one.claim
        assert claim is not None
        attempt = Attempt(claim.attempts + 1, "succeeded" if verdict == "succeeded" else "failed", 1, 2, one.worker)
        ended = Acknowledgement(claim.job, verdict, delay_ms, 30_000, attempt, target)
        self.acknowledged(one, ended)
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
        self.settle()


@pytest.mark.timeout(900)
def test_whatever_waits_goes_on_in_its_turn(client: redis.Redis) -> None:
    """Many random histories."""
    run_histories(lambda: Flow(client), many=12)
