"""Which reading the signatures of each scope of secrets were seen to have, shared by all receivers and `release`.

Whatever the store holds is believed only so far as it names a reading; "raw" is proof and is never replaced.
"""

from collections.abc import Mapping
from typing import Final, Literal, cast

import redis

from receiver.storage.redis import keys
from receiver.storage.redis.client import StoreClient

Reading = Literal["raw", "dotnet-ascii"]

_KNOWN: Final = frozenset({"raw", "dotnet-ascii"})


def read(client: redis.Redis) -> dict[str, Reading]:
    """Return the reading of each scope that has one. Raises StorageUnavailable."""
    kept = {scope.decode(errors="replace"): text.decode(errors="replace") for scope, text in _hash(client).items()}
    return {scope: cast("Reading", text) for scope, text in kept.items() if text in _KNOWN}


def share(client: redis.Redis, learnt: Mapping[str, Reading]) -> dict[str, Reading]:
    """Add what was learnt here, and return what all have learnt. Raises StorageUnavailable."""
    kept = read(client)
    news = {scope: reading for scope, reading in learnt.items() if kept.get(scope) not in (reading, "raw")}
    if news:
        StoreClient(client).ask("hset", keys.READINGS, mapping=news)
    return kept | news


def _hash(client: redis.Redis) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = StoreClient(client).ask("hgetall", keys.READINGS)
    return found
