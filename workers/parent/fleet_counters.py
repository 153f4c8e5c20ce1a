"""Publishes the counters of all worker processes of one parent. What a process counts is in
`workers.run.shared_counters`, the names of the metrics in `receiver.observation.prometheus_exposition`."""

import time
from collections.abc import Callable, Hashable, Iterable, Mapping
from typing import Final

import redis

from receiver.observation.metrics_store import LOG_LOST, CounterPublisher
from receiver.process.standard_streams import ERROR
from receiver.routing.table import RoutingTable
from workers.parent.child import ChildProcess

_EVERY_S: Final = 5.0
_PARENT: Final = "parent"


class FleetCounters:
    """Publishes the counters of all worker processes every few seconds, and those of a dead one at once."""

    def __init__(self, client: redis.Redis, table: Callable[[], RoutingTable | None]) -> None:
        self._publisher = CounterPublisher(client)
        self._table = table
        self._due = 0.0

    def turn(self, living: Iterable[ChildProcess], dead: Iterable[ChildProcess]) -> None:
        """Publish what is new. Raises StorageUnavailable."""
        mourned = list(dead)
        if not mourned and time.monotonic() < self._due:
            return
        self._due = time.monotonic() + _EVERY_S
        sources: dict[Hashable, Mapping[str, int]] = {child: child.counts.amounts() for child in [*living, *mourned]}
        sources[_PARENT] = {LOG_LOST: ERROR.lost}
        table = self._table()
        self._publisher.publish(sources, routes=[route.name for route in table.routes] if table else ())
