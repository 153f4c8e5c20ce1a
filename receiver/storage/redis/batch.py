"""Many commands in one round trip, for those who look at the store as a whole."""

from collections.abc import Iterable
from typing import Any

import redis
from redis.exceptions import RedisError

from receiver.storage.redis.outage import outage


def replies(client: redis.Redis, commands: Iterable[tuple[Any, ...]]) -> list[Any]:
    """Return the replies to *commands*, each written as its name and arguments. Raises StorageUnavailable."""
    asked: Any = client.pipeline(transaction=False)
    with asked as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        try:
            found: list[Any] = pipeline.execute()
        except (RedisError, OSError) as error:
            raise outage(error) from error
    return found
