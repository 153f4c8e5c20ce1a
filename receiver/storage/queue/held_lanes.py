"""Lanes that wait for a receiver: looked at also when no receiver is left that would (spooled_lanes.lua)."""

import redis

from receiver.storage.redis.client import StoreClient

_MOST_CALLS = 100


class HeldLanes:
    """Lets lanes go on that need not wait any more, and forgets receivers that are silent for long."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client, "announce_spool")

    def turn(self) -> None:
        """Look at what is due, and again as long as something goes on. Raises StorageUnavailable."""
        for _ in range(_MOST_CALLS):
            if not self._calls.run("announce_spool", "", 0, 0, "n", "")[0]:
                return
