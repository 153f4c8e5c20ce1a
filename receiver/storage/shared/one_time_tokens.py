"""Tokens that are valid once, across all consoles: sign-in links, and sessions until they sign out."""

import hashlib

import redis

from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient


class OneTimeTokens:
    """Remembers used tokens for as long as they would have been valid. The store holds digests, not the tokens."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client)

    def spend(self, what: str, keep_ms: int) -> bool:
        """Use a token; return whether it was unused. Of two calls at once, one gets True. Raises StorageUnavailable."""
        return bool(self._calls.ask("set", _key(what), 1, nx=True, px=max(keep_ms, 1)))

    def is_spent(self, what: str) -> bool:
        """Return whether a token was used. Raises StorageUnavailable."""
        return bool(self._calls.ask("exists", _key(what)))


def _key(what: str) -> str:
    return keys.spent(hashlib.sha256(what.encode()).hexdigest()[:32])
