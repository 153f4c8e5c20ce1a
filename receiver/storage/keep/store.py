"""The receiver's calls to Redis: store a batch, write a report, read the memory in use. Each has a timeout.

Every failure is a StorageUnavailable. After a timeout the call may still be carried out; because every event has its
id, sending it again is harmless.
"""

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import redis.asyncio
from redis.exceptions import NoScriptError, ResponseError

from receiver.core.errors import LayoutUnknown, StorageUnavailable
from receiver.storage.model import keep_script
from receiver.storage.model.entries import Entry, Receipt
from receiver.storage.redis import clock, keys, mending, schema_version, scripts
from receiver.storage.redis.raw_connection import Command, RawConnections, Replies
from receiver.storage.redis.store_client import guarded

OnReceipts = Callable[[list[Receipt | None] | StorageUnavailable | None], None]
"""Called with what `keep` returns or raises; None: nothing was done, and `keep` has to be called."""

_QUARANTINE_SHARE = 10  # quarantine may use a tenth of the server's memory limit
_LIMIT_AGE_S = 60.0


@dataclass(frozen=True, slots=True)
class Memory:
    """Bytes of memory that the server uses, and its limit; *limit* 0: there is none."""

    used: int
    limit: int


class Store:
    """The server, for one event loop. *replicas*: how many must confirm a write before it counts; 0: none."""

    def __init__(self, client: redis.asyncio.Redis, *, replicas: int = 0) -> None:
        self._client = client
        self._wires = RawConnections(client.connection_pool)
        self._source = scripts.source("keep")
        self._sha = client.register_script(self._source).sha
        self._replicas = replicas
        self._is_loaded = False
        self._quarantine_limit = 0
        self._limit_read_at = float("-inf")

    async def settle(self, *, timeout_s: float) -> None:
        """Check that this version may write to this store."""
        try:
            async with _bounded(timeout_s):
                await schema_version.settle_async(self._client)
        except LayoutUnknown as error:
            raise StorageUnavailable(str(error)) from error

    async def keep(
        self, entries: Sequence[Entry], *, timeout_s: float, confirm_ms: int = 100, alias_ms: int = 0
    ) -> list[Receipt | None]:
        """Store a batch, in several calls if needed. None: an event that was not stored because quarantine is full.

        *timeout_s* is for all calls together. *confirm_ms*: how long to wait for replicas, if any. *alias_ms*: see
        `keep_script.arguments`.
        Raises StorageUnavailable if it is not certain that every event is stored.
        """
        async with _bounded(timeout_s):
            limit = keep_script.NO_LIMIT
            if any(entry.envelope.quarantine for entry in entries):
                limit = await self._read_quarantine_limit()
            receipts: list[Receipt | None] = []
            for batch in keep_script.calls(entries):
                arguments = keep_script.arguments(batch, quarantine_limit=limit, alias_ms=alias_ms)
                receipts += keep_script.receipts(batch, await self._run(arguments, confirm_ms))
                for entry in batch:
                    if keep_script.is_long(entry):
                        await self._continue(entry.envelope.id, confirm_ms)
            return receipts

    def keep_at_once(
        self, entries: Sequence[Entry], *, timeout_s: float, confirm_ms: int, on_receipts: OnReceipts
    ) -> bool:
        """Do what `keep` does with one call and one callback, without a coroutine.

        Return False, without calling *on_receipts*, if that is impossible now: there is no connection yet, or one event
        needs more than one call. *entries* have to fit into one call, as `keep_script.calls` splits them.
        """
        if not self._is_loaded:
            return False
        for entry in entries:
            if entry.envelope.quarantine or keep_script.is_long(entry):
                return False
        command = ("EVALSHA", self._sha, 0, *keep_script.arguments(entries))
        confirmation = self._confirmation(confirm_ms)
        on_replies = partial(self._kept, entries, confirm_ms, on_receipts)
        return self._wires.send(command, *confirmation, timeout_s=timeout_s, on_replies=on_replies)

    def _kept(
        self, entries: Sequence[Entry], confirm_ms: int, on_receipts: OnReceipts, replies: Replies | Exception
    ) -> None:
        try:
            with guarded(RuntimeError):
                if isinstance(replies, Exception):
                    raise replies
                receipts = keep_script.receipts(entries, self._judge(replies, confirm_ms))
        except StorageUnavailable as error:
            if isinstance(error.__cause__, NoScriptError) or mending.is_needed(error.__cause__):
                self._is_loaded = False
                on_receipts(None)
            else:
                on_receipts(error)
        else:
            on_receipts(receipts)

    async def _continue(self, event_id: str, confirm_ms: int) -> None:
        """Create the remaining deliveries of a long event. If this process ends before, maintenance creates them."""
        while keep_script.left(await self._run(keep_script.continuation(event_id), confirm_ms)):
            pass

    async def _run(self, arguments: list[bytes | str | int], confirm_ms: int) -> list[bytes]:
        try:
            return await self._confirmed(("EVALSHA", self._sha, 0, *arguments), confirm_ms)
        except ResponseError as error:
            if not mending.is_needed(error):
                raise
        mending.tell("keep")
        return await self._confirmed(("EVAL", scripts.mending("keep"), 0, *arguments), confirm_ms)

    async def run(self, name: str, *arguments: str | int, timeout_s: float) -> Any:
        """Run a script that needs no confirmation, and return its reply. Raises StorageUnavailable."""
        source = scripts.source(name)
        sha = hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()
        async with _bounded(timeout_s):
            try:
                return (await self._ask(("EVALSHA", sha, 0, *arguments)))[0]
            except NoScriptError:
                pass
            except ResponseError as error:
                if not mending.is_needed(error):
                    raise
                mending.tell(name)
                source = scripts.mending(name)
            return (await self._ask(("EVAL", source, 0, *arguments)))[0]

    async def report(
        self, values: Mapping[str, bytes], gone: Collection[str] = (), *, timeout_s: float, confirm_ms: int = 100
    ) -> None:
        """Write the reports of spools, and remove those of spools that are *gone*.

        A receiver also uses it to find out whether the store accepts writes again: the report of a spool that is gone
        may be written, so there is always something to write.
        """
        async with _bounded(timeout_s):
            commands: list[Command] = []
            if values:
                commands.append(("HSET", keys.SPOOLS, *[part for pair in values.items() for part in pair]))
            if gone:
                commands.append(("HDEL", keys.SPOOLS, *gone))
            try:
                await self._ask(*commands)
            except ResponseError as error:
                if not mending.is_needed(error):
                    raise
                mending.tell("report")
                await self._ask(("EVAL", scripts.mending("mend"), 0, "HSET", keys.SPOOLS, ""), *commands)
            if self._replicas:
                await self._confirmed(("HDEL", keys.SPOOLS, ""), confirm_ms)

    async def memory(self, *, timeout_s: float) -> Memory:
        """Return how much memory the server uses, and its limit."""
        async with _bounded(timeout_s):
            about = await self._client.info("memory")
            return Memory(int(about.get("used_memory") or 0), int(about.get("maxmemory") or 0))

    async def time(self, *, timeout_s: float) -> float:
        """Return the server's clock, in Unix seconds."""
        async with _bounded(timeout_s):
            return clock.seconds(await self._client.time())

    async def answers(self, *, timeout_s: float) -> bool:
        """Whether the server answers in time."""
        try:
            async with _bounded(timeout_s):
                return bool(await self._client.ping())
        except StorageUnavailable:
            return False

    async def close(self) -> None:
        """Close the connections."""
        await self._wires.close()
        await self._client.aclose()

    async def _confirmed(self, command: Command, confirm_ms: int) -> list[bytes]:
        """Send a write, followed by WAIT if replicas must confirm, and return the reply to the write.

        WAIT covers only the last write of its own connection. If a batch is stored already, the script writes nothing,
        and the call that stored it may have used another connection and be unconfirmed: hence the extra write between.
        """
        while True:
            if not self._is_loaded:  # with NOSCRIPT, the wait for the replicas would be wasted
                await self._ask(("SCRIPT", "LOAD", self._source))
                self._is_loaded = True
            try:
                return self._judge(await self._wires.ask(command, *self._confirmation(confirm_ms)), confirm_ms)
            except NoScriptError:
                self._is_loaded = False

    def _confirmation(self, confirm_ms: int) -> tuple[Command, ...]:
        return (("SET", keys.WAITED_FOR, ""), ("WAIT", self._replicas, confirm_ms)) if self._replicas else ()

    def _judge(self, replies: Replies, confirm_ms: int) -> list[bytes]:
        """Return the reply to a write. Raises the first refusal, and StorageUnavailable if too few replicas confirm."""
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        if self._replicas and int(replies[-1]) < self._replicas:
            raise StorageUnavailable(
                f"{replies[-1]} of {self._replicas} replicas have confirmed within {confirm_ms} ms"
            )
        kept: list[bytes] = replies[0]
        return kept

    async def _ask(self, *commands: Command) -> list[Any]:
        """Send commands in one round trip and return their replies. Raises the first refusal among them."""
        replies = await self._wires.ask(*commands)
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    async def _read_quarantine_limit(self) -> int:
        """Return a tenth of the server's memory limit: forged requests must not use up that of real events."""
        now = asyncio.get_running_loop().time()
        if now - self._limit_read_at > _LIMIT_AGE_S:
            memory = await self._client.info("memory")
            bound = int(memory.get("maxmemory") or 0) or int(memory.get("total_system_memory") or 0)
            self._quarantine_limit = bound // _QUARANTINE_SHARE or keep_script.NO_LIMIT
            self._limit_read_at = now
        return self._quarantine_limit


@contextlib.asynccontextmanager
async def _bounded(timeout_s: float) -> AsyncIterator[None]:
    # uvloop raises RuntimeError if a connection ended between two calls, and redis-py passes it on.
    with guarded(RuntimeError):
        async with asyncio.timeout(timeout_s):
            yield
