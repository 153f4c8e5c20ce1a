"""The counters of all processes together, in one hash: each process adds to it every few seconds, never per event.

Counters only grow, and survive restarts. Their fields are words joined by colons. A field of a histogram ends with the
upper bound of a bucket and counts the observations in that bucket alone:

    attempts:{route}:{outcome}   ended:{route}:{succeeded|discarded|dead}   retries:{route}   where_failed:{route}
    handler:{route}:{bound}      handler_ms:{route}     how long handlers ran
    delivery:{bound}             delivery_ms            from received to delivered
    wait:{bound}                 wait_ms                from received to the start of the first attempt
    log_lost                     lines that workers could not write to their log
"""

from collections import Counter
from collections.abc import Collection, Hashable, Mapping
from typing import Final

import redis

from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import replies

HANDLER_BOUNDS: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Seconds; beyond the last there is one more bucket."""

DELIVERY_BOUNDS: Final = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
    900.0,
    3_600.0,
)

ENDLESS: Final = "+Inf"

LOG_LOST: Final = "log_lost"

OTHER: Final = "other"
"""The label of routes beyond the first LABELLED, and of routes that the table no longer has."""

LABELLED: Final = 250
"""How many routes get a label of their own, so that the number of series is bounded."""

OF_ROUTES: Final = ("attempts", "ended", "retries", "where_failed", "handler", "handler_ms")
"""The first words of fields whose second is a route."""


def labelled(routes: Collection[str]) -> frozenset[str]:
    """Return the routes, in the table's order, that get a label of their own."""
    return frozenset(list(routes)[:LABELLED])


class CounterPublisher:
    """Adds what the counters of a process have grown by to the counters of all processes.

    What cannot be added now is added the next time.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._published: dict[Hashable, dict[str, int]] = {}

    def publish(self, sources: Mapping[Hashable, Mapping[str, int]], *, routes: Collection[str] | None = None) -> None:
        """Add what each of *sources* has counted since the last time. Raises StorageUnavailable.

        A source gives its totals, by field. A source that is left out is forgotten. *routes* are those of the table, in
        its order: the fields of routes without a label are added to `other`; None adds every field as it is.
        """
        totals = {source: dict(amounts) for source, amounts in sources.items()}
        own = None if routes is None else labelled(routes)
        grown = Counter[str]()
        for source, amounts in totals.items():
            before = self._published.get(source, {})
            for field, amount in amounts.items():
                grown[_with_label(field, own)] += amount - before.get(field, 0)
        if any(grown.values()):
            add(self._client, grown)
        self._published = totals


def _with_label(field: str, own: Collection[str] | None) -> str:
    kind, _, rest = field.partition(":")
    route, colon, bound = rest.partition(":")
    if own is None or kind not in OF_ROUTES or route in own:
        return field
    return f"{kind}:{OTHER}{colon}{bound}"


def add(client: redis.Redis, amounts: Mapping[str, int]) -> None:
    """Add to the counters, in one round trip. Raises StorageUnavailable; then it may or may not have been added."""
    replies(client, [("HINCRBY", keys.METER, field, by) for field, by in amounts.items() if by])


def read(client: redis.Redis) -> dict[str, int]:
    """Return all counters. Raises StorageUnavailable."""
    (found,) = replies(client, [("HGETALL", keys.METER)])
    return parsed(found)


def parsed(found: Mapping[bytes, bytes]) -> dict[str, int]:
    """Read the hash; what is not a number is left out."""
    return decoding.numbers(found)


def forget(client: redis.Redis, routes: Collection[str]) -> int:
    """Delete the counters of all routes but these, and return how many. Raises StorageUnavailable."""
    kept = {*routes, OTHER}
    gone = [field for field in read(client) if _route(field) not in kept]
    if gone:
        replies(client, [("HDEL", keys.METER, *gone)])
    return len(gone)


def _route(field: str) -> str:
    kind, _, rest = field.partition(":")
    return rest.partition(":")[0] if kind in OF_ROUTES else OTHER
