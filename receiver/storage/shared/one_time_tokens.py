"""What may be used once, across all consoles: a sign-in link, and a session that was signed out of."""

import hashlib

import redis
from redis.exceptions import RedisError

from receiver.core.errors import StorageUnavailable
from receiver.storage.redis import keys


class Spent:
    """Remembers what was used up, for as long as it would have been good. Keeps digests, not what they are of."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client

    def spend(self, what: str, keep_ms: int) -> bool:
        """Use *what* up; whether it was good till now. Of two at once, one gets True. Raises StorageUnavailable."""
        try:
            return bool(self._client.set(_key(what), 1, nx=True, px=max(keep_ms, 1)))
        except (RedisError, OSError) as error:
            raise StorageUnavailable(f"Redis: {type(error).__name__}: {error}") from error

    def is_spent(self, what: str) -> bool:
        """Whether *what* was used up. Raises StorageUnavailable."""
        try:
            return bool(self._client.exists(_key(what)))
        except (RedisError, OSError) as error:
            raise StorageUnavailable(f"Redis: {type(error).__name__}: {error}") from error


def _key(what: str) -> str:
    return keys.spent(hashlib.sha256(what.encode()).hexdigest()[:32])
