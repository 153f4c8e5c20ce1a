"""The metrics of the store and of the workers, by name: the same at every receiver, so that any can be scraped. Pure.

Aggregate them over receivers with max(), never with sum(). deploy/prometheus/README.md documents the names. The
receiver's own metrics are in `receiver_metrics`; workers count in `workers.run.shared_counters`.
"""

import platform
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    InfoMetricFamily,
    Metric,
)
from prometheus_client.registry import Collector

from receiver import __version__
from receiver.observation import metrics_store
from receiver.observation.status_snapshot import StatusSnapshot
from receiver.storage.redis import preflight

_MOST_QUEUES: Final = 200
_MOST_ROUTES: Final = 250


def exposition(snapshot: StatusSnapshot | None) -> bytes:
    """Return the metrics of the store in Prometheus's text form; None: the store is unavailable."""
    registry = CollectorRegistry()
    registry.register(_SnapshotCollector(snapshot))
    return generate_latest(registry)


class _SnapshotCollector(Collector):
    def __init__(self, snapshot: StatusSnapshot | None) -> None:
        self._snapshot = snapshot

    def collect(self) -> Iterable[Metric]:
        version = {"version": __version__, "python": platform.python_version()}
        yield InfoMetricFamily("frontdesk_build", "What runs here.", value=version)
        yield _gauge("store_up", "Whether this receiver could ask the store just now.", int(self._snapshot is not None))
        if self._snapshot is not None:
            for part in (
                _server,
                _queues,
                _gates,
                _standing,
                _spools,
                _audit,
                _businesses,
                _hooks,
                _gaps,
                _counters,
                _histograms,
            ):
                yield from part(self._snapshot)


def _server(snapshot: StatusSnapshot) -> Iterator[Metric]:
    unfit = {name: int(name in snapshot.unfit) for name in preflight.WATCHED}
    yield _gauge("store_losses", "Losses of what the store held that nobody has acknowledged.", len(snapshot.losses))
    yield _labelled("server_unfit", "Whether the server is set so that it loses events.", "what", unfit)


def _queues(snapshot: StatusSnapshot) -> Iterator[Metric]:
    queues = snapshot.queues[:_MOST_QUEUES]
    now_ms = snapshot.now_ms
    ages = {queue.name: max(now_ms - queue.oldest_ms, 0) / 1_000 if queue.oldest_ms else 0.0 for queue in queues}
    yield _labelled("queue_ready", "Deliveries that could run now.", "queue", {one.name: one.ready for one in queues})
    yield _labelled(
        "queue_scheduled", "Deliveries that wait for a time.", "queue", {one.name: one.scheduled for one in queues}
    )
    yield _labelled("queue_oldest_seconds", "How long the first that could run has waited.", "queue", ages)
    yield _labelled(
        "queue_workers",
        "Live worker processes that serve the queue.",
        "queue",
        {one.name: snapshot.serving(one.name) for one in queues},
    )
    live = len(snapshot.live_workers()) + len(snapshot.stock)
    yield _gauge("workers_live", "Worker processes that have spoken lately, stock RQ workers included.", live)


def _gates(snapshot: StatusSnapshot) -> Iterator[Metric]:
    gates = dict(sorted(snapshot.gates.items())[:_MOST_ROUTES])
    waiting = {route: gate.waiting for route, gate in gates.items()}
    yield _labelled("route_waiting", "Deliveries held before a route, for whatever but their order.", "route", waiting)
    family = GaugeMetricFamily(
        "frontdesk_route_held", "Why a route holds deliveries, if it does.", labels=["route", "by"]
    )
    for route, gate in gates.items():
        family.add_metric([route, gate.state], 1)
    yield family
    down = {
        route: max(snapshot.now_ms - gate.down_since_ms, 0) / 1_000
        for route, gate in gates.items()
        if gate.down_since_ms
    }
    yield _labelled("route_down_seconds", "How long the target of a route has been down.", "route", down)


def _standing(snapshot: StatusSnapshot) -> Iterator[Metric]:
    standing = {str(status): count for status, count in snapshot.standing.items()}
    yield _labelled(
        "standing_events", "Events with a dead delivery, without a route, in quarantine.", "status", standing
    )
    yield _gauge("quarantine_bytes", "Bytes that quarantine holds.", snapshot.quarantine_bytes)


def _spools(snapshot: StatusSnapshot) -> Iterator[Metric]:
    holding = [spool for spool in snapshot.spools if spool.depth]
    oldest = min((spool.oldest_ms for spool in holding if spool.oldest_ms), default=snapshot.now_ms)
    yield _gauge("spooled_events", "Events in spools, as far as spools have reported.", sum(s.depth for s in holding))
    yield _gauge(
        "spooled_oldest_seconds", "How long the oldest of them has waited.", max(snapshot.now_ms - oldest, 0) / 1_000
    )
    yield _gauge(
        "spools_orphaned", "Spools that hold events and that nobody looks after.", len(snapshot.orphaned_spools())
    )


def _audit(snapshot: StatusSnapshot) -> Iterator[Metric]:
    if audit := snapshot.audit:
        age_s = max(snapshot.now_ms - audit.at_ms, 0) / 1_000
        yield _gauge(
            "unaccounted_events",
            "Events that the last audit in the background could not account for.",
            audit.unaccounted,
        )
        yield _gauge("audit_age_seconds", "How long ago that audit was; it comes every minute or less often.", age_s)
        yield _gauge(
            "audit_repaired_deliveries", "Deliveries without a live job that it gave a new one.", audit.repaired
        )
    yield _gauge(
        "retention_late_seconds",
        "For how long events have been over that are still kept, because retention does not keep up.",
        snapshot.retention_late_ms / 1_000,
    )
    yield _labelled("alerts_open", "States that FRONTDESK_ALERT_URLS is told of.", "kind", snapshot.alerts)


def _businesses(snapshot: StatusSnapshot) -> Iterator[Metric]:
    silences = snapshot.silences.items()
    ages = {str(business): max(snapshot.now_ms - one.since_ms, 0) / 1_000 for business, one in silences}
    expected = {str(business): one.expected for business, one in silences if one.expected is not None}
    yield _labelled("business_last_event_seconds", "How long ago the last event of a business came.", "business", ages)
    yield _labelled(
        "business_expected_events",
        "Events to be expected since then, by the rhythm of the business's weeks; an hour counts three at most.",
        "business",
        expected,
    )


def _hooks(snapshot: StatusSnapshot) -> Iterator[Metric]:
    acts = CounterMetricFamily("frontdesk_registrar_acts", "What the registrar did at Nexudus.", labels=["act"])
    for act, count in sorted(snapshot.acts.items()):
        acts.add_metric([act], count)
    yield acts
    if snapshot.hooks is None:
        return
    conditions = {"healthy": snapshot.hooks.healthy, "missing": 0, "disabled": 0, "failing": 0, "drifted": 0}
    for counts in snapshot.hooks.businesses.values():
        for condition, count in counts.items():
            conditions[condition] = conditions.get(condition, 0) + count
    yield _labelled("hooks", "Hooks at Nexudus, as the watch found them last.", "condition", conditions)
    age_s = max(snapshot.now_ms - snapshot.hooks.at_ms, 0) / 1_000
    yield _gauge("hooks_looked_seconds", "How long ago the watch looked at them.", age_s)


def _gaps(snapshot: StatusSnapshot) -> Iterator[Metric]:
    gaps = {state.value: count for state, count in snapshot.gaps.items()}
    told = "Intervals in which a hook was not known to be healthy; cannot: of the last day."
    yield _labelled("gaps", told, "state", gaps)
    yield _gauge(
        "gap_oldest_seconds", "How long ago the oldest gap began that is open or healing.", snapshot.gap_ms / 1_000
    )


def _counters(snapshot: StatusSnapshot) -> Iterator[Metric]:
    yield _counter("attempts", "Attempts that ended.", ("route", "outcome"), snapshot.counters, "attempts")
    yield _counter("deliveries", "Deliveries that ended.", ("route", "outcome"), snapshot.counters, "ended")
    lost = "Lines that workers could not write to their log."
    yield _counter("worker_log_lines_lost", lost, (), snapshot.counters, metrics_store.LOG_LOST)
    yield _counter("retries", "Attempts that another one was to follow.", ("route",), snapshot.counters, "retries")


def _histograms(snapshot: StatusSnapshot) -> Iterator[Metric]:
    seconds, bounds = snapshot.counters, metrics_store.DELIVERY_BOUNDS
    family = HistogramMetricFamily("frontdesk_handler_seconds", "How long handlers ran.", labels=["route"])
    routes = sorted({field.split(":")[1] for field in seconds if field.startswith("handler_ms:")})
    for route in routes:
        buckets = _cumulative(seconds, f"handler:{route}:", metrics_store.HANDLER_BOUNDS)
        family.add_metric([route], buckets, seconds[f"handler_ms:{route}"] / 1_000)
    yield family
    for name, sentence in (
        ("delivery", "From the request of Nexudus to the success of a delivery, retries included; not of replays."),
        ("wait", "From the request of Nexudus to the start of a delivery's first attempt; not of replays."),
    ):
        family = HistogramMetricFamily(f"frontdesk_{name}_seconds", sentence)
        family.add_metric([], _cumulative(seconds, f"{name}:", bounds), seconds.get(f"{name}_ms", 0) / 1_000)
        yield family


def _cumulative(counters: Mapping[str, int], stem: str, bounds: Sequence[float]) -> list[tuple[str, float]]:
    buckets, total = list[tuple[str, float]](), 0
    for bound in (*(f"{bound:g}" for bound in bounds), metrics_store.ENDLESS):
        total += counters.get(f"{stem}{bound}", 0)
        buckets.append((bound if bound == metrics_store.ENDLESS else str(float(bound)), total))
    return buckets


def _counter(
    name: str, sentence: str, labels: Sequence[str], counters: Mapping[str, int], kind: str
) -> CounterMetricFamily:
    family = CounterMetricFamily(f"frontdesk_{name}", sentence, labels=labels)
    for field, count in sorted(counters.items()):
        first, *values = field.split(":")
        if first == kind and len(values) == len(labels):
            family.add_metric(values, count)
    return family


def _gauge(name: str, sentence: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"frontdesk_{name}", sentence, value=value)


def _labelled(name: str, sentence: str, label: str, values: Mapping[str, float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"frontdesk_{name}", sentence, labels=[label])
    for value, number in sorted(values.items()):
        family.add_metric([value], number)
    return family
