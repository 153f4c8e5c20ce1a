"""Answers a scrape of the store's metrics in time, even if the store or its name server hangs. The metrics themselves
are in `receiver.observation.prometheus_exposition`."""

import asyncio
from concurrent.futures import Future
from typing import Final

import redis

from receiver.core.errors import StorageUnavailable
from receiver.observation import status_snapshot
from receiver.observation.prometheus_exposition import exposition
from receiver.process import background

WITHIN_S: Final = 2.0
"""Seconds after which a scrape is answered without the store. After ten, Prometheus takes the receiver for dead."""


class MetricsScrape:
    """Takes one snapshot of the store at a time, outside the event loop that serves requests."""

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._looking: Future[bytes] | None = None

    async def __call__(self) -> bytes:
        """Return the store's metrics in Prometheus's text form; after WITHIN_S, only those that need no store."""
        if self._looking is None or self._looking.done():
            self._looking = background.begin(self._look)
        try:
            async with asyncio.timeout(WITHIN_S):
                return await asyncio.shield(asyncio.wrap_future(self._looking))
        except TimeoutError:
            return exposition(None)

    def _look(self) -> bytes:
        try:
            return exposition(status_snapshot.look(self._client))
        except StorageUnavailable:
            return exposition(None)
