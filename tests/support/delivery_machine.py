"""What the stateful tests of deliveries share: what can happen to any delivery, and what holds whatever happens.

A subclass keeps, claims, acknowledges and replays by its own model; here are deaths, erasures, pauses, passing time,
losses with their repair, the audit, and the end: once nothing stands in the way, everything can be run to its end.
"""

import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from receiver.operations.erasure import Erasure
from receiver.storage.accounting.audit import Audit
from receiver.storage.queue.flow_control import Gates
from receiver.storage.queue.queue import Acknowledgement, Claim, DeliveryQueue, Verdict
from receiver.storage.redis import keys, rq_keys
from receiver.storage.redis.store_client import StoreClient
from tests.support.deliveries import LEASE_MS

QUEUES = ("default", rq_keys.ISOLATED)
FINAL = ("succeeded", "dead", "discarded")
START = 1_700_000_000.0


@dataclass
class Known:
    """What a model knows of a delivery. *state*: `waits`, `runs`, or how it ended."""

    id: str
    state: str = field(default="waits", kw_only=True)
    claim: Claim | None = field(default=None, kw_only=True)
    worker: str = field(default="", kw_only=True)

    @property
    def event(self) -> str:
        """The id of its event."""
        return self.id[:20]


K = TypeVar("K", bound=Known)


class DeliveryMachine(RuleBasedStateMachine, Generic[K]):
    """The machine; made for one empty server. *routes*: those that are paused and whose limits count."""

    routes: ClassVar[tuple[str, ...]]

    def __init__(self, client: redis.Redis) -> None:
        super().__init__()
        self.client: Any = client
        client.flushall()
        self.queue = DeliveryQueue(client)
        self.gates = Gates(client)
        self.calls = StoreClient(client, "replay")
        self.all: dict[str, K] = {}
        self.turn = 0

    # -- the rules of every machine -----------------------------------------------------------------------------------

    @precondition(lambda self: self.running())
    @rule(data=st.data(), ran=st.booleans())
    def a_worker_dies(self, data: st.DataObject, *, ran: bool) -> None:
        """With all it held; it was running all of it, or none."""
        worker = data.draw(st.sampled_from(sorted({one.worker for one in self.running()})))
        held = [one for one in self.running() if one.worker == worker]
        recovered = self.queue.recover(worker, {one.claim.job: 0 for one in held if one.claim} if ran else {})
        assert recovered is not None
        assert not recovered.more
        for one in held:
            one.state = "dead" if one.claim and one.claim.job in recovered.poisoned else "waits"
            self.came_back(one)
        self.settle()

    @precondition(lambda self: self.all)
    @rule(data=st.data())
    def erase(self, data: st.DataObject) -> None:
        """A delivery is cancelled wherever it is."""
        event = self.all[data.draw(st.sampled_from(sorted(self.all)))].event
        Erasure(self.client).erase([event])
        for other in self.all.values():
            if other.event == event and other.state not in FINAL:
                other.state = "discarded"
        self.settle()

    @rule(data=st.data(), verb=st.sampled_from(["pause", "resume"]))
    def pause(self, data: st.DataObject, verb: str) -> None:
        """Somebody pauses a route, or resumes it, also twice."""
        route = data.draw(st.sampled_from(self.routes))
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
        for route in self.routes:
            self.client.delete(f"fd:l:{route}/")
            if self.client.hexists(keys.gate(route), "until"):
                self.client.hset(keys.gate(route), "until", 1)
            if self.client.hexists(keys.gate(route), "next"):
                self.client.hset(keys.gate(route), "next", 1)
        for gate, score in self.client.zrange(keys.GATES, 0, -1, withscores=True):
            if score != float("inf"):
                self.client.zadd(keys.GATES, {gate: 0})
        self.a_day_is_over()

    @precondition(lambda self: self.waiting())
    @rule(data=st.data())
    def lose_and_repair(self, data: st.DataObject) -> None:
        """What a delivery waits in vanishes: the audit names its event, and repair puts it back."""
        name = data.draw(st.sampled_from(sorted(one.id for one in self.waiting())))
        for key in self.client.scan_iter("fd:w:*"):
            self.client.zrem(key, name)
        for queue in QUEUES:
            for job in self.client.lrange(rq_keys.queue(queue), 0, -1):
                if job.decode().rpartition("-")[0] == name:
                    self.client.lrem(rq_keys.queue(queue), 0, job)
            for job in self.client.zrange(f"rq:scheduled:{queue}", 0, -1):
                if job.decode().rpartition("-")[0] == name:
                    self.client.zrem(f"rq:scheduled:{queue}", job)
        assert set(Audit(self.client).run().offenders) <= {name[:20]}
        assert Audit(self.client).run(repair=True).unaccounted == 0

    # -- what must be true --------------------------------------------------------------------------------------------

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
        assert report.events["unrouted"] == self.events_unrouted()

    def teardown(self) -> None:
        """Once nothing stands in the way, everything that waits is run to its end, and nothing is left of it."""
        for one in self.running():
            self.end(one, "succeeded")
        for route in self.routes:
            self.gates.resume(route)
        for _ in range(20 + 4 * len(self.all)):
            if all(one.state in FINAL for one in self.all.values()):
                break
            self.time_passes()
            self.claim(5)
            for one in self.running():
                self.end(one, "succeeded")
        assert {one.state for one in self.all.values()} <= set(FINAL)
        self.everything_is_accounted_for()
        self.time_passes()
        self.claim(1)
        assert {key.decode() for key in self.client.scan_iter("fd:[owr]:*")} == set()

    # -- what a subclass says -----------------------------------------------------------------------------------------

    def claim(self, most: int) -> None:
        """A worker of its own claims what it may; a rule of the subclass."""
        raise NotImplementedError

    def end(self, one: K, verdict: Verdict) -> None:
        """The attempt of a running delivery ends, to be run again at once if at all."""
        raise NotImplementedError

    def came_back(self, one: K) -> None:
        """A delivery came back from a dead worker."""

    def a_day_is_over(self) -> None:
        """Limits begin again."""

    def settle(self) -> None:
        """Something has ended or come back."""

    def events_unrouted(self) -> int:
        """How many events no route wanted."""
        return 0

    # -- the model ----------------------------------------------------------------------------------------------------

    def waiting(self) -> list[K]:
        """Those that wait."""
        return [one for one in self.all.values() if one.state == "waits"]

    def running(self) -> list[K]:
        """Those that run, by id."""
        return sorted((one for one in self.all.values() if one.state == "runs"), key=lambda one: one.id)

    def a_worker(self) -> str:
        """Begin the lease of one that nobody has seen before."""
        self.turn += 1
        worker = f"worker-{self.turn}"
        self.queue.begin_lease(worker, LEASE_MS)
        return worker

    def acknowledged(self, one: K, ended: Acknowledgement) -> None:
        """Acknowledge an attempt: by its worker and by nobody else, once and no more."""
        assert self.queue.acknowledge("stranger", [ended]) == (ended.job,)
        assert self.queue.acknowledge(one.worker, [ended]) == ()
        assert self.queue.acknowledge(one.worker, [ended]) == (ended.job,)


def run_histories(machine: Callable[[], RuleBasedStateMachine], *, many: int) -> None:
    """Run many random histories of 30 steps; TESTS_LONG makes them 100 of 80."""
    long = bool(os.environ.get("TESTS_LONG"))
    run_state_machine_as_test(
        machine,  # type: ignore[arg-type]  # any callable that makes one
        settings=settings(
            max_examples=100 if long else many,
            stateful_step_count=80 if long else 30,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
