"""From an authentic request to kept events: verify, read, route, keep. Nothing is answered before it is kept.

What cannot be verified or read is set aside, not refused: after ten refusals Nexudus would switch the hook off.
"""

import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, Protocol

from receiver.core.errors import RequestRefused, StorageUnavailable
from receiver.core.events import Envelope
from receiver.core.ids import IdGenerator
from receiver.ingest import delivery_plan
from receiver.ingest.request import Doubt, Policy, Request, kept_headers, records_of
from receiver.nexudus import actions, fingerprint, payload, signature
from receiver.nexudus.verification import Verifier
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.process import logs
from receiver.storage.model.entries import Entry, Receipt, Told, Wanted

_log = logs.get()

Accepted = list[Receipt] | RequestRefused | StorageUnavailable
"""What became of a request: a receipt for each of its events, or why none can be given."""


class Keeper(Protocol):
    """Whoever keeps events, and tells when one is safe, or that it is not certain to be."""

    def submit(self, entry: Entry, told: Told) -> None: ...


class Matched(Protocol):
    """The routes that want an event, those in the shadow that do, and the names of those whose `where` failed on it."""

    @property
    def routes(self) -> Sequence[delivery_plan.Route]: ...
    @property
    def shadow(self) -> Sequence[delivery_plan.Route]: ...
    @property
    def failed(self) -> Iterable[str]: ...


class Table(Protocol):
    """What ingest needs of the routing table."""

    @property
    def hash(self) -> str: ...

    def match(self, business_id: int, action: str, record: dict[str, Any]) -> Matched: ...


class Ingest:
    """Takes requests in, for one event loop."""

    def __init__(
        self,
        keeper: Keeper,
        table: Callable[[], Table | None],
        policy: Policy,
        metrics: IngestMetrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """*table* returns the routing table as it is now; None: there is none yet, and events are kept unrouted.

        *clock*: Unix seconds, those that ids and times of arrival tell.
        """
        self._keeper = keeper
        self._table = table
        self._policy = policy
        self._metrics = metrics
        self._clock = clock
        self._mint = IdGenerator()
        self.verifier = Verifier(policy.secrets, policy.reading)

    def accept(self, request: Request, done: Callable[[Accepted], None]) -> None:
        """Have the events of a request kept, and tell *done* what became of them.

        It is told one receipt for each record, or one for the whole request when it was set aside; RequestRefused (401)
        for a bad signature under `reject`; and what the keeper says when an event is not certainly kept.
        """
        reading = None
        try:
            reading = self._verify(request)
            records = records_of(request)
            entries = [self._entry(request, reading, record) for record in records]
        except RequestRefused as refusal:
            done(refusal)
            return
        except Exception as doubt:  # noqa: BLE001 - a fault of ours must not refuse what Nexudus will not send again
            entries = [self._set_aside(request, reading, doubt)]
        if len(entries) == 1:  # nearly always
            self._keeper.submit(entries[0], partial(self._answer, done))
        elif entries:
            together = _Together(entries, self._metrics, done)
            for entry in entries:
                self._keeper.submit(entry, together.told)
        else:
            done([])

    def _answer(
        self, done: Callable[[Accepted], None], entry: Entry, outcome: Receipt | RequestRefused | StorageUnavailable
    ) -> None:
        if isinstance(outcome, Receipt):
            self._metrics.event(outcome.status, entry.envelope.action)
            done([outcome])
        else:
            done(outcome)

    def _verify(self, request: Request) -> signature.Reading | None:
        """Return the reading that matched, or None when no secret is set for this location."""
        verdict = self.verifier.verify(request.business_id, request.body, request.signature)
        if verdict.seen and self.verifier.learn(*verdict.seen):
            scope, reading = verdict.seen
            _log.info("signature.reading_learnt", location=scope, reading=reading)
        if verdict.doubt is None:
            return verdict.reading
        if self._policy.on_bad_signature == "reject":
            raise RequestRefused(401, verdict.doubt)
        raise Doubt("signature", verdict.doubt)

    def _entry(self, request: Request, reading: str | None, record: payload.Record) -> Entry:
        business_id, action = request.business_id, request.action
        now = self._clock()
        routes, wanted = self._route(request, record)
        return Entry(
            envelope=Envelope(
                id=self._mint(now),
                business_id=business_id,
                action=action,
                action_code=actions.code_of(action),
                received_ms=int(now * 1_000),
                body=record.raw,
                verified_by=reading,
                routes=routes,
                entity=fingerprint.entity(action, record.data),
                trace=request.trace,
            ),
            fingerprint=fingerprint.of(business_id, action, record.lasting),
            window_ms=fingerprint.window_ms(action, self._policy.dedup_window_ms),
            wanted=wanted,
        )

    def _route(self, request: Request, record: payload.Record) -> tuple[str, tuple[Wanted, ...]]:
        table = self._table()
        if table is None:
            return "", ()
        matched = table.match(request.business_id, request.action, record.data)
        for route in matched.failed:
            self._metrics.where_failed(route)
        place = (request.business_id, request.action, record.data, self._metrics.key_failed)
        wanted = tuple(delivery_plan.delivery(route, *place) for route in matched.routes)
        if matched.shadow:
            wanted += tuple(delivery_plan.shadow(route) for route in matched.shadow)
        return table.hash, wanted

    def _set_aside(self, request: Request, reading: str | None, doubt: Exception) -> Entry:
        """Return the entry of a request that goes into quarantine whole, with what a later check needs."""
        if isinstance(doubt, Doubt):
            kind, reason = doubt.kind, str(doubt)
        else:
            kind, reason = "fault", f"Frontdesk failed to read it ({type(doubt).__name__}); see the log"
            _log.error("request.failed", action=request.action, business_id=request.business_id, **_place(doubt))
        self._metrics.set_aside(kind)
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
                quarantine=reason,
                headers=kept_headers(request),
                trace=request.trace,
            ),
            fingerprint=None,
            window_ms=0,
            wanted=(),
        )


class _Together:
    """The events of one request, until it is known of each what became of it."""

    __slots__ = ("_done", "_entries", "_error", "_metrics", "_missing", "_receipts")

    def __init__(self, entries: Sequence[Entry], metrics: IngestMetrics, done: Callable[[Accepted], None]) -> None:
        self._entries = entries
        self._metrics = metrics
        self._done = done
        self._missing = len(entries)
        self._receipts: dict[str, Receipt] = {}
        self._error: RequestRefused | StorageUnavailable | None = None

    def told(self, entry: Entry, outcome: Receipt | RequestRefused | StorageUnavailable) -> None:
        """Note what became of one; after the last, the request is answered."""
        if isinstance(outcome, Receipt):
            self._receipts[entry.envelope.id] = outcome
            self._metrics.event(outcome.status, entry.envelope.action)
        else:
            self._error = outcome
        self._missing -= 1
        if self._missing == 0:
            self._done(self._error or [self._receipts[one.envelope.id] for one in self._entries])


def _place(fault: Exception) -> dict[str, str]:
    """Return what a log may tell of a fault: its class and line, but not its message, which may quote the payload."""
    frames = traceback.extract_tb(fault.__traceback__)
    return {"error": type(fault).__name__, "at": f"{frames[-1].filename}:{frames[-1].lineno}" if frames else ""}
