"""Group commit: every event that arrives in one turn of the event loop goes to Redis in one call.

A lone event waits for nothing; under load batches form by themselves while earlier ones are on their way. Nobody is
answered before the reply to the batch that holds its event.
"""

import asyncio
from collections import deque

import redis.asyncio
from redis.exceptions import RedisError

from receiver import logs
from receiver.errors import RequestRefused, StorageUnavailable
from receiver.storage import keep, scripts
from receiver.storage.entries import Entry, Receipt

_BATCHES_IN_FLIGHT = 2
_MOST_PENDING = 20_000
_QUARANTINE_SHARE = 10
_LIMIT_AGE_S = 60.0

_log = logs.get()


class Committer:
    """Keeps events in Redis, many in one call. Belongs to one event loop; made before it runs, used inside it."""

    def __init__(self, client: redis.asyncio.Redis, *, timeout_s: float = 5.0) -> None:
        """*timeout_s*: how long one call may take before its events count as not kept."""
        self._client = client
        self._script = client.register_script(scripts.source("keep"))
        self._timeout_s = timeout_s
        self._pending: deque[tuple[Entry, asyncio.Future[Receipt]]] = deque()
        self._flying: set[asyncio.Task[None]] = set()
        self._scheduled = False
        self._quarantine_limit = 0
        self._limit_read_at = float("-inf")

    async def keep(self, entry: Entry) -> Receipt:
        """Return when the event is in Redis.

        Raises StorageUnavailable when that is not certain, RequestRefused (503) when quarantine is full.
        """
        if len(self._pending) >= _MOST_PENDING:
            raise StorageUnavailable(f"{_MOST_PENDING} events are waiting for Redis already")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[Receipt] = loop.create_future()
        self._pending.append((entry, answer))
        if not self._scheduled and len(self._flying) < _BATCHES_IN_FLIGHT:
            self._scheduled = True
            loop.call_soon(self._flush)
        return await answer

    async def ping(self) -> bool:
        """Whether Redis answers in time."""
        try:
            async with asyncio.timeout(self._timeout_s):
                return bool(await self._client.ping())
        except (RedisError, OSError, TimeoutError):
            return False

    async def close(self) -> None:
        """Wait for what is on its way, then close the connections."""
        while self._flying or self._pending:
            if not self._flying:
                self._flush()
            await asyncio.wait(self._flying)
        await self._client.aclose()

    def _flush(self) -> None:
        self._scheduled = False
        while self._pending and len(self._flying) < _BATCHES_IN_FLIGHT:
            size = min(len(self._pending), keep.LARGEST_BATCH)
            batch = [self._pending.popleft() for _ in range(size)]
            task = asyncio.get_running_loop().create_task(self._commit(batch))
            self._flying.add(task)
            task.add_done_callback(self._landed)

    def _landed(self, task: asyncio.Task[None]) -> None:
        self._flying.discard(task)
        self._flush()

    async def _commit(self, batch: list[tuple[Entry, asyncio.Future[Receipt]]]) -> None:
        """Send one batch and answer everyone in it, whatever happens: no caller is left waiting."""
        try:
            receipts = await self._send([entry for entry, _ in batch])
        except StorageUnavailable as error:
            _log.error("commit.failed", events=len(batch), error=str(error))
            for _, answer in batch:
                if not answer.done():
                    answer.set_exception(StorageUnavailable(str(error)))
            return
        for (_, answer), receipt in zip(batch, receipts, strict=True):
            if answer.done():
                continue
            if receipt is None:
                answer.set_exception(RequestRefused(503, "quarantine is full", retry_after=60))
            else:
                answer.set_result(receipt)

    async def _send(self, entries: list[Entry]) -> list[Receipt | None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                limit = keep.NO_LIMIT
                if any(entry.envelope.quarantine for entry in entries):
                    limit = await self._read_quarantine_limit()
                reply = await self._script(args=keep.arguments(entries, quarantine_limit=limit))
        except (RedisError, OSError, TimeoutError) as error:
            # Redis may have kept the batch without our hearing of it: the ids make a repetition harmless.
            raise StorageUnavailable(f"Redis: {type(error).__name__}: {error}") from error
        return keep.receipts(entries, reply)

    async def _read_quarantine_limit(self) -> int:
        """A tenth of the memory that the server may use: strangers cannot fill what customers' events need."""
        now = asyncio.get_running_loop().time()
        if now - self._limit_read_at > _LIMIT_AGE_S:
            memory = await self._client.info("memory")
            bound = int(memory.get("maxmemory") or 0) or int(memory.get("total_system_memory") or 0)
            self._quarantine_limit = bound // _QUARANTINE_SHARE or keep.NO_LIMIT
            self._limit_read_at = now
        return self._quarantine_limit
