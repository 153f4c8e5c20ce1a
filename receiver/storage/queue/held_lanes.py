"""Lanes that wait for a receiver: looked at also when no receiver is left that would (scripts/order.lua)."""

import redis

from receiver.storage.redis.calls import Calls

_MOST_CALLS = 100


class HeldLanes:
    """Lets lanes go on that need not wait any more, and forgets receivers that are silent for long."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = Calls(client, "announce")

    def turn(self) -> None:
        """Look at what is due, and again as long as something goes on. Raises StorageUnavailable."""
        for _ in range(_MOST_CALLS):
            if not self._calls.run("announce", "", 0, 0, "n", "")[0]:
                return
