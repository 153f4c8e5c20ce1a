"""Helpers for asyncio tasks, and for results that arrive through a callback."""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any

from receiver.process import logs
from receiver.storage.model.entries import Entry, OnResult, Receipt, StoreResult

_CANCEL_AGAIN_S = 0.2
_AFTER_ERROR_S = 1.0

_log = logs.get()


async def end(tasks: Collection[asyncio.Task[None]]) -> None:
    """Cancel tasks until they are over.

    Once is not enough: Python 3.11's `asyncio.wait_for`, in which redis-py writes to its socket, swallows a cancel
    that comes just as it is done (https://github.com/python/cpython/issues/86296).
    """
    while unfinished := [task for task in tasks if not task.done()]:
        for task in unfinished:
            task.cancel()
        await asyncio.wait(unfinished, timeout=_CANCEL_AGAIN_S)


async def outcome_of(submit: Callable[[Entry, OnResult, Any], None], entry: Entry) -> Receipt:
    """Submit an entry and return its receipt; raise the error if it has none."""
    answer: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
    submit(entry, _settle, answer)
    return await answer


def _settle(_: Entry, outcome: StoreResult, answer: asyncio.Future[Receipt]) -> None:
    if answer.done():
        return
    if isinstance(outcome, Receipt):
        answer.set_result(outcome)
    else:
        answer.set_exception(outcome)


async def for_ever(run: Callable[[], Awaitable[None]]) -> None:
    """Restart *run* whenever it ends: without these tasks, all events would silently be spooled and never drained."""
    while True:
        try:
            await run()
        except Exception as error:  # noqa: BLE001 - a fault of ours must not cost what is in the spool
            _log.error("keeper.failed", error=f"{type(error).__name__}: {error}")
        await asyncio.sleep(_AFTER_ERROR_S)
