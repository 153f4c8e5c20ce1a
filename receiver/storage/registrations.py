"""What the registrar remembers between its runs, and what the store last received on each hook."""

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass

import orjson
import redis

from receiver.storage import keys
from receiver.storage.outage import outage


@dataclass(frozen=True, slots=True)
class Flap:
    """How often in a row a hook had to be re-enabled, and when last (Unix milliseconds)."""

    count: int
    last_ms: int


@dataclass(frozen=True, slots=True)
class HooksFound:
    """How the watch found the hooks, and when (Unix ms): for each business how many are in which condition, those left
    out that are healthy."""

    at_ms: int
    healthy: int
    businesses: Mapping[int, Mapping[str, int]]


def read_found(stored: bytes | None) -> HooksFound | None:
    """Read what the key `fd:registrar:health` holds; None for nothing, and for what this version cannot read."""
    with contextlib.suppress(ValueError, KeyError, TypeError, AttributeError):
        fields = orjson.loads(stored or b"")
        businesses = {
            int(business): {str(condition): int(count) for condition, count in counts.items()}
            for business, counts in fields["businesses"].items()
        }
        return HooksFound(int(fields["at_ms"]), int(fields["healthy"]), businesses)
    return None


class RegistrarMemory:
    """Small hashes in Redis, of one entry per hook. Every method raises StorageUnavailable."""

    def __init__(self, connection: redis.Redis) -> None:
        self._redis = connection

    def unrouted_since(self, hooks: Iterable[int], *, now_ms: int) -> Mapping[int, int]:
        """Return since when (Unix milliseconds) each of *hooks* has been unrouted; forgets all others."""
        wanted = set(hooks)
        with _Storage():
            known = {int(hook): int(since) for hook, since in self._redis.hgetall(keys.REGISTRAR_UNROUTED).items()}
            gone = [str(hook) for hook in known.keys() - wanted]
            fresh = {str(hook): now_ms for hook in wanted - known.keys()}
            if gone:
                self._redis.hdel(keys.REGISTRAR_UNROUTED, *gone)
            for hook, since in fresh.items():
                self._redis.hsetnx(keys.REGISTRAR_UNROUTED, hook, since)
        return {hook: known.get(hook, now_ms) for hook in wanted}

    def flaps(self) -> Mapping[int, Flap]:
        """Return what is remembered of hooks that were re-enabled."""
        with _Storage():
            found = self._redis.hgetall(keys.REGISTRAR_FLAPS)
        return {int(hook): Flap(**orjson.loads(flap)) for hook, flap in found.items()}

    def remember_flap(self, hook: int, flap: Flap) -> None:
        """Remember that *hook* was re-enabled."""
        with _Storage():
            self._redis.hset(keys.REGISTRAR_FLAPS, str(hook), orjson.dumps(asdict(flap)))

    def forget_flaps(self, hooks: Iterable[int]) -> None:
        """Forget hooks that stayed healthy, or are gone."""
        names = [str(hook) for hook in hooks]
        if names:
            with _Storage():
                self._redis.hdel(keys.REGISTRAR_FLAPS, *names)

    def remember_found(self, found: HooksFound) -> None:
        """Remember how the hooks were found, for metrics and alerts."""
        businesses = {str(business): counts for business, counts in found.businesses.items()}
        with _Storage():
            told = {"at_ms": found.at_ms, "healthy": found.healthy, "businesses": businesses}
            self._redis.set(keys.REGISTRAR_HEALTH, orjson.dumps(told))

    def count(self, act: str) -> None:
        """Count one act, such as `created` or `reenabled`."""
        with _Storage():
            self._redis.hincrby(keys.REGISTRAR_COUNTS, act, 1)

    def counts(self) -> Mapping[str, int]:
        """Return how often each kind of act was done, ever."""
        with _Storage():
            found = self._redis.hgetall(keys.REGISTRAR_COUNTS)
        return {_text(act): int(count) for act, count in found.items()}

    def last_received(self) -> Mapping[tuple[int, str], int]:
        """Return when the store last kept an event of each (business, action), in Unix milliseconds."""
        with _Storage():
            found = self._redis.hgetall(keys.RECEIVED)
        received = {}
        for pair, at in found.items():
            business, _, action = _text(pair).partition("/")
            if business.isdigit() and at.isdigit():
                received[int(business), action] = int(at)
        return received


def _text(value: bytes | str) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


class _Storage:
    """Turns redis's exceptions into ours."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, at: object) -> None:
        if isinstance(error, redis.RedisError):
            raise outage(error) from error
