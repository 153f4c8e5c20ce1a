"""Sends commands to the server without redis-py: several commands in one write, with one callback for the replies.

redis-py connects, authenticates and asks the sentinels, as everywhere else. Then this module takes over the socket. A
call through redis-py costs this process 300 µs, a call through this module 30 µs, and every event pays a share of it.
"""

import asyncio
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

import hiredis
import redis.asyncio
from redis._parsers.base import BaseParser
from redis.exceptions import ConnectionError as Disconnected
from redis.exceptions import ReadOnlyError

Command = Iterable[bytes | str | int]

Replies = list[Any]
OnReplies = Callable[[Replies | Exception], None]
"""Called once, with a reply to each command (refusals included), or with the error because of which there is none."""

_pack: Callable[[tuple[Any, ...]], bytes] = hiredis.pack_command  # it takes any number


class RawConnections:
    """The connections of one event loop. Each carries one call at a time, so that a late reply delays no other call."""

    def __init__(self, pool: redis.asyncio.ConnectionPool) -> None:
        """*pool* is used to open connections; the connections in it are not used."""
        self._pool = pool
        self._idle: list[_RawConnection] = []
        self._sent: set[_RawConnection] = set()

    async def ask(self, *commands: Command) -> list[Any]:
        """Send *commands* in one write and return their replies; a refused command has a ResponseError as its reply.

        Raises RedisError or OSError when the server cannot be reached or disconnects. The caller has to set a timeout:
        a cancelled call abandons its connection, which is not used again.
        """
        raw = await self._take()
        answer: asyncio.Future[Replies] = asyncio.get_running_loop().create_future()
        raw.send(_packed(commands), len(commands), partial(_settle, answer))
        try:
            replies = await answer
        except BaseException:
            raw.cut()
            raise
        self._put_back(raw, replies)
        return replies

    def send(self, *commands: Command, timeout_s: float, on_replies: OnReplies) -> bool:
        """Send *commands* over an open idle connection, without a coroutine. Return False if there is none.

        *on_replies* gets RedisError or OSError if the server disconnects or does not answer within *timeout_s*.
        """
        raw = self._take_idle()
        if raw is None:
            return False
        self._sent.add(raw)
        raw.send(_packed(commands), len(commands), partial(self._answered, raw, on_replies), timeout_s)
        return True

    async def close(self) -> None:
        """Close the connections; a call that `send` has on its way fails."""
        for raw in (*self._idle, *self._sent):
            raw.cut()
        self._idle.clear()
        await asyncio.sleep(0)  # the event loop needs one iteration to close them

    def _answered(self, raw: "_RawConnection", on_replies: OnReplies, replies: Replies | Exception) -> None:
        self._sent.discard(raw)
        if isinstance(replies, Exception):
            raw.cut()
        else:
            self._put_back(raw, replies)
        on_replies(replies)

    def _put_back(self, raw: "_RawConnection", replies: Replies) -> None:
        for reply in replies:
            if isinstance(reply, ReadOnlyError):
                raw.cut()  # no longer the primary: the next connection asks the sentinels for it
                return
        self._idle.append(raw)

    def _take_idle(self) -> "_RawConnection | None":
        while self._idle:
            raw = self._idle.pop()
            if raw.is_open and raw.primary == self._primary:
                return raw
            raw.cut()
        return None

    async def _take(self) -> "_RawConnection":
        if (raw := self._take_idle()) is not None:
            return raw
        connection: Any = self._pool.make_connection()  # type: ignore[no-untyped-call]
        try:
            await connection.connect()
        except BaseException:
            await connection.disconnect(nowait=True)
            raise
        return _RawConnection(connection, self._primary)

    @property
    def _primary(self) -> object:
        """The primary that the sentinels last named to any user of the pool; None without sentinels.

        A primary that was frozen and replaced accepts writes for ten seconds when it wakes up, and then loses them.
        """
        return getattr(self._pool, "master_address", None)


class _RawConnection(asyncio.Protocol):
    """One connection, taken over from *connection*, which has just connected and holds nothing unread."""

    def __init__(self, connection: Any, primary: object) -> None:
        # We keep the streams without using them, because asyncio warns when they are garbage-collected.
        self._writer: asyncio.StreamWriter = connection._writer  # noqa: SLF001 - there is no other way to it
        connection._reader = connection._writer = None  # noqa: SLF001
        self._streams = self._writer.transport.get_protocol()
        self._writer.transport.set_protocol(self)
        self.primary = primary
        self._parser = hiredis.Reader(replyError=BaseParser.parse_error)
        self._replies: Replies = []
        self._missing = 0
        self._on_replies: OnReplies | None = None
        self._deadline = float("inf")
        self._alarm: asyncio.TimerHandle | None = None
        self.is_open = not self._writer.transport.is_closing()

    def send(self, packed: bytes, count: int, on_replies: OnReplies, timeout_s: float | None = None) -> None:
        """Send, and call *on_replies* with *count* replies. Only one call at a time."""
        self._on_replies = on_replies
        self._replies, self._missing = [], count
        if timeout_s is not None:
            loop = asyncio.get_running_loop()
            self._deadline = loop.time() + timeout_s
            if self._alarm is None:  # one timer serves many calls: nearly all are answered long before
                self._alarm = loop.call_later(timeout_s, self._ring)
        self._writer.transport.write(packed)

    def cut(self) -> None:
        """Close the connection at once, even during a call."""
        self.is_open = False
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._writer.transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read replies; when the last one is there, end the call."""
        try:
            self._parser.feed(data)
            while (reply := self._parser.gets()) is not False:
                self._replies.append(reply)
                self._missing -= 1
        except hiredis.HiredisError as error:
            self._end(Disconnected(f"not what a Redis server says: {error}"))
            self.cut()
            return
        if self._missing == 0:
            self._end(self._replies)

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the call that waits."""
        self.is_open = False
        self._streams.connection_lost(exc)
        self._end(Disconnected(str(exc) if exc else "the server closed the connection"))

    def _ring(self) -> None:
        self._alarm = None
        if self._deadline == float("inf"):
            return
        loop = asyncio.get_running_loop()
        if loop.time() >= self._deadline:
            self._end(TimeoutError())
        else:
            self._alarm = loop.call_at(self._deadline, self._ring)

    def _end(self, outcome: Replies | Exception) -> None:
        on_replies, self._on_replies = self._on_replies, None  # so that no reference cycle remains
        self._deadline = float("inf")
        if on_replies is not None:
            on_replies(outcome)


def _packed(commands: tuple[Command, ...]) -> bytes:
    return b"".join([_pack(tuple(command)) for command in commands])


def _settle(answer: asyncio.Future[Replies], outcome: Replies | Exception) -> None:
    if answer.done():
        return
    if isinstance(outcome, Exception):
        answer.set_exception(outcome)
    else:
        answer.set_result(outcome)
