"""How many events a business usually sends in each hour of the week, and so how many it should have sent by now.

A coworking space is closed at night and on Sundays, so the time since the last event says little. The number of events
that usually arrive in that time says more.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import orjson
import redis

from receiver.core.durations import HOUR_MS
from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import replies

WEEK: Final = 168
MOST_BUSINESSES: Final = 500

_LEARNT: Final = "learnt"
_WEIGHT: Final = 0.3
_MOST_IN_AN_HOUR: Final = 3.0
"""What one hour adds at most: a night's import of five hundred invoices must not make its absence an alarm."""

Hours = Sequence[float | None]
"""For each hour of the week, from Monday 00:00 UTC, how many events usually come; None: not known yet."""


def slot(hour: int) -> int:
    """Return which hour of the week a Unix hour is."""
    return (hour + 72) % WEEK  # the Unix epoch was a Thursday


def expected(hours: Hours, last_ms: int, now_ms: int) -> float:
    """Return how many events usually arrive between the last one and now; an hour counts at most three."""
    total = 0.0
    first = max(last_ms // HOUR_MS, now_ms // HOUR_MS - WEEK)
    for hour in range(first, now_ms // HOUR_MS + 1):
        begin, end = max(last_ms, hour * HOUR_MS), min(now_ms, (hour + 1) * HOUR_MS)
        usual = hours[slot(hour)]
        if usual and end > begin:
            total += min(usual, _MOST_IN_AN_HOUR) * (end - begin) / HOUR_MS
    return round(total, 2)


def learn(client: redis.Redis, businesses: Iterable[int], now_ms: int) -> int:
    """Learn from the hours that have ended since the last time, up to a week, and return their number.

    Raises StorageUnavailable. One at a time: whoever calls holds a lock.
    """
    current = now_ms // HOUR_MS
    (stored,) = replies(client, [("HGETALL", keys.RHYTHM)])
    learnt = min(decoding.number(stored.get(_LEARNT.encode())) or 0, current - 1)
    ended = range(max(learnt + 1, current - WEEK), current)
    if not ended:
        return 0
    known = sorted(set(businesses))[:MOST_BUSINESSES]
    baselines = {business: _read(stored.get(str(business).encode())) for business in known}
    for business, hours in baselines.items():
        asked = [("LLEN", keys.index(hour, business_id=business)) for hour in ended]
        for hour, count in zip(ended, replies(client, asked), strict=True):
            before = hours[slot(hour)]
            hours[slot(hour)] = round(count if before is None else before + (count - before) * _WEIGHT, 2)
    written = {str(business): orjson.dumps(hours) for business, hours in baselines.items()}
    pairs = [part for pair in (written | {_LEARNT: str(current - 1).encode()}).items() for part in pair]
    replies(client, [("HSET", keys.RHYTHM, *pairs)])
    return len(ended)


def parsed(stored: Mapping[bytes, bytes]) -> dict[int, list[float | None]]:
    """Read the hash, by business."""
    named = ((decoding.number(name), value) for name, value in stored.items())
    return {business: _read(value) for business, value in named if business is not None}


def _read(stored: bytes | None) -> list[float | None]:
    try:
        found = orjson.loads(stored or b"")
        if isinstance(found, list) and len(found) == WEEK:
            return [None if usual is None else float(usual) for usual in found]
    except (ValueError, TypeError):
        pass
    return [None] * WEEK
