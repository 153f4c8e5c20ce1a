"""The overview: warnings and traffic."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from receiver.console.framework.page import Facts, Page, PageRequest
from receiver.console.pages import acts, hooks, warnings
from receiver.core import timestamps
from receiver.core.durations import HOUR_MS
from receiver.core.errors import UsageError
from receiver.observation.event_histogram import Bucket
from receiver.observation.status_snapshot import StatusSnapshot
from receiver.observation.store_status import QueueStatus, Silence, StoreStatus
from receiver.storage.query.stored_event import EventFilter, StoredEvent

KINDS: Final = ("well", "dead", "unrouted", "quarantined")
"""What the chart stacks, from the bottom."""

_SAMPLE: Final = 128
_LATELY: Final = 5
_BUSINESSES: Final = 5


@dataclass(frozen=True, slots=True)
class _Span:
    step_ms: int
    number: int
    clock: str


SPANS: Final[Mapping[str, _Span]] = {
    "hour": _Span(60_000, 60, "%H:%M"),
    "day": _Span(900_000, 96, "%H:%M"),
    "week": _Span(HOUR_MS, 168, "%a %H:%M"),
}


def facts(request: PageRequest) -> Facts:
    """Everything at a glance. Query: `span` is hour, day or week."""
    name = request.asked("span") or "hour"
    if name not in SPANS:
        raise UsageError(f"span: {name!r} is not one of {', '.join(SPANS)}")
    status, span = request.services.store_status, SPANS[name]
    now_ms, seen = status.now_ms(), request.services.hooks.latest()
    snapshot = _snapshot(status, now_ms)
    queues, audit = snapshot.queues, snapshot.audit
    buckets = request.services.histogram.buckets(now_ms, span.step_ms, span.number)
    hours = range(buckets[0].start_ms // HOUR_MS, now_ms // HOUR_MS + 1)
    return {
        "span": name,
        "now": timestamps.show(now_ms),
        "received": sum(bucket.received for bucket in buckets),
        "counters": request.services.histogram.counters(hours),
        "buckets": [_bucket(bucket) for bucket in buckets],
        "standing": {str(status): number for status, number in snapshot.standing.items()},
        "latency": latency(list(islice(request.services.archive.newest(EventFilter()), _SAMPLE))),
        "queues": [_queue(queue, now_ms) for queue in queues],
        "waiting": sum(queue.ready for queue in queues),
        "scheduled": sum(queue.scheduled for queue in queues),
        "oldest_waiting_ms": warnings.oldest_ms(queues, now_ms),
        "workers": len(snapshot.live_workers()),
        "spooled": sum(report.depth for report in snapshot.spools),
        "unaccounted": audit.unaccounted if audit else None,
        "audited": timestamps.show(audit.at_ms) if audit else None,
        "hooks": hooks.summary(seen),
        "lately": [acts.shape(act) for act in islice(request.services.acts.newest(at_once=_LATELY), _LATELY)],
        "trouble": list(warnings.found(request.services.routes, snapshot, seen)),
        "routes": _routes(request),
        "businesses": _businesses(snapshot.silences),
    }


def _snapshot(status: StoreStatus, now_ms: int) -> StatusSnapshot:
    return StatusSnapshot(
        now_ms,
        queues=status.queues(),
        workers=status.workers(),
        standing=status.standing(),
        spools=status.spools(),
        audit=status.audit(),
        silences=status.silences(now_ms),
        unfit=status.unfit(),
        losses=status.losses(),
    )


def more(request: PageRequest, values: Facts) -> Mapping[str, Any]:
    """What the chart needs."""
    span = SPANS[values["span"]]
    points = []
    for bucket in values["buckets"]:
        start = datetime.fromtimestamp(bucket["start_ms"] / 1_000, UTC)
        parts = ", ".join(f"{bucket[kind]} {kind}" for kind in KINDS if bucket[kind]) or "no events"
        points.append(bucket | {"time": start.strftime(span.clock), "label": f"{start:%d %b %H:%M} UTC: {parts}"})
    return {"points": points, "kinds": KINDS, "spans": list(SPANS)}


def latency(sample: Sequence[StoredEvent]) -> dict[str, Any]:
    """Return percentiles in milliseconds over a sample: from received to handler started, and of handlers' runs."""
    waits, runs = [], []
    for stored in sample:
        for delivery in stored.deliveries:
            for number, attempt in enumerate(delivery.attempts):
                started, ended = attempt.get("started_ms"), attempt.get("ended_ms")
                if started is None or ended is None:
                    continue
                runs.append(ended - started)
                if number == 0 and delivery.origin is None:
                    waits.append(max(started - stored.envelope.received_ms, 0))
    return {"events": len(sample), "wait": _percentiles(waits), "run": _percentiles(runs)}


def _percentiles(values: list[int]) -> dict[str, int | None]:
    values.sort()
    shares = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
    return {name: values[int((len(values) - 1) * share)] if values else None for name, share in shares.items()}


def _bucket(bucket: Bucket) -> dict[str, int]:
    standing = {str(status): bucket.standing[status] for status in bucket.standing}
    return {"start_ms": bucket.start_ms, "received": bucket.received, "well": bucket.well} | standing


def _queue(queue: QueueStatus, now_ms: int) -> dict[str, Any]:
    oldest = max(now_ms - queue.oldest_ms, 0) if queue.oldest_ms else None
    return {"name": queue.name, "ready": queue.ready, "scheduled": queue.scheduled, "oldest_waiting_ms": oldest}


def _businesses(silences: Mapping[int, Silence]) -> list[dict[str, Any]]:
    """The businesses that should have sent most events since their last one, then those silent for longest."""
    longest = sorted(silences.items(), key=lambda one: (-(one[1].expected or 0.0), one[1].since_ms))
    return [
        {"business_id": business, "last_event_at": timestamps.show(one.since_ms), "expected_since": one.expected}
        for business, one in longest[:_BUSINESSES]
    ]


def _routes(request: PageRequest) -> dict[str, Any]:
    table = request.services.routes.table
    return {
        "hash": table.hash if table else None,
        "number": len(table.routes) if table else 0,
        "problems": [str(problem) for problem in request.services.routes.problems],
    }


_TABLES: Final = {
    "queues": ("name", "-ready", "-scheduled", "-oldest_waiting_ms"),
    "businesses": ("business_id", "last_event_at", "-expected_since"),
}
PAGE: Final = Page("/", "Overview", "overview.html", facts, more, tables=_TABLES)
