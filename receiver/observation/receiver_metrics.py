"""The Prometheus metrics of a receiver process. Labels are bounded, whatever requests hold."""

import os
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess

from receiver.process.standard_streams import ERROR

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_OTHER = "other"
_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_BATCHES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


class IngestMetrics:
    """The counters of one receiver process.

    *actions*: the names that get a label of their own; all others are counted as "other". *folder*: where the
    processes that share a port keep their counts, so that a scrape of any of them tells of all.
    """

    def __init__(self, actions: Collection[str], *, folder: Path | None = None) -> None:
        self._actions = frozenset(actions)
        self._folder = folder
        self._registry = CollectorRegistry()
        counter = partial(Counter, namespace="frontdesk", registry=self._registry)
        self._requests = counter(
            "ingest_requests", "Requests to a hook, by HTTP status of the answer.", ["answer", "action"]
        )
        self._events = counter("ingest_events", "Events answered for, by what became of them.", ["status", "action"])
        self._set_aside = counter("ingest_set_aside", "Requests put into quarantine, by what was wrong.", ["doubt"])
        self._where_failed = counter(
            "routing_where_failed", "Events on which the `where` of a route failed and counted as false.", ["route"]
        )
        self._key_failed = counter(
            "routing_key_failed",
            "Deliveries whose `order`, `debounce` or `per` key, or whose time, could not be worked out.",
            ["route"],
        )
        self._lost = counter("log_lines_lost", "Lines of this receiver's log that could not be written.")
        self._lost_before = 0
        self._refused = counter("connections_refused", "Connections closed by one of our limits.", ["limit"])
        histogram: dict[str, Any] = {"namespace": "frontdesk", "registry": self._registry}
        self._seconds = _Summed(
            "ingest_seconds", "From the head of an authentic request to its answer.", buckets=_SECONDS, **histogram
        )
        self._batches = Histogram(
            "commit_events", "Events that went to the store in one call.", buckets=_BATCHES, **histogram
        )
        self._spooled, self._oldest, self._aside, self._unusable = _gauges_of_spools(self._registry)
        self.filters_failed: dict[str, int] = {}
        """How often the `where` of each route failed in this process."""
        # What every request counts is counted in plain numbers, and added to Prometheus's when somebody asks: its
        # counters lock, and those of several processes write into a file.
        self._answers: defaultdict[tuple[int, str], int] = defaultdict(int)
        self._receipts: defaultdict[tuple[str, str], int] = defaultdict(int)
        self._times = [0] * (len(_SECONDS) + 1)
        self._time = 0.0

    def answered(self, status: int, action: str | None, seconds: float) -> None:
        """Count one answer to a hook. *action* None: it was no hook of ours, and its time is not observed."""
        if action is None:
            self._answers[status, _OTHER] += 1
            return
        self._answers[status, action if action in self._actions else _OTHER] += 1
        self._times[bisect_left(_SECONDS, seconds)] += 1
        self._time += seconds

    def event(self, status: str, action: str) -> None:
        """Count one event by its receipt."""
        self._receipts[status, action if action in self._actions else _OTHER] += 1

    def add_up(self) -> None:
        """Add the plain counts to Prometheus's; called periodically, so that other processes can expose ours."""
        answers, self._answers = self._answers, defaultdict(int)
        for (answer, action), number in answers.items():
            self._requests.labels(str(answer), action).inc(number)
        receipts, self._receipts = self._receipts, defaultdict(int)
        for (status, action), number in receipts.items():
            self._events.labels(status, action).inc(number)
        lost = ERROR.lost
        self._lost.inc(lost - self._lost_before)
        self._lost_before = lost
        self._seconds.add(self._times, self._time)
        self._times, self._time = [0] * (len(_SECONDS) + 1), 0.0

    def set_aside(self, doubt: str) -> None:
        """Count one request that went into quarantine. *doubt* is one of a handful of words."""
        self._set_aside.labels(doubt).inc()

    def where_failed(self, route: str) -> None:
        """Count one event on which a route's `where` could not be evaluated."""
        self._where_failed.labels(route).inc()
        self.filters_failed[route] = self.filters_failed.get(route, 0) + 1

    def committed(self, events: int) -> None:
        """Count one call that took so many events to the store."""
        self._batches.observe(events)

    def key_failed(self, route: str) -> None:
        """Count one delivery that a route could not order, debounce or count by its key, or has no time for."""
        self._key_failed.labels(route).inc()

    def connection_refused(self, limit: str) -> None:
        """Count one connection that ran into a limit."""
        self._refused.labels(limit).inc()

    def spooled(self, events: int, oldest_s: float) -> None:
        """Note what the spools of this process hold."""
        self._spooled.set(events)
        self._oldest.set(oldest_s)

    def spool_unusable(self, *, unusable: bool) -> None:
        """Note whether this process could not spool, if the store went away now."""
        self._unusable.set(unusable)

    def set_aside_files(self, number: int) -> None:
        """Note how many files lie aside of the spools."""
        self._aside.set(number)

    def exposition(self) -> bytes:
        """Return all counts in Prometheus's text form."""
        self.add_up()
        registry = self._registry
        if self._folder is not None:
            _forget_the_dead(self._folder)
            registry = CollectorRegistry()
            multiprocess.MultiProcessCollector(registry, path=str(self._folder))  # type: ignore[no-untyped-call]
        return generate_latest(registry)


def _gauges_of_spools(registry: CollectorRegistry) -> tuple[Gauge, Gauge, Gauge, Gauge]:
    """Return the gauges of events in spools, of the age of the oldest, of what lies aside, of a spool out of use."""
    gauge = partial(Gauge, namespace="frontdesk", registry=registry)
    return (
        gauge(
            "spool_events", "Events on this receiver's disk that the store does not have.", multiprocess_mode="livesum"
        ),
        gauge("spool_oldest_seconds", "How long the oldest has waited.", multiprocess_mode="livemax"),
        gauge(
            "spool_set_aside_files",
            "Files that lie aside of the spools: broken ones, and events that the store refuses.",
            multiprocess_mode="livemax",
        ),
        gauge(
            "spool_unusable",
            "Whether this receiver's disk could take no event, if the store went away now.",
            multiprocess_mode="livemax",
        ),
    )


class _Summed(Histogram):
    """A histogram that takes many observations at once."""

    def add(self, counts: Sequence[int], total: float) -> None:
        """Add as many observations to each bucket, which together come to *total*."""
        for bucket, count in zip(self._buckets, counts, strict=True):
            bucket.inc(count)
        self._sum.inc(total)


def _forget_the_dead(folder: Path) -> None:
    """Delete the gauges of processes that were killed: other processes have taken over their spools."""
    for file in folder.glob("gauge_live*_*.db"):
        number = file.stem.rpartition("_")[2]
        try:
            os.kill(int(number), 0)
        except ProcessLookupError:
            file.unlink(missing_ok=True)
        except (ValueError, PermissionError):
            continue
