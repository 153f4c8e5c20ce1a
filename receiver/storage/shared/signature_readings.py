"""The reading of signatures that each scope of secrets was seen to use, shared by all receivers and `release`.

A value in the store that is not the name of a reading is ignored; "raw" is certain and is never replaced.
"""

from collections.abc import Mapping
from typing import Final, Literal, cast

import redis

from receiver.storage.redis import keys
from receiver.storage.redis.store_client import StoreClient

Reading = Literal["raw", "dotnet-ascii"]

_KNOWN: Final = frozenset({"raw", "dotnet-ascii"})


def read(client: redis.Redis) -> dict[str, Reading]:
    """Return the known reading of each scope. Raises StorageUnavailable."""
    kept = {scope.decode(errors="replace"): text.decode(errors="replace") for scope, text in _hash(client).items()}
    return {scope: cast("Reading", text) for scope, text in kept.items() if text in _KNOWN}


def share(client: redis.Redis, learnt: Mapping[str, Reading]) -> dict[str, Reading]:
    """Add what this process has learnt, and return what all processes have learnt. Raises StorageUnavailable."""
    kept = read(client)
    news = {scope: reading for scope, reading in learnt.items() if kept.get(scope) not in (reading, "raw")}
    if news:
        StoreClient(client).ask("hset", keys.READINGS, mapping=news)
    return kept | news


def _hash(client: redis.Redis) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = StoreClient(client).ask("hgetall", keys.READINGS)
    return found
