"""Commands sent to the server without redis-py in between: packed in one piece, and answered by one future.

redis-py connects, authenticates and asks the sentinels, as it does for everything else. Then this module takes over the
socket. A call through redis-py costs this process 300 µs, a call through this module 30 µs; every event pays a part.
"""

import asyncio
from collections.abc import Callable, Iterable
from typing import Any

import hiredis
import redis.asyncio
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ReadOnlyError

Command = Iterable[bytes | str | int]

_pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command  # it takes any number


class RawConnections:
    """The connections of one event loop. Each carries one call at a time, so that a late reply delays no other call."""

    def __init__(self, pool: redis.asyncio.ConnectionPool) -> None:
        """*pool* knows how to connect; none of its own connections are used."""
        self._pool = pool
        self._idle: list[_RawConnection] = []

    async def ask(self, *commands: Command) -> list[Any]:
        """Send *commands* in one piece and return their replies; what the server refused is a ResponseError among them.

        Raises RedisError or OSError when the server cannot be reached or hangs up. Bound it in time: whoever is
        cancelled here leaves a connection behind that is not used again.
        """
        packed = b"".join([_pack(tuple(command)) for command in commands])
        raw = await self._take()
        try:
            replies = await raw.ask(packed, len(commands))
        except BaseException:
            raw.cut()
            raise
        if any(isinstance(reply, ReadOnlyError) for reply in replies):
            raw.cut()  # a primary no more: the next one is asked for at the sentinels
        else:
            self._idle.append(raw)
        return replies

    async def close(self) -> None:
        """Close the connections."""
        while self._idle:
            self._idle.pop().cut()
        await asyncio.sleep(0)  # so long the loop takes to be rid of them

    async def _take(self) -> "_RawConnection":
        while self._idle:
            raw = self._idle.pop()
            if raw.is_open and raw.primary == self._primary:
                return raw
            raw.cut()
        connection: Any = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return _RawConnection(connection, self._primary)

    @property
    def _primary(self) -> object:
        """Whom the sentinels named last, to anybody who shares the pool; None where there are none.

        A primary that was frozen and replaced takes writes for ten seconds when it wakes up, and then forgets them.
        """
        return getattr(self._pool, "master_address", None)


class _RawConnection(asyncio.Protocol):
    """One connection, taken over from *connection*, which has just connected and holds nothing unread."""

    def __init__(self, connection: Any, primary: object) -> None:
        # The streams stay as they are, for asyncio complains about those that are collected; they are only never used.
        self._writer: asyncio.StreamWriter = connection._writer  # noqa: SLF001 - there is no other way to it
        connection._reader = connection._writer = None  # noqa: SLF001
        self._streams = self._writer.transport.get_protocol()
        self._writer.transport.set_protocol(self)
        self.primary = primary
        self._parser = hiredis.Reader(replyError=BaseParser.parse_error)
        self._replies: list[Any] = []
        self._missing = 0
        self._answer: asyncio.Future[list[Any]] | None = None
        self.is_open = not self._writer.transport.is_closing()

    async def ask(self, packed: bytes, count: int) -> list[Any]:
        """Send, and return *count* replies."""
        self._answer = asyncio.get_running_loop().create_future()
        self._replies, self._missing = [], count
        self._writer.transport.write(packed)
        return await self._answer

    def cut(self) -> None:
        """End the connection at once, whatever is on its way."""
        self.is_open = False
        self._writer.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read replies; the last one that is missing answers the call."""
        try:
            self._parser.feed(data)
            while (reply := self._parser.gets()) is not False:
                self._replies.append(reply)
                self._missing -= 1
        except hiredis.HiredisError as error:
            self._end(Disconnected(f"not what a Redis server says: {error}"))
            self.cut()
            return
        if self._missing == 0 and self._answer is not None and not self._answer.done():
            self._answer.set_result(self._replies)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the call that waits."""
        self.is_open = False
        self._streams.connection_lost(exc)
        self._end(Disconnected(str(exc) if exc else "the server closed the connection"))

    def _end(self, error: Exception) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(error)
