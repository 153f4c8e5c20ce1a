"""One snapshot of the status of the whole: metrics expose it, and alerts are decided by it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
import redis

from receiver.core.events import EventStatus
from receiver.failures import failure_ledger
from receiver.failures.failure_records import Summary
from receiver.observation import metrics_store
from receiver.observation.store_status import QueueStatus, Silence, StoreStatus, WorkerStatus
from receiver.storage.accounting import retention
from receiver.storage.accounting.data_loss import Loss
from receiver.storage.accounting.maintenance import AuditResult
from receiver.storage.model import decoding
from receiver.storage.queue.flow_control import Gate, Gates
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import replies
from receiver.storage.shared import registrar_state
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.gap_ledger import GapLedger, GapState
from receiver.storage.shared.registrar_state import HooksFound
from receiver.storage.spool.reports import SpoolReport


@dataclass(frozen=True, slots=True)
class StatusSnapshot:
    """The status at *now_ms* of the store's clock.

    *stock*: the queues of each stock RQ worker; *silences* by business; *acts*: what the registrar did, by kind;
    *counters*: of all processes (`metrics_store`); *alerts*: how many are open, by kind; *gates*: of the routes that
    hold deliveries; *failures*: in groups, as they were found last; *unfit*: settings of the server that lose events
    (`preflight`); *losses*: those that nobody has acknowledged; *gaps*: how many are in which state, and *gap_ms*: how
    long ago the oldest began that is not done; *names*: those of the locations.
    """

    now_ms: int
    queues: tuple[QueueStatus, ...] = ()
    workers: tuple[WorkerStatus, ...] = ()
    stock: tuple[tuple[str, ...], ...] = ()
    standing: Mapping[EventStatus, int] = field(default_factory=dict)
    quarantine_bytes: int = 0
    quarantined_lately: int = 0
    spools: tuple[SpoolReport, ...] = ()
    audit: AuditResult | None = None
    hooks: HooksFound | None = None
    silences: Mapping[int, Silence] = field(default_factory=dict)
    acts: Mapping[str, int] = field(default_factory=dict)
    counters: Mapping[str, int] = field(default_factory=dict)
    alerts: Mapping[str, int] = field(default_factory=dict)
    gates: Mapping[str, Gate] = field(default_factory=dict)
    failures: Summary = field(default_factory=Summary)
    unfit: Mapping[str, str] = field(default_factory=dict)
    losses: tuple[Loss, ...] = ()
    retention_late_ms: int = 0
    gaps: Mapping[GapState, int] = field(default_factory=dict)
    gap_ms: int = 0
    names: Mapping[int, str] = field(default_factory=dict)

    def live_workers(self) -> tuple[WorkerStatus, ...]:
        """Our worker processes with a valid lease."""
        return tuple(worker for worker in self.workers if worker.is_live(self.now_ms))

    def serving(self, queue: str) -> int:
        """How many live workers serve a queue, stock RQ workers included."""
        ours = sum(worker.serves(queue) for worker in self.live_workers())
        return ours + sum(queue in queues for queues in self.stock)

    def orphaned_spools(self) -> tuple[SpoolReport, ...]:
        """Spools that hold events and that no receiver drains."""
        return tuple(spool for spool in self.spools if spool.depth and spool.is_orphaned(self.now_ms))


LATELY_MS = 15 * 60_000
"""How far back `quarantined_lately` looks."""


LATELY_CLOSED_MS = 86_400_000
"""For how long people are told of a gap that cannot be known."""


def look(client: redis.Redis) -> StatusSnapshot:
    """Take a snapshot in about fifteen round trips. Raises StorageUnavailable."""
    status = StoreStatus(client)
    now_ms = status.now_ms()
    quarantine, lately, hooks, acts, counters, alerts, expired = replies(client, _single_keys(now_ms))
    counts, oldest_ms = _gaps(client, now_ms)
    return StatusSnapshot(
        now_ms=now_ms,
        queues=status.queues(),
        workers=status.workers(),
        stock=status.stock_workers(),
        standing=status.standing(),
        quarantine_bytes=decoding.number(quarantine) or 0,
        quarantined_lately=int(lately),
        spools=status.spools(),
        audit=status.audit(),
        hooks=registrar_state.read_found(hooks),
        silences=status.silences(now_ms),
        acts=decoding.numbers(acts),
        counters=metrics_store.parsed(counters),
        alerts=_by_kind(alerts),
        gates=Gates(client).standing(),
        failures=failure_ledger.read(client),
        unfit=status.unfit(),
        losses=status.losses(),
        retention_late_ms=retention.late_ms(expired),
        gaps=counts,
        gap_ms=oldest_ms,
        names=BusinessNames(client).all(),
    )


def _single_keys(now_ms: int) -> list[tuple[str | int, ...]]:
    """Return the commands that read what one key holds; they share a round trip."""
    return [
        ("HGET", keys.QUARANTINE, "total"),
        ("ZCOUNT", keys.standing(EventStatus.QUARANTINED), now_ms - LATELY_MS, "+inf"),
        ("GET", keys.REGISTRAR_HEALTH),
        ("HGETALL", keys.REGISTRAR_COUNTS),
        ("HGETALL", keys.METER),
        ("HGETALL", keys.ALERTS),
        ("GET", keys.EXPIRY),
    ]


def _gaps(client: redis.Redis, now_ms: int) -> tuple[dict[GapState, int], int]:
    """Return how many gaps are in which state (of those that cannot be known, the ones of the last day), and how long
    ago the oldest one began that is open or is to be filled."""
    counts, oldest_ms = dict.fromkeys(GapState, 0), now_ms
    for gap in GapLedger(client).gaps():
        counts[gap.state] += gap.state is not GapState.CANNOT or gap.done_ms > now_ms - LATELY_CLOSED_MS
        if gap.state in (GapState.OPEN, GapState.HEALING):
            oldest_ms = min(oldest_ms, gap.from_ms)
    return counts, now_ms - oldest_ms


def _by_kind(alerts: Mapping[bytes, bytes]) -> dict[str, int]:
    kinds: dict[str, int] = {}
    for name, stored in alerts.items():
        try:
            is_open = bool(orjson.loads(stored).get("opened_ms"))
        except (ValueError, AttributeError):
            continue
        kind = name.decode(errors="replace").partition("/")[0]
        kinds[kind] = kinds.get(kind, 0) + is_open
    return kinds
