"""What may be used once, across all consoles: a sign-in link, and a session that was signed out of."""

import hashlib

import redis

from receiver.storage.redis import keys
from receiver.storage.redis.client import StoreClient


class OneTimeTokens:
    """Remembers what was used up, for as long as it would have been good. Keeps digests, not what they are of."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client)

    def spend(self, what: str, keep_ms: int) -> bool:
        """Use *what* up; whether it was good till now. Of two at once, one gets True. Raises StorageUnavailable."""
        return bool(self._calls.ask("set", _key(what), 1, nx=True, px=max(keep_ms, 1)))

    def is_spent(self, what: str) -> bool:
        """Whether *what* was used up. Raises StorageUnavailable."""
        return bool(self._calls.ask("exists", _key(what)))


def _key(what: str) -> str:
    return keys.spent(hashlib.sha256(what.encode()).hexdigest()[:32])
