"""Adds the counters of worker processes to the metrics of all processes, for their parent."""

import time
from collections.abc import Callable, Iterable
from typing import Final

import redis

from receiver.observation import metrics_store
from receiver.process.standard_streams import ERROR
from receiver.routing.table import RoutingTable
from workers.parent.child import ChildProcess

_EVERY_S: Final = 5.0


class MetricsCollector:
    """Remembers what it has added for each process. What fails to be added now is added later."""

    def __init__(self, client: redis.Redis, table: Callable[[], RoutingTable | None]) -> None:
        self._client = client
        self._table = table
        self._added: dict[ChildProcess, dict[str, int]] = {}
        self._due = 0.0
        self._lost_before = 0

    def turn(self, living: Iterable[ChildProcess], dead: Iterable[ChildProcess]) -> None:
        """Add what is new: every few seconds, and at once for dead processes. Raises StorageUnavailable."""
        ended = list(dead)
        if ended or time.monotonic() >= self._due:
            self._due = time.monotonic() + _EVERY_S
            counted = {child: child.counts.amounts() for child in [*living, *ended]}
            new: dict[str, int] = {}
            for child, amounts in counted.items():
                before = self._added.get(child, {})
                for field, amount in amounts.items():
                    if more := amount - before.get(field, 0):
                        new[field] = new.get(field, 0) + more
            lost = ERROR.lost  # lines of our own
            new[metrics_store.LOG_LOST] = new.get(metrics_store.LOG_LOST, 0) + lost - self._lost_before
            if any(new.values()):
                metrics_store.add(self._client, self._labelled(new))
            self._added, self._lost_before = counted, lost

    def _labelled(self, amounts: dict[str, int]) -> dict[str, int]:
        """Count routes without a label of their own under `other`."""
        table = self._table()
        own = metrics_store.labelled([route.name for route in table.routes] if table else ())
        found: dict[str, int] = {}
        for field, amount in amounts.items():
            kind, *rest = field.split(":")
            if kind in metrics_store.OF_ROUTES and rest[0] not in own:
                rest[0] = metrics_store.OTHER
            name = ":".join([kind, *rest])
            found[name] = found.get(name, 0) + amount
        return found
