"""Any sequence of what can happen to deliveries that wait for a time, against a plain model.

Moved, called off, out of order, replayed, erased, put off, paused, limited, under kills and retries, on a real server.
Whatever happens: of an entity at most one waits, and it is the newest; nothing older than the last word is run; nothing
is run twice or lost; the audit finds nothing; and at the end everything can be run to its end.
"""

from dataclasses import dataclass
from typing import Literal

import pytest
import redis
from hypothesis import strategies as st
from hypothesis.stateful import invariant, precondition, rule

from receiver.storage.model.entries import timed_terms
from receiver.storage.model.keep_script import rq_time
from receiver.storage.queue.queue import Acknowledgement, Attempt, Verdict
from receiver.storage.queue.route_limits import RouteRule
from tests.support.delivery_machine import FINAL, QUEUES, START, DeliveryMachine, Known, run_histories
from tests.support.events import DAY_MS, entry, half_keep, keep_all

KEYS = ("x", "y", "z")
RULES = (RouteRule("narrow", concurrency=1), RouteRule("limited", limit=3, period_ms=DAY_MS))
ROUTES = ("narrow", "limited", "plain")
PAST, LATER = (1_600_000_000_000, 1_600_000_000_001), (4_000_000_000_000, 4_000_000_000_001)
Ending = Literal["", "action", "where", "no time"]


@dataclass
class One(Known):
    """A delivery. *lane*: its route and entity."""

    lane: tuple[str, str]
    updated: int
    ending: Ending
    due: int


@dataclass
class Word:
    """What was said last of an entity."""

    updated: int
    event: str
    ending: Ending
    due: int
    planned: One | None


class Timed(DeliveryMachine[One]):
    """Deliveries that wait for a time, and what calls them off."""

    routes = ROUTES

    def __init__(self, client: redis.Redis) -> None:
        super().__init__(client)
        self.words: dict[tuple[str, str], Word] = {}
        self.unrouted = 0

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
        fails = fails and ending == "" and not self.waiting_in((route, key))  # what ends others counts them, later
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
        worker = self.a_worker()
        claimed = self.queue.claim(worker, QUEUES, most, RULES)
        assert claimed is not None
        for claim in claimed.claims:
            one = self.all[claim.delivery_id]
            assert one.state == "waits"
            assert one.lane[0] not in self.gates.paused()
            assert [other for other in self._of(one.lane) if other.state == "runs"] == []
            one.state, one.claim, one.worker = "runs", claim, worker

    @precondition(lambda self: self.running())
    @rule(
        data=st.data(),
        verdict=st.sampled_from(
            ["succeeded", "succeeded", "discarded", "dead", "retry", "uncharged", "give_back", "put_off"]
        ),
        later=st.booleans(),
    )
    def acknowledge(self, data: st.DataObject, verdict: Verdict, *, later: bool) -> None:
        """An attempt ends somehow, or does not begin because its time is later now."""
        one = data.draw(st.sampled_from(self.running()))
        self.end(one, verdict, DAY_MS if later else 0)

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

    # -- what must be true --------------------------------------------------------------------------------------------

    @invariant()
    def one_waits_for_each_entity(self) -> None:
        """At most, but for one that was given back; at most one runs beside it."""
        for lane in self.words:
            assert len([one for one in self.waiting_in(lane) if one.claim is None]) <= 1
            assert len([one for one in self._of(lane) if one.state == "runs"]) <= 1

    def events_unrouted(self) -> int:
        """Those that were to call something off, and found nothing."""
        return self.unrouted

    def teardown(self) -> None:
        """What was said of entities is forgotten some time."""
        super().teardown()
        assert all(self.client.pttl(key) > 0 for key in self.client.scan_iter("fd:t:*"))

    # -- the model ----------------------------------------------------------------------------------------------------

    def _of(self, lane: tuple[str, str]) -> list[One]:
        return [one for one in self.all.values() if one.lane == lane]

    def waiting_in(self, lane: tuple[str, str]) -> list[One]:
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
        waiting = self.waiting_in(one.lane)
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

    def end(self, one: One, verdict: Verdict, delay_ms: int = 0) -> None:
        """One that a newer one follows is not run again."""
        claim = one.claim
        assert claim is not None
        attempt = Attempt(claim.attempts + 1, "succeeded" if verdict == "succeeded" else "failed", 1, 2, one.worker)
        ended = Acknowledgement(claim.job, verdict, delay_ms, 30_000, None if verdict == "put_off" else attempt)
        self.acknowledged(one, ended)
        if verdict in FINAL:
            one.state = verdict
        elif verdict in ("retry", "put_off", "uncharged") and self.waiting_in(one.lane):
            one.state = "discarded"  # a newer one follows it
        else:
            one.state = "waits"


@pytest.mark.timeout(900)
def test_whatever_waits_for_its_time_is_the_newest(client: redis.Redis) -> None:
    """Many random histories."""
    run_histories(lambda: Timed(client), many=15)
