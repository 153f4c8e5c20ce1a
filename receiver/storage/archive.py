"""What is kept, for those who look: one event with its deliveries and attempts, or many by time, newest first."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import redis
from redis.exceptions import RedisError

from receiver import ids
from receiver.errors import EventUnknown
from receiver.events import DeliveryStatus, Envelope, EventStatus, Origin
from receiver.storage import codec, keys, waits
from receiver.storage.outage import outage

_PAGE = 500
_FIRST_PAGE = 100
"""Most who ask want a screenful."""

_HOUR_MS = 3_600_000
_STATES = {"s": DeliveryStatus.SUCCEEDED, "d": DeliveryStatus.DEAD, "c": DeliveryStatus.DISCARDED}
_STANDING = (EventStatus.QUARANTINED, EventStatus.UNROUTED, EventStatus.DEAD)


@dataclass(frozen=True, slots=True)
class StoredDelivery:
    """One event for one route, as the store knows it. *state* says what a delivery in flight does (queued, scheduled
    until *next_attempt_ms*, running) or waits for. *attempts* are the ended ones, as they were recorded."""

    id: str
    route: str
    queue: str
    status: DeliveryStatus
    state: str
    origin: Origin | None
    next_attempt_ms: int | None
    attempts: tuple[Mapping[str, Any], ...]

    @property
    def error(self) -> str | None:
        """What the last ended attempt said went wrong."""
        return self.attempts[-1].get("error") if self.attempts else None


@dataclass(frozen=True, slots=True)
class Stored:
    """An event with everything that became of it. *shadow*: routes in the shadow that would have got it."""

    envelope: Envelope
    status: EventStatus
    deliveries: tuple[StoredDelivery, ...]
    shadow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Filter:
    """Which events are asked for; None asks nothing. Times are Unix milliseconds, *until_ms* exclusive."""

    action: str | None = None
    business_id: int | None = None
    route: str | None = None
    status: EventStatus | None = None
    since_ms: int | None = None
    until_ms: int | None = None

    def wants(self, stored: Stored) -> bool:
        """Whether an event is one of those asked for."""
        envelope = stored.envelope
        return (
            (self.action is None or envelope.action == self.action)
            and (self.business_id is None or envelope.business_id == self.business_id)
            and (
                self.route is None
                or self.route in stored.shadow
                or any(one.route == self.route for one in stored.deliveries)
            )
            and (self.status is None or stored.status == self.status)
            and (self.since_ms is None or envelope.received_ms >= self.since_ms)
            and (self.until_ms is None or envelope.received_ms < self.until_ms)
        )


class Archive:
    """Reads what is kept. Every method raises StorageUnavailable when Redis does not answer."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def get(self, event_id: str) -> Stored:
        """Return one event; for a duplicate that waited in a spool, the event kept first. Raises EventUnknown."""
        found = next(iter(self._load([event_id])), None)
        if found is None and (first := self._guarded("get", keys.alias(event_id))):
            found = next(iter(self._load([first.decode()])), None)
        if found is None:
            raise EventUnknown(f"event {event_id!r} is not kept: the id is wrong, or its time is over")
        return found

    def newest(self, wanted: Filter, *, after: str | None = None) -> Iterator[Stored]:
        """Yield the events asked for, newest first; *after*: only those older than the event of this id.

        Reads pages lazily, so taking fifty of millions costs a few calls.
        """
        for page in self._pages(wanted, after):
            for stored in self._load(page):
                if wanted.wants(stored):
                    yield stored

    def hour_page(self, hour: int, start: int, most: int = _PAGE) -> list[str]:
        """Return ids of an hour in the order they were kept, from position *start*; for those who follow along."""
        return _texts(self._guarded("lrange", keys.index(hour), start, start + most - 1))

    def hour_length(self, hour: int) -> int:
        """How many ids an hour has."""
        return int(self._guarded("llen", keys.index(hour)))

    def hours(self) -> list[int]:
        """The hours that have events, newest first."""
        return [int(hour) for hour in self._guarded("zrevrange", keys.HOURS, 0, -1)]

    def many(self, event_ids: Sequence[str]) -> list[Stored]:
        """Return those of the events that are kept, in the order asked for."""
        return list(self._load(event_ids))

    def counters(self, hour: int) -> dict[str, int]:
        """What happened to the events of an hour."""
        return {name.decode(): int(value) for name, value in self._guarded("hgetall", keys.counters(hour)).items()}

    def _pages(self, wanted: Filter, after: str | None) -> Iterator[list[str]]:
        """Yield pages of ids, newest first, from the narrowest index that holds all events asked for."""
        if wanted.status in _STANDING:
            yield from self._standing(wanted, after)
            return
        lowest = (wanted.since_ms or 0) // _HOUR_MS
        highest = (wanted.until_ms or 2**52) // _HOUR_MS
        if after is not None:
            highest = min(highest, ids.milliseconds_of(after) // _HOUR_MS)
        for hour in self.hours():
            if lowest <= hour <= highest:
                yield from self._of_hour(hour, wanted, after)

    def _of_hour(self, hour: int, wanted: Filter, after: str | None) -> Iterator[list[str]]:
        business = None if wanted.action or wanted.route else wanted.business_id
        key = keys.index(hour, action=wanted.action or "", business_id=business, route=wanted.route or "")
        end = int(self._guarded("llen", key))
        if after is not None and hour == ids.milliseconds_of(after) // _HOUR_MS:
            # What waited in a spool is not quite in order: a page more than by the order is looked at.
            end = min(end, self._position(key, after, end) + _FIRST_PAGE)
        size = _FIRST_PAGE
        while end > 0:
            page = _texts(self._guarded("lrange", key, max(end - size, 0), end - 1))
            page.reverse()
            yield [event_id for event_id in page if after is None or event_id < after]
            end -= size
            size = _PAGE

    def _position(self, key: str, event_id: str, end: int) -> int:
        """Return by bisection how many ids of a list come before one, as far as the list is in order."""
        begin = 0
        while begin < end:
            middle = (begin + end) // 2
            found = self._guarded("lindex", key, middle)
            if found is not None and found.decode() < event_id:
                begin = middle + 1
            else:
                end = middle
        return begin

    def _standing(self, wanted: Filter, after: str | None) -> Iterator[list[str]]:
        key = keys.standing(str(wanted.status))
        highest: str | int = "+inf" if after is None else ids.milliseconds_of(after)
        start = 0
        while page := _texts(
            self._guarded("zrevrangebyscore", key, highest, wanted.since_ms or "-inf", start=start, num=_PAGE)
        ):
            yield [event_id for event_id in page if after is None or event_id < after]
            start += len(page)

    def _load(self, event_ids: Sequence[str]) -> Iterator[Stored]:
        for start in range(0, len(event_ids), _PAGE):
            yield from self._load_page(event_ids[start : start + _PAGE])

    def _load_page(self, event_ids: Sequence[str]) -> Iterator[Stored]:
        with self._client.pipeline(transaction=False) as pipeline:
            for event_id in event_ids:
                pipeline.get(keys.envelope(event_id))
                pipeline.hgetall(keys.state(event_id))
            replies = self._execute(pipeline)
        found = [
            (codec.unpack(envelope), {name.decode(): value.decode() for name, value in state.items()})
            for envelope, state in zip(replies[::2], replies[1::2], strict=True)
            if envelope and state
        ]
        with self._client.pipeline(transaction=False) as pipeline:
            for envelope, state in found:
                for number in range(1, int(state["n"]) + 1):
                    pipeline.lrange(keys.attempts(f"{envelope.id}-{number}"), 0, -1)
            *ended, paused = self._execute(pipeline.hkeys(keys.PAUSED))
        attempts, held = iter(ended), frozenset(_texts(paused))
        for envelope, state in found:
            deliveries = tuple(
                _delivery(envelope.id, number, state, next(attempts), held) for number in range(1, int(state["n"]) + 1)
            )
            shadow = tuple(state["w"].split(",")) if "w" in state else ()
            yield Stored(envelope, _status(state, deliveries), deliveries, shadow)

    def _execute(self, pipeline: Any) -> list[Any]:
        try:
            replies: list[Any] = pipeline.execute()
        except (RedisError, OSError) as error:
            raise outage(error) from error
        return replies

    def _guarded(self, command: str, *arguments: Any, **options: Any) -> Any:
        try:
            return getattr(self._client, command)(*arguments, **options)
        except (RedisError, OSError) as error:
            raise outage(error) from error


def _delivery(
    event_id: str, number: int, state: Mapping[str, str], attempts: Sequence[bytes], paused: frozenset[str]
) -> StoredDelivery:
    letter = state[f"{number}s"]
    due = state.get(f"{number}t")
    origin: Any = state.get(f"{number}m")
    return StoredDelivery(
        id=f"{event_id}-{number}",
        route=state[f"{number}r"],
        queue=state[f"{number}q"],
        status=_STATES.get(letter, DeliveryStatus.IN_FLIGHT),
        state=waits.in_words(number, state, paused),
        origin=origin,
        next_attempt_ms=int(due) if due else None,
        attempts=tuple(orjson.loads(attempt) for attempt in attempts),
    )


def _status(state: Mapping[str, str], deliveries: Sequence[StoredDelivery]) -> EventStatus:
    """The first that applies, in the order of EventStatus."""
    standing = {"q": EventStatus.QUARANTINED, "u": EventStatus.UNROUTED}.get(state.get("k", ""))
    if standing:
        return standing
    found = {delivery.status for delivery in deliveries}
    return next((status for status in EventStatus if status.value in found), EventStatus.EXPIRED)


def _texts(values: Sequence[bytes]) -> list[str]:
    return [value.decode() for value in values]
