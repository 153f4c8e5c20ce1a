"""The steps of deliveries that handlers have taken: kept with the event, gone when it expires or is erased."""

from dataclasses import dataclass

import redis

from receiver.storage.redis.client import StoreClient

MOST = 256
"""Steps that the handlers of one event may take, all routes together."""


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a step: that it was begun before, and its result as JSON when it was done."""

    begun: bool = False
    result: bytes | None = None


class TooManySteps(Exception):
    """An event whose handlers take more steps than are remembered."""


class Steps:
    """The steps of events that are kept. Methods raise StorageUnavailable; each is one call, and may be repeated."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client, "checkpoint")

    def begin(self, event_id: str, step: str) -> Known | None:
        """Note that a step begins, and return what was known of it; None: the event is not kept, nothing is noted.

        Raises TooManySteps.
        """
        reply = self._calls.run("checkpoint", event_id, step, MOST)
        if reply is None:
            return None
        if reply == b"full":
            raise TooManySteps(f"event {event_id} has {MOST} steps already; no more are remembered")
        return Known(begun=reply == b"?", result=reply if reply not in (b"", b"?") else None)

    def done(self, event_id: str, step: str, result: bytes) -> None:
        """Remember that a step was done, and its result as JSON. Does nothing for an event that is gone."""
        self._calls.run("checkpoint", event_id, step, MOST, result)
