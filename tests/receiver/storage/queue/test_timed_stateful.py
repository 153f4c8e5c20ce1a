"""Any sequence of what can happen to deliveries that wait for a time, against a plain model.

Moved, called off, out of order, replayed, erased, put off, paused, limited, under kills and retries, on a real server.
Whatever happens: of an entity at most one waits, and it is the newest; nothing older than the last word is run; nothing
is run twice or lost; the audit finds nothing; and at the end everything can be run to its end.
"""

import os
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal

import pytest
import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from receiver.operations.erasure import Erasure
from receiver.storage.accounting.audit import Audit
from receiver.storage.model.entries import timed_terms
from receiver.storage.model.keep_script import rq_time
from receiver.storage.queue.flow_control import Gates
from receiver.storage.queue.queue import Acknowledgement, Attempt, Claim, DeliveryQueue, Verdict
from receiver.storage.queue.route_limits import Rule
from receiver.storage.redis import keys
from receiver.storage.redis.client import StoreClient
from tests.support.deliveries import LEASE_MS
from tests.support.events import DAY_MS, entry, half_keep, keep_all

LONG = bool(os.environ.get("FRONTDESK_TEST_LONG"))
QUEUES = ("default", keys.ISOLATED)
KEYS = ("x", "y", "z")
RULES = (Rule("narrow", concurrency=1), Rule("limited", limit=3, period_ms=DAY_MS))
ROUTES = ("narrow", "limited", "plain")
FINAL = ("succeeded", "dead", "discarded")
START = 1_700_000_000.0
PAST, LATER = (1_600_000_000_000, 1_600_000_000_001), (4_000_000_000_000, 4_000_000_000_001)
Ending = Literal["", "action", "where", "no time"]


@dataclass
class One:
    """What the model knows of a delivery."""

    id: str
    lane: tuple[str, str]
    updated: int
    ending: Ending
    due: int
    state: str = "waits"
    claim: Claim | None = None
    worker: str = ""
    deaths: int = 0


@dataclass
class Word:
    """What was said last of an entity."""

    updated: int
    event: str
    ending: Ending
    due: int
    planned: One | None


class Timed(RuleBasedStateMachine):
    """The machine; made for one empty server."""

    def __init__(self, client: redis.Redis) -> None:
        super().__init__()
        self.client: Any = client
        client.flushall()
        self.queue = DeliveryQueue(client)
        self.gates = Gates(client)
        self.calls = StoreClient(client, "replay")
        self.all: dict[str, One] = {}
        self.words: dict[tuple[str, str], Word] = {}
        self.unrouted = 0
        self.turn = 0

    # -- the rules ----------------------------------------------------------------------------------------------------

    @rule(
        route=st.sampled_from(ROUTES),
        key=st.sampled_from(KEYS),
        updated=st.sampled_from([0, 0, 1, 2, 3]),
        due=st.sampled_from([*PAST, *LATER]),
        ending=st.sampled_from(["", "", "", "", "action", "where", "no time"]),
        late_s=st.sampled_from([0, 0, 0, 50]),
        fails=st.booleans(),
    )
    def keep(self, route: str, key: str, updated: int, due: int, ending: Ending, late_s: int, *, fails: bool) -> None:
        """An event of an entity; perhaps one that waited in a spool, or whose first call failed."""
        self.turn += 1
        fails = fails and ending == "" and not self._waiting((route, key))  # what ends others counts them, later
        written = timed_terms(key, "", 0 if ending else due, updated, ending, "Why")
        event = entry(b'{"Id":%d}' % self.turn, routes=[route], at=START + self.turn - late_s, terms=written)
        if fails:
            half_keep(self.client, event)
        keep_all(self.client, event)
        one = One(f"{event.envelope.id}-1", (route, key), updated, ending, due)
        self._place(one, is_asked=False)

    @rule(most=st.integers(1, 4))
    def claim(self, most: int) -> None:
        """A worker of its own claims what it may."""
        self.turn += 1
        worker = f"worker-{self.turn}"
        self.queue.begin_lease(worker, LEASE_MS)
        claimed = self.queue.claim(worker, QUEUES, most, RULES)
        assert claimed is not None
        for claim in claimed.claims:
            one = self.all[claim.delivery_id]
            assert one.state == "waits"
            assert one.lane[0] not in self.gates.paused()
            assert [other for other in self._of(one.lane) if other.state == "runs"] == []
            one.state, one.claim, one.worker = "runs", claim, worker

    @precondition(lambda self: self._running())
    @rule(
        data=st.data(),
        verdict=st.sampled_from(
            ["succeeded", "succeeded", "discarded", "dead", "retry", "uncharged", "give_back", "put_off"]
        ),
        later=st.booleans(),
    )
    def acknowledge(self, data: st.DataObject, verdict: Verdict, *, later: bool) -> None:
        """An attempt ends somehow, or does not begin because its time is later now."""
        one = data.draw(st.sampled_from(self._running()))
        self._end(one, verdict, DAY_MS if later else 0)

    @precondition(lambda self: self._running())
    @rule(data=st.data(), ran=st.booleans())
    def a_worker_dies(self, data: st.DataObject, *, ran: bool) -> None:
        """With all it held; it was running all of it, or none."""
        worker = data.draw(st.sampled_from(sorted({one.worker for one in self._running()})))
        held = [one for one in self._running() if one.worker == worker]
        recovered = self.queue.recover(worker, {one.claim.job: 0 for one in held if one.claim} if ran else {})
        assert recovered is not None
        for one in held:
            one.state = "dead" if one.claim and one.claim.job in recovered.poisoned else "waits"

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        """A delivery is cancelled wherever it is."""
        event = data.draw(st.sampled_from(sorted(self.all)))[:20]
        Erasure(self.client).erase([event])
        for other in self.all.values():
            if other.id[:20] == event and other.state not in FINAL:
                other.state = "discarded"

    @precondition(lambda self: any(one.state in FINAL for one in self.all.values()))
    @rule(data=st.data())
    def replay(self, data: st.DataObject) -> None:
        """One that has ended is made anew, if no newer event has spoken."""
        ended = sorted(one.id for one in self.all.values() if one.state in FINAL and one.ending != "where")
        if not ended:
            return
        one = self.all[data.draw(st.sampled_from(ended))]
        terms = timed_terms(one.lane[1], "", 0 if one.ending else one.due, one.updated, one.ending, "Why")
        for delivery in self.calls.run("replay", rq_time(), one.id[:20], "all", one.lane[0], "default", 90, terms):
            for other in self.all.values():
                if other.id[:20] == one.id[:20] and other.state == "dead":
                    other.state = "discarded"
            self._place(One(delivery.decode(), one.lane, one.updated, one.ending, one.due), is_asked=True)

    @rule(route=st.sampled_from(ROUTES), verb=st.sampled_from(["pause", "resume"]))
    def pause(self, route: str, verb: str) -> None:
        """Somebody pauses a route, or lets it go again."""
        if verb == "pause":
            self.gates.pause(route, "ann")
        else:
            self.gates.resume(route)

    @rule()
    def time_passes(self) -> None:
        """What is scheduled is due, and limits are free again."""
        for queue in QUEUES:
            for job in self.client.zrange(f"rq:scheduled:{queue}", 0, -1):
                self.client.zadd(f"rq:scheduled:{queue}", {job: 0})
        self.client.delete("fd:l:limited/")
        for gate, score in self.client.zrange(keys.GATES, 0, -1, withscores=True):
            if score != float("inf"):
                self.client.zadd(keys.GATES, {gate: 0})

    @precondition(lambda self: any(one.state == "waits" for one in self.all.values()))
    @rule(data=st.data())
    def lose_and_repair(self, data: st.DataObject) -> None:
        """Where a delivery waits it vanishes: the audit names its event, and repair puts it back."""
        name = data.draw(st.sampled_from(sorted(one.id for one in self.all.values() if one.state == "waits")))
        for key in self.client.scan_iter("fd:w:*"):
            self.client.zrem(key, name)
        for queue in QUEUES:
            for job in self.client.lrange(keys.rq_queue(queue), 0, -1):
                if job.decode().rpartition("-")[0] == name:
                    self.client.lrem(keys.rq_queue(queue), 0, job)
            for job in self.client.zrange(f"rq:scheduled:{queue}", 0, -1):
                if job.decode().rpartition("-")[0] == name:
                    self.client.zrem(f"rq:scheduled:{queue}", job)
        assert set(Audit(self.client).run().offenders) <= {name[:20]}
        assert Audit(self.client).run(repair=True).unaccounted == 0

    # -- what must be true --------------------------------------------------------------------------------------------

    @invariant()
    def one_waits_for_each_entity(self) -> None:
        """At most, but for one that was given back; at most one runs beside it."""
        for lane in self.words:
            assert len([one for one in self._waiting(lane) if one.claim is None]) <= 1
            assert len([one for one in self._of(lane) if one.state == "runs"]) <= 1

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
        assert report.events["unrouted"] == self.unrouted

    def teardown(self) -> None:
        """Once nothing stands in the way, everything that waits is run to its end, and nothing is left of it."""
        for one in self._running():
            self._end(one, "succeeded", 0)
        for route in ROUTES:
            self.gates.resume(route)
        for _ in range(20 + 4 * len(self.all)):
            if all(one.state in FINAL for one in self.all.values()):
                break
            self.time_passes()
            self.claim(5)
            for one in self._running():
                self._end(one, "succeeded", 0)
        assert {one.state for one in self.all.values()} <= set(FINAL)
        self.everything_is_accounted_for()
        self.time_passes()
        self.claim(1)
        assert {key.decode() for key in self.client.scan_iter("fd:[owr]:*")} == set()
        assert all(self.client.pttl(key) > 0 for key in self.client.scan_iter("fd:t:*"))

    # -- the model ----------------------------------------------------------------------------------------------------

    def _running(self) -> list[One]:
        return sorted((one for one in self.all.values() if one.state == "runs"), key=lambda one: one.id)

    def _of(self, lane: tuple[str, str]) -> list[One]:
        return [one for one in self.all.values() if one.lane == lane]

    def _waiting(self, lane: tuple[str, str]) -> list[One]:
        return [one for one in self._of(lane) if one.state == "waits"]

    def _is_older(self, one: One, word: Word) -> bool:
        event = one.id[:20]
        if event == word.event:
            return False
        if one.updated and word.updated:
            if one.updated != word.updated:
                return one.updated < word.updated
            if word.ending == "action" and one.ending != "action":
                return True
        return event < word.event

    def _place(self, one: One, *, is_asked: bool) -> None:
        """What becomes of a new delivery, and of those that it meets."""
        word, event = self.words.get(one.lane), one.id[:20]
        waiting = self._waiting(one.lane)
        is_older = word is not None and self._is_older(one, word)
        planned = word.planned if word else None
        if one.ending == "where" and (is_older or not waiting):
            self.unrouted += 1
            if not is_older:
                self.words[one.lane] = Word(one.updated, event, "where", word.due if word else 0, planned)
            return
        self.all[one.id] = one
        if is_older:
            one.state = "discarded"
            return
        if one.ending:
            self.words[one.lane] = Word(one.updated, event, one.ending, word.due if word else 0, planned)
        elif word and planned and not is_asked and word.due == one.due and planned.state == "succeeded":
            self.words[one.lane] = Word(one.updated, event, "", word.due, planned)
            one.state = "discarded"
            return
        else:
            self.words[one.lane] = Word(one.updated, event, "", one.due, one)
        for other in waiting:
            other.state = "discarded"
        if one.ending:
            one.state = "discarded"

    def _end(self, one: One, verdict: Verdict, delay_ms: int) -> None:
        claim = one.claim
        assert claim is not None
        attempt = Attempt(claim.attempts + 1, "succeeded" if verdict == "succeeded" else "failed", 1, 2, one.worker)
        ended = Acknowledgement(claim.job, verdict, delay_ms, 30_000, None if verdict == "put_off" else attempt)
        assert self.queue.acknowledge("stranger", [ended]) == (claim.job,)
        assert self.queue.acknowledge(one.worker, [ended]) == ()
        assert self.queue.acknowledge(one.worker, [ended]) == (claim.job,)
        if verdict in FINAL:
            one.state = verdict
        elif verdict in ("retry", "put_off", "uncharged") and self._waiting(one.lane):
            one.state = "discarded"  # a newer one follows it
        else:
            one.state = "waits"


@pytest.mark.timeout(900)
def test_whatever_waits_for_its_time_is_the_newest(client: redis.Redis) -> None:
    """Many random histories; FRONTDESK_TEST_LONG makes them more and longer."""

    class OnThisServer(Timed):
        def __init__(self) -> None:
            super().__init__(client)

    many, long = (100, 80) if LONG else (15, 30)
    run_state_machine_as_test(
        OnThisServer,
        settings=settings(
            max_examples=many, stateful_step_count=long, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )
