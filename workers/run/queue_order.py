"""The queues that a worker serves, and in which order."""

import itertools
import time
from collections.abc import Sequence

from receiver.routing.table_reload import CurrentTable
from receiver.storage.queue.queue import DeliveryQueue
from receiver.storage.redis import rq_keys

_QUEUES_AGE_S = 5.0

EVERY = 8
"""Every eighth turn starts at another queue than the first."""


def in_turn(queues: Sequence[str], turn: int) -> Sequence[str]:
    """Return the order in which *queues* (highest priority first) are served at a turn (1, 2, ...).

    The order is that of priority, but every eighth turn starts at one of the other queues in rotation, so that none
    starves behind queues that are always full.
    """
    number, between = divmod(turn, EVERY)
    first = 0 if between or len(queues) < 2 else 1 + number % (len(queues) - 1)
    return (*queues[first:], *queues[:first])


class ServedQueues:
    """The queues that a worker serves: those it was given, or all that the routing table names, by priority, and then
    any that still hold deliveries of an earlier table."""

    def __init__(self, given: Sequence[str], table: CurrentTable, deliveries: DeliveryQueue) -> None:
        self._given = tuple(given)
        self._table = table
        self._deliveries = deliveries
        self._known: frozenset[str] = frozenset()
        self._read_at = float("-inf")
        self._turns = itertools.count(1)

    def __call__(self) -> Sequence[str]:
        """Return the queues in the order in which the next claim serves them."""
        return in_turn(self._by_priority(), next(self._turns))

    def _by_priority(self) -> Sequence[str]:
        if self._given:
            return self._given
        now = time.monotonic()
        if now - self._read_at > _QUEUES_AGE_S:
            self._known = self._deliveries.known_queues()
            self._read_at = now
        table = self._table.table
        named = table.queues if table else ("default",)
        return (*named, *sorted(self._known - {*named, rq_keys.ISOLATED}))
