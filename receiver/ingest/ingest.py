"""Takes authentic requests: verifies their signatures, evaluates them, routes the records and has the events stored.

No request is answered before its events are stored. A request that cannot be verified or read is quarantined, not
refused: after ten refusals Nexudus would disable the hook.

Requests that arrive in one iteration of the event loop are taken together: first all are verified, then all are parsed,
then all become entries. One step fits into the processor's caches, all of them together do not, so a batch of sixteen
costs each request a quarter less than sixteen requests one after another.
"""

import time
import traceback
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.core.events import Envelope
from receiver.core.ids import IdGenerator
from receiver.core.one_loop import InOneLoop
from receiver.ingest.delivery_plan import MatchingTable
from receiver.ingest.hook_plan import HookPlan
from receiver.ingest.request_evaluation import Accepted, Policy, Quarantined, Refused, Request, evaluate, kept_headers
from receiver.nexudus import actions, payload
from receiver.nexudus.verification import Verdict, Verifier
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.process import logs
from receiver.storage.model.entries import Entry, OnResult, Receipt, StoreResult

_MOST_PLANS = 4_096
"""Hooks whose plans are kept in memory. Each has a valid token, so only the operator can create more of them."""

_NOT_JUDGED = Verdict()

_log = logs.get()

IngestResult = list[Receipt] | RequestRefused | StorageUnavailable
"""What became of a request: a receipt for each of its events, or the error because of which there is none."""


class EventSink(Protocol):
    """Stores events, and reports for each when it is stored, or that this is not certain."""

    def submit(self, entry: Entry, on_result: OnResult, context: Any = None) -> None: ...


class Ingest(InOneLoop):
    """Takes requests in, for one event loop."""

    def __init__(
        self,
        sink: EventSink,
        table: Callable[[], MatchingTable | None],
        policy: Policy,
        metrics: IngestMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """*table* returns the current routing table; None: there is none yet, and events are stored unrouted.

        *clock* returns Unix seconds, from which ids and times of arrival are made.
        """
        self._sink = sink
        self._table = table
        self._policy = policy
        self._metrics = metrics
        self._clock = clock
        self._mint = IdGenerator()
        self._plans: dict[tuple[int, str], HookPlan] = {}
        self._planned_by: MatchingTable | None = None
        self._arrived: list[Arrival] = []
        self.verifier = Verifier(policy.secrets, policy.reading)

    def accept(self, request: Request, on_result: Callable[[IngestResult], None]) -> None:
        """Take a request together with the others of this iteration of the event loop; see `take`."""
        if not self._arrived:
            self._loop.call_soon(self._take_arrived)
        self._arrived.append(Arrival(request, on_result))

    def _take_arrived(self) -> None:
        arrived, self._arrived = self._arrived, []
        self.take(arrived)

    def take(self, arrived: Sequence["Arrival"]) -> None:
        """Have the events of requests stored, and call the *on_result* of each request once with its result.

        The result is a list of receipts, one for each record or one for a request that is quarantined; RequestRefused
        (401) for a bad signature under `reject`; or the sink's error when it is not certain that an event is stored.
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
        outcome: StoreResult,
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
        """Verify the signature, and note under which reading the secret signs."""
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

    def _entry(self, one: "Arrival", plan: HookPlan, record: payload.BodyRecord) -> Entry:
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
        """Return the entry that puts the whole request in quarantine, with the headers that a later check needs."""
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
    """The events of one request, until the result of each is known."""

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

    def on_result(self, entry: Entry, outcome: StoreResult, _: Any) -> None:
        """Note the result of one event; after the last one, report the result of the request."""
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
