"""Warnings of a receiver that is ready: it cannot spool, or the store has lost data or can lose it.

A thread checks this every few seconds, so that /readyz answers at once.
"""

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

import redis

from receiver.core.errors import StorageUnavailable
from receiver.process import background, logs
from receiver.storage.accounting.data_loss import LossDetector
from receiver.storage.redis import preflight

_LOOK_EVERY_S: Final = 5.0

_log = logs.get()


class Degraded:
    """For one event loop. *spool*: why the spool cannot be used, if it cannot."""

    def __init__(self, client: redis.Redis, losses: LossDetector, spool: Callable[[], str | None]) -> None:
        self._client = client
        self._losses = losses
        self._spool = spool
        self._of_store: tuple[str, ...] = ()

    def reasons(self) -> Iterator[str]:
        """Yield a sentence for each."""
        if trouble := self._spool():
            yield f"nothing can be spooled: {trouble}"
        yield from self._of_store

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            try:
                self._of_store = await asyncio.wrap_future(background.begin(self._look))
            except StorageUnavailable:
                pass  # the readiness check itself reports that
            except Exception:  # noqa: BLE001 - a fault in one look must not end all of them, unseen
                _log.exception("degraded.failed")
            await asyncio.sleep(_LOOK_EVERY_S)

    def _look(self) -> tuple[str, ...]:
        lost = [loss.sentence for loss in self._losses.turn()]
        return (*lost, *preflight.unfit(self._client).values())
