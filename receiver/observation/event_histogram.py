"""How many events were received over time, and how many of them are dead, unrouted or quarantined now. Reads only
indexes, never an event.

The index of an hour holds ids nearly in the order of their time, so bisection finds where each minute begins, for all
minutes at once: a dozen round trips whether an hour has a hundred events or a million. A spooled event is counted by
its place in the index, which may be in a neighbouring bucket.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import redis

from receiver.core import ids
from receiver.core.durations import HOUR_MS
from receiver.core.events import EventStatus
from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import replies

_MOST_PLACES = 5_000

STANDING = (EventStatus.DEAD, EventStatus.UNROUTED, EventStatus.QUARANTINED)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A stretch of time: events *received*, and of these how many *stand* now as dead, unrouted or quarantined."""

    start_ms: int
    length_ms: int
    received: int
    standing: Mapping[EventStatus, int] = field(default_factory=dict)

    @property
    def well(self) -> int:
        """Events that are delivered, discarded or in flight."""
        return max(self.received - sum(self.standing.values()), 0)


class EventHistogram:
    """Counts events by time. Every method raises StorageUnavailable."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._places: dict[int, int] = {}
        """Where a moment stands in its hour: for good, once a later id is there, because ids are only appended."""

    def buckets(self, until_ms: int, step_ms: int, number: int) -> tuple[Bucket, ...]:
        """Return *number* buckets, oldest first; the last one holds *until_ms*. *step_ms* divides an hour or is one."""
        end = until_ms // step_ms * step_ms + step_ms
        starts = range(end - number * step_ms, end, step_ms)
        received = self._by_hour(starts) if step_ms == HOUR_MS else self._within_hours(starts, step_ms)
        standing = self._standing(starts, step_ms)
        return tuple(
            Bucket(start, step_ms, count, stands)
            for start, count, stands in zip(starts, received, standing, strict=True)
        )

    def counters(self, hours: Iterable[int]) -> dict[str, int]:
        """Return the sums of the counters of these hours."""
        sums: dict[str, int] = {}
        for counted in replies(self._client, [("HGETALL", keys.counters(hour)) for hour in hours]):
            for name, value in decoding.numbers(counted).items():
                sums[name] = sums.get(name, 0) + value
        return sums

    def _by_hour(self, starts: Sequence[int]) -> list[int]:
        asked = [("HGET", keys.counters(start // HOUR_MS), "accepted") for start in starts]
        return [decoding.number(count) or 0 for count in replies(self._client, asked)]

    def _standing(self, starts: Sequence[int], step_ms: int) -> list[dict[EventStatus, int]]:
        asked = [
            ("ZCOUNT", keys.standing(status), start, f"({start + step_ms}") for start in starts for status in STANDING
        ]
        counts = iter(replies(self._client, asked))
        return [{status: int(next(counts)) for status in STANDING} for _ in starts]

    def _within_hours(self, starts: Sequence[int], step_ms: int) -> list[int]:
        """Count by where each bucket begins and ends in the index of its hour."""
        hours = sorted({start // HOUR_MS for start in starts})
        lengths = dict(zip(hours, replies(self._client, [("LLEN", keys.index(hour)) for hour in hours]), strict=True))
        found = self._positions([start for start in starts if start % HOUR_MS], lengths)
        counts = []
        for start in starts:
            hour, next_start = start // HOUR_MS, start + step_ms
            first = found.get(start, 0)
            last = found.get(next_start, lengths[hour]) if next_start // HOUR_MS == hour else lengths[hour]
            counts.append(max(last - first, 0))
        return counts

    def _positions(self, moments: Sequence[int], lengths: Mapping[int, int]) -> dict[int, int]:
        """Return for each moment how many ids of its hour come before it: all bisections step by step together."""
        high = {moment: int(lengths[moment // HOUR_MS]) for moment in moments}
        known = {one: self._places[one] for one in moments if self._places.get(one, high[one]) < high[one]}
        low = dict.fromkeys(moments, 0) | known
        high |= known
        while searching := [moment for moment in moments if low[moment] < high[moment]]:
            middles = {moment: (low[moment] + high[moment]) // 2 for moment in searching}
            asked = [("LINDEX", keys.index(moment // HOUR_MS), middle) for moment, middle in middles.items()]
            for (moment, middle), found in zip(middles.items(), replies(self._client, asked), strict=True):
                if found is not None and decoding.text(found) < ids.lowest(moment):
                    low[moment] = middle + 1
                else:
                    high[moment] = middle
        if len(self._places) > _MOST_PLACES:
            self._places.clear()
        self._places.update((one, place) for one, place in low.items() if place < int(lengths[one // HOUR_MS]))
        return low
