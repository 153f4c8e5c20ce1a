"""Commands over connections of our own, on a real server: in order, alone on a connection, never half read."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

import pytest
import redis
from redis.exceptions import ReadOnlyError, ResponseError

from receiver.storage.redis import connection
from receiver.storage.redis.raw_connection import RawConnections
from tests.conftest import StartValkey

T = TypeVar("T")
WITHIN_S = 60


def wired(url: str, work: Callable[[RawConnections], Awaitable[T]]) -> T:
    """Run *work* with wires to a server, and close them."""

    async def run() -> T:
        async with connection.connect_async(url) as client, asyncio.timeout(WITHIN_S):
            wires = RawConnections(client.connection_pool)
            try:
                return await work(wires)
            finally:
                await wires.close()

    return asyncio.run(run())


async def number(wires: RawConnections) -> int:
    """Which connection is used now."""
    (found,) = await wires.ask(("CLIENT", "ID"))
    assert isinstance(found, int)
    return found


def test_replies_come_in_the_order_of_the_commands(redis_url: str) -> None:
    """A refusal is a value among them; texts, bytes and numbers are arguments."""

    async def work(wires: RawConnections) -> list[object]:
        return await wires.ask(
            ("SET", "k", b"\x00\xff"), ("INCRBY", "n", 7), ("NO", "SUCH"), ("GET", "k"), ("GET", "-")
        )

    kept, counted, refused, got, nothing = wired(redis_url, work)

    assert (kept, counted, got, nothing) == (b"OK", 7, b"\x00\xff", None)
    assert isinstance(refused, ResponseError)


def test_a_reply_of_many_pieces_is_read_to_its_end(redis_url: str, client: redis.Redis) -> None:
    """Larger than any buffer on its way, both ways."""
    large = bytes(range(256)) * 40_000

    async def work(wires: RawConnections) -> list[object]:
        return await wires.ask(("SET", "large", large), ("GET", "large"))

    assert wired(redis_url, work) == [b"OK", large]
    assert client.get("large") == large


def test_a_connection_is_used_again(redis_url: str) -> None:
    """One call after another: one connection."""

    async def work(wires: RawConnections) -> set[int]:
        return {await number(wires) for _ in range(5)}

    assert len(wired(redis_url, work)) == 1


def test_a_late_reply_delays_nobody(redis_url: str, client: redis.Redis) -> None:
    """A call that waits has its connection to itself."""

    async def work(wires: RawConnections) -> list[object]:
        waiting = asyncio.create_task(wires.ask(("BLPOP", "list", 0)))
        await wires.ask(("PING",))
        assert not waiting.done()
        client.rpush("list", "item")
        return await waiting

    assert wired(redis_url, work) == [[b"list", b"item"]]


def test_nobody_gets_the_reply_of_a_call_that_was_given_up(redis_url: str) -> None:
    """Its connection goes with it."""

    async def work(wires: RawConnections) -> list[object]:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await wires.ask(("BLPOP", "list", 0))
        return await wires.ask(("RPUSH", "list", "item"), ("LLEN", "list"))

    assert wired(redis_url, work) == [1, 1]


def test_a_connection_that_is_cut_under_a_call_fails_it(redis_url: str, client: redis.Redis) -> None:
    """And one that is cut while idle is replaced unseen."""

    async def work(wires: RawConnections) -> tuple[int, int]:
        first = await number(wires)
        waiting = asyncio.create_task(wires.ask(("BLPOP", "list", 0)))
        while client.client_list(client_id=[str(first)])[0]["cmd"] != "blpop":  # noqa: ASYNC110 - the server knows
            await asyncio.sleep(0.01)
        client.client_kill_filter(_id=str(first))
        with pytest.raises(redis.ConnectionError, match="the server closed the connection"):
            await waiting
        second = await number(wires)
        client.client_kill_filter(_id=str(second))
        while client.client_list(client_id=[str(second)]):  # noqa: ASYNC110 - the server closes it in its own time
            await asyncio.sleep(0.01)
        for _ in range(10):  # turns of the loop, which looks at its connections in each, and so this end sees it
            await asyncio.sleep(0)
        return second, await number(wires)

    second, third = wired(redis_url, work)

    assert third != second


def test_a_primary_no_more_is_left(start_valkey: StartValkey) -> None:
    """The next call connects anew, where the sentinels then point."""
    server = start_valkey()

    async def work(wires: RawConnections) -> None:
        first = await number(wires)
        await wires.ask(("REPLICAOF", "127.0.0.1", "1"))
        (refused,) = await wires.ask(("SET", "k", "v"))
        assert isinstance(refused, ReadOnlyError)
        assert await number(wires) != first

    wired(server.url, work)


def test_who_is_no_redis_is_told_so() -> None:
    """What cannot be read as replies ends the connection."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while b"PING" not in (line := await reader.readline()):
            if line.upper() == b"SETNAME\r\n":
                writer.write(b"+OK\r\n")
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await writer.drain()
        await reader.read()
        writer.close()

    async def run() -> None:
        server = await asyncio.start_server(talk, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server, connection.connect_async(f"redis://127.0.0.1:{port}") as client, asyncio.timeout(WITHIN_S):
            wires = RawConnections(client.connection_pool)
            with pytest.raises(redis.ConnectionError, match="not what a Redis server says"):
                await wires.ask(("PING",))

    asyncio.run(run())
