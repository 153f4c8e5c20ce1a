"""From an authentic request to kept events: verify, evaluate, route, keep. Nothing is answered before it is kept.

What cannot be verified or read is quarantined, not refused: after ten refusals Nexudus would disable the hook.

The requests that arrive in one turn of the event loop are taken in together: first all are verified, then all are
parsed, then all become entries. Each step alone fits into the processor's caches and all of them do not, so a batch of
sixteen costs each request a quarter less than sixteen requests one after another.
"""

import asyncio
import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.core.events import Envelope
from receiver.core.ids import IdGenerator
from receiver.ingest.delivery_plan import Table
from receiver.ingest.evaluation import Accepted, Policy, Quarantined, Refused, Request, evaluate, kept_headers
from receiver.ingest.hook_plan import HookPlan
from receiver.nexudus import actions, payload
from receiver.nexudus.verification import Verdict, Verifier
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.process import logs
from receiver.storage.model.entries import Entry, OnResult, Outcome, Receipt

_MOST_PLANS = 4_096
"""Hooks that are remembered; each has a right token, so nobody but the operator makes them."""

_NOT_JUDGED = Verdict()

_log = logs.get()

IngestResult = list[Receipt] | RequestRefused | StorageUnavailable
"""What became of a request: a receipt for each of its events, or why none can be given."""


class EventSink(Protocol):
    """Keeps events, and reports when one is safe, or that it is not certain to be."""

    def submit(self, entry: Entry, on_result: OnResult, context: Any = None) -> None: ...


class Ingest:
    """Takes requests in, for one event loop."""

    def __init__(
        self,
        sink: EventSink,
        table: Callable[[], Table | None],
        policy: Policy,
        metrics: IngestMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """*table* returns the routing table as it is now; None: there is none yet, and events are kept unrouted.

        *clock* returns Unix seconds: ids and times of arrival are by it.
        """
        self._sink = sink
        self._table = table
        self._policy = policy
        self._metrics = metrics
        self._clock = clock
        self._mint = IdGenerator()
        self._plans: dict[tuple[int, str], HookPlan] = {}
        self._planned_by: Table | None = None
        self._arrived: list[Arrival] = []
        self.verifier = Verifier(policy.secrets, policy.reading)

    def accept(self, request: Request, on_result: Callable[[IngestResult], None]) -> None:
        """Take a request in with the others of this turn of the event loop; see `take`."""
        if not self._arrived:
            asyncio.get_running_loop().call_soon(self._take_arrived)
        self._arrived.append(Arrival(request, on_result))

    def _take_arrived(self) -> None:
        arrived, self._arrived = self._arrived, []
        self.take(arrived)

    def take(self, arrived: Sequence["Arrival"]) -> None:
        """Have the events of requests kept, and call the *on_result* of each once with what became of them.

        That is one receipt for each record, or one for the whole request when it is quarantined; RequestRefused (401)
        for a bad signature under `reject`; or the error of the sink when an event is not certain to be kept.
        """
        for step in (self._verify, self._evaluate, self._make_entries):
            for one in arrived:
                try:
                    step(one)
                except Exception as fault:  # noqa: BLE001 - our fault must not refuse what Nexudus will not send again
                    one.evaluated, one.entries = _failed(one.request, fault), ()
        for one in arrived:
            try:
                self._keep(one)
            except Exception as fault:  # noqa: BLE001 - the others of this turn are answered all the same
                _log.error("request.failed", action=one.request.action, error=type(fault).__name__)
                one.on_result(RequestRefused(500, type(fault).__name__))

    def _keep(self, one: "Arrival") -> None:
        evaluated, entries, on_result = one.evaluated, one.entries, one.on_result
        if isinstance(evaluated, Refused):
            on_result(RequestRefused(401, evaluated.reason))
            return
        if isinstance(evaluated, Quarantined):
            entries = [self._quarantined(one.request, one.verdict.reading, evaluated)]
        if len(entries) == 1:  # nearly always
            self._sink.submit(entries[0], self._answer, on_result)
        elif entries:
            together = _Together(entries, self._metrics, on_result)
            for entry in entries:
                self._sink.submit(entry, together.on_result)
        else:
            on_result([])

    def _answer(
        self,
        entry: Entry,
        outcome: Outcome,
        on_result: Callable[[IngestResult], None],
    ) -> None:
        if isinstance(outcome, Receipt):
            self._metrics.event(outcome.status, entry.envelope.action)
            on_result([outcome])
        else:
            on_result(outcome)

    def _plan(self, business_id: int, action: str) -> HookPlan:
        table = self._table()
        if table is not self._planned_by or len(self._plans) >= _MOST_PLANS:
            self._plans = {}
            self._planned_by = table
        plan = self._plans.get((business_id, action))
        if plan is None:
            window_ms, secrets = self._policy.dedup_window_ms, self.verifier.secrets_of(business_id)
            plan = HookPlan(business_id, action, table, dedup_window_ms=window_ms, secrets=secrets)
            self._plans[business_id, action] = plan
        return plan

    def _verify(self, one: "Arrival") -> None:
        """Judge the signature, and learn how the secret signs."""
        request = one.request
        one.plan = plan = self._plan(request.business_id, request.action)
        one.verdict = verdict = self.verifier.judge(plan.secrets, request.body, request.signature)
        if verdict.seen and self.verifier.learn(*verdict.seen):
            scope, reading = verdict.seen
            _log.info("signature.reading_learnt", location=scope, reading=reading)

    def _evaluate(self, one: "Arrival") -> None:
        if one.evaluated is None:
            one.evaluated = evaluate(one.request, one.verdict.doubt, self._policy.on_bad_signature)

    def _make_entries(self, one: "Arrival") -> None:
        if one.plan is not None and isinstance(one.evaluated, Accepted):
            one.entries = [self._entry(one, one.plan, record) for record in one.evaluated.records]

    def _entry(self, one: "Arrival", plan: HookPlan, record: payload.Record) -> Entry:
        now = self._clock()
        return plan.received(
            self._mint(now),
            int(now * 1_000),
            record,
            verified_by=one.verdict.reading,
            trace=one.request.trace,
            failures=self._metrics,
        )

    def _quarantined(self, request: Request, reading: str | None, why: Quarantined) -> Entry:
        """Return the entry of a request that goes into quarantine whole, with what a later check needs."""
        self._metrics.set_aside(why.kind)
        now = self._clock()
        return Entry(
            envelope=Envelope(
                id=self._mint(now),
                business_id=request.business_id,
                action=request.action,
                action_code=actions.code_of(request.action),
                received_ms=int(now * 1_000),
                body=request.body,
                verified_by=reading,
                quarantine=why.reason,
                headers=kept_headers(request),
                trace=request.trace,
            ),
            fingerprint=None,
            window_ms=0,
            wanted=(),
        )


class Arrival:
    """A request on its way in, and whom to tell what became of it: what each step has found out so far."""

    __slots__ = ("entries", "evaluated", "on_result", "plan", "request", "verdict")

    def __init__(self, request: Request, on_result: Callable[[IngestResult], None]) -> None:
        self.request = request
        self.on_result = on_result
        self.plan: HookPlan | None = None
        self.verdict = _NOT_JUDGED
        self.evaluated: Accepted | Quarantined | Refused | None = None
        self.entries: Sequence[Entry] = ()


class _Together:
    """The events of one request, until it is known of each what became of it."""

    __slots__ = ("_entries", "_error", "_metrics", "_missing", "_on_result", "_receipts")

    def __init__(
        self, entries: Sequence[Entry], metrics: IngestMetrics, on_result: Callable[[IngestResult], None]
    ) -> None:
        self._entries = entries
        self._metrics = metrics
        self._on_result = on_result
        self._missing = len(entries)
        self._receipts: dict[str, Receipt] = {}
        self._error: RequestRefused | StorageUnavailable | None = None

    def on_result(self, entry: Entry, outcome: Outcome, _: Any) -> None:
        """Note what became of one; after the last, the request is answered."""
        if isinstance(outcome, Receipt):
            self._receipts[entry.envelope.id] = outcome
            self._metrics.event(outcome.status, entry.envelope.action)
        else:
            self._error = outcome
        self._missing -= 1
        if self._missing == 0:
            self._on_result(self._error or [self._receipts[one.envelope.id] for one in self._entries])


def _failed(request: Request, fault: Exception) -> Quarantined:
    """Log a fault of ours: its class and line, but not its message, which may quote the payload."""
    error = type(fault).__name__
    frames = traceback.extract_tb(fault.__traceback__)
    at = f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""
    _log.error("request.failed", action=request.action, business_id=request.business_id, error=error, at=at)
    return Quarantined("fault", f"Frontdesk failed to read it ({error}); see the log")
