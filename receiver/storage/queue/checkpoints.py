"""Remembers which steps handlers have taken (`once`): stored with the event, deleted when it expires or is erased."""

from dataclasses import dataclass

import redis

from receiver.storage.redis.store_client import StoreClient

MOST = 256
"""Steps that the handlers of one event may take in all routes together."""


@dataclass(frozen=True, slots=True)
class KnownStep:
    """What is known about a step that was started before: its result as JSON if it was completed."""

    begun: bool = False
    result: bytes | None = None


class TooManySteps(Exception):
    """An event whose handlers take more steps than are remembered."""


class Steps:
    """The steps of stored events. Methods raise StorageUnavailable; each is one call, and may be repeated."""

    def __init__(self, client: redis.Redis) -> None:
        self._calls = StoreClient(client, "checkpoint")

    def begin(self, event_id: str, step: str) -> KnownStep | None:
        """Note that a step starts, and return what was known about it; None: the event is gone, so nothing is noted.

        Raises TooManySteps.
        """
        reply = self._calls.run("checkpoint", event_id, step, MOST)
        if reply is None:
            return None
        if reply == b"full":
            raise TooManySteps(f"event {event_id} has {MOST} steps already; no more are remembered")
        return KnownStep(begun=reply == b"?", result=reply if reply not in (b"", b"?") else None)

    def done(self, event_id: str, step: str, result: bytes) -> None:
        """Note that a step was completed, with its result as JSON. Does nothing if the event is gone."""
        self._calls.run("checkpoint", event_id, step, MOST, result)
