"""State that the registrar keeps between its runs, and the time of the last event of each hook."""

import contextlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import TypeVar

import orjson
import redis

from receiver.storage.model import decoding
from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Flap:
    """How many times in a row a hook had to be re-enabled, and when last (Unix milliseconds)."""

    count: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class HooksFound:
    """The condition of the hooks at the registrar's last check, and its time (Unix ms): for each business, how many are
    in which condition, without the healthy ones."""

    at_ms: int
    healthy: int
    businesses: Mapping[int, Mapping[str, int]]


def read_found(stored: bytes | None) -> HooksFound | None:
    """Parse the value of the key `fd:registrar:health`; None if it is missing or this version cannot read it."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError, OverflowError):
        fields = orjson.loads(stored or b"")
        businesses = {
            int(business): {str(condition): int(count) for condition, count in counts.items()}
            for business, counts in fields["businesses"].items()
        }
        return HooksFound(int(fields["at_ms"]), int(fields["healthy"]), businesses)
    return None


class RegistrarState:
    """Small hashes in Redis with one entry for each hook. Every method raises StorageUnavailable."""

    def __init__(self, connection: redis.Redis) -> None:
        self._calls = StoreClient(connection)

    def unrouted_since(self, hooks: Iterable[int], *, now_ms: int) -> Mapping[int, int]:
        """Return since when (Unix milliseconds) each of *hooks* has been unrouted; forgets all others."""
        wanted = set(hooks)
        known = _by_hook(self._calls.ask("hgetall", keys.REGISTRAR_UNROUTED), decoding.moment)
        gone = [str(hook) for hook in known.keys() - wanted]
        fresh = {str(hook): now_ms for hook in wanted - known.keys()}
        if gone:
            self._calls.ask("hdel", keys.REGISTRAR_UNROUTED, *gone)
        for hook, since in fresh.items():
            self._calls.ask("hsetnx", keys.REGISTRAR_UNROUTED, hook, since)
        return {hook: known.get(hook, now_ms) for hook in wanted}

    def flaps(self) -> Mapping[int, Flap]:
        """Return the flaps of all hooks that were re-enabled."""
        found = self._calls.ask("hgetall", keys.REGISTRAR_FLAPS)
        return _by_hook(found, _flap)

    def remember_flap(self, hook: int, flap: Flap) -> None:
        """Remember that *hook* was re-enabled."""
        self._calls.ask("hset", keys.REGISTRAR_FLAPS, str(hook), orjson.dumps(asdict(flap)))

    def forget_flaps(self, hooks: Iterable[int]) -> None:
        """Forget hooks that stayed healthy, or are gone."""
        names = [str(hook) for hook in hooks]
        if names:
            self._calls.ask("hdel", keys.REGISTRAR_FLAPS, *names)

    def remember_found(self, found: HooksFound) -> None:
        """Store the condition of the hooks, for metrics and alerts."""
        businesses = {str(business): counts for business, counts in found.businesses.items()}
        fields = {"at_ms": found.at_ms, "healthy": found.healthy, "businesses": businesses}
        self._calls.ask("set", keys.REGISTRAR_HEALTH, orjson.dumps(fields))

    def count(self, act: str) -> None:
        """Count one act, such as `created` or `reenabled`."""
        self._calls.ask("hincrby", keys.REGISTRAR_COUNTS, act, 1)

    def counts(self) -> Mapping[str, int]:
        """Return how often each kind of act was done, ever."""
        found = self._calls.ask("hgetall", keys.REGISTRAR_COUNTS)
        return decoding.numbers(found)

    def last_received(self) -> Mapping[tuple[int, str], int]:
        """Return when the last event of each (business, action) was stored, in Unix milliseconds."""
        found = self._calls.ask("hgetall", keys.RECEIVED)
        received = {}
        for pair, at in found.items():
            business, _, action = decoding.text(pair).partition("/")
            number, at_ms = decoding.number(business), decoding.moment(at)
            if number is not None and at_ms is not None:
                received[number, action] = at_ms
        return received


def _by_hook(found: Mapping[bytes, bytes], read: Callable[[bytes], _Value | None]) -> dict[int, _Value]:
    """Parse a hash with one entry for each hook; an entry that cannot be read is left out."""
    entries = ((decoding.number(hook), read(value)) for hook, value in found.items())
    return {hook: value for hook, value in entries if hook is not None and value is not None}


def _flap(stored: bytes) -> Flap | None:
    with contextlib.suppress(ValueError, KeyError, TypeError):
        fields = orjson.loads(stored)
        count, last_ms = decoding.number(fields["count"]), decoding.moment(fields["last_ms"])
        return None if count is None or last_ms is None else Flap(count, last_ms)
    return None
