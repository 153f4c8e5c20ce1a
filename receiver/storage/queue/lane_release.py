"""Releases lanes that wait for a receiver's spool, even if no receiver is left that would do it (spooled_lanes.lua)."""

import redis

from receiver.storage.redis.store_client import StoreClient

_MOST_CALLS = 100


class LaneRelease:
    """Releases lanes that need not wait any more, and forgets receivers that have been silent for long."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client, "announce_spool")

    def turn(self) -> None:
        """Check the lanes that are due, and repeat that as long as some are released. Raises StorageUnavailable."""
        for _ in range(_MOST_CALLS):
            if not self._calls.run("announce_spool", "", 0, 0, "n", "")[0]:
                return
