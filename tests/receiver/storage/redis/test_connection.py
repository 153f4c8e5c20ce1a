"""Clients connect by every kind of URL, wait for a bounded time, and send a command once."""

import asyncio
import contextlib
import itertools
import re
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
import redis.asyncio

from receiver.core.errors import SettingsError
from receiver.storage.redis import connection
from receiver.storage.redis.raw_connection import RawConnections
from tests.conftest import StartValkey
from tests.support.processes import Process, Valkey, free_port, server_program, wait_until


def test_a_client_reaches_the_server_and_says_its_name(redis_url: str) -> None:
    """Values are bytes, and `CLIENT LIST` tells an operator whose connection it is."""
    with connection.connect(redis_url) as client:
        client.set("key", b"\xff")

        assert client.get("key") == b"\xff"
        assert "frontdesk" in {row["name"] for row in client.client_list()}


def test_an_async_client_reaches_the_server(redis_url: str) -> None:
    """The same promise on an event loop."""

    async def ask() -> object:
        async with connection.connect_async(redis_url) as client:
            await client.set("key", "value")
            return await client.get("key")

    assert asyncio.run(ask()) == b"value"


def test_a_primary_that_is_one_no_more_is_left(start_valkey: StartValkey) -> None:
    """Behind the same name there may be another by now: the next command goes through a new connection."""
    server = start_valkey("--replicaof", "127.0.0.1 1")

    async def ask() -> tuple[int, int]:
        async with connection.connect_async(server.url) as client:
            before = await client.client_id()
            with pytest.raises(redis.ReadOnlyError):
                await client.set("key", "value")
            return before, await client.client_id()

    with connection.connect(server.url) as client:
        before = client.client_id()
        with pytest.raises(redis.ReadOnlyError):
            client.set("key", "value")
        assert client.client_id() > before
    first, then = asyncio.run(ask())
    assert then > first


def test_a_database_is_chosen(redis_url: str) -> None:
    """What is written to database 1 is not seen in database 0."""
    with connection.connect(redis_url + "?db=1") as one, connection.connect(redis_url) as zero:
        one.set("key", "value")

        assert (one.get("key"), zero.get("key")) == (b"value", None)


class TestFrozen:
    """A server that accepts connections and never answers."""

    @pytest.fixture
    def frozen(self, start_valkey: StartValkey, request: pytest.FixtureRequest) -> Valkey:
        """A server behind a socket or a port, stopped in its tracks."""
        server = start_valkey(port=free_port() if request.param == "tcp" else 0)
        server.freeze()
        return server

    @pytest.mark.parametrize("frozen", ["tcp", "unix"], indirect=True)
    def test_a_command_gives_up(self, frozen: Valkey) -> None:
        """The wait ends with redis-py's TimeoutError."""
        with (
            connection.connect(frozen.url, timeout_s=0.15) as client,
            pytest.raises(redis.TimeoutError, match="Timeout"),
        ):
            client.set("key", "value")

    @pytest.mark.parametrize("frozen", ["tcp", "unix"], indirect=True)
    def test_an_async_command_gives_up(self, frozen: Valkey) -> None:
        """The same on an event loop; at a socket, redis-py calls a time-out of the first command a ConnectionError."""

        async def ask() -> None:
            async with connection.connect_async(frozen.url, timeout_s=0.15) as client:
                await client.set("key", "value")

        with pytest.raises((redis.TimeoutError, redis.ConnectionError), match="Timeout"):
            asyncio.run(ask())


class Cutter(threading.Thread):
    """A server that reads a command, counts it, and hangs up without a reply."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self.listener.getsockname()[1]
        self.commands = 0

    def run(self) -> None:
        """Serve until the listener is closed."""
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(5)
                while data := peer.recv(65536):
                    if b"INCR" in data:
                        self.commands += 1
                        break
                    peer.sendall(b"+OK\r\n")


@pytest.fixture
def cutter() -> Iterator[Cutter]:
    """The counting server."""
    server = Cutter()
    server.start()
    yield server
    server.listener.shutdown(socket.SHUT_RDWR)
    server.listener.close()
    server.join(10)


def test_a_command_without_a_reply_is_not_sent_again(cutter: Cutter) -> None:
    """Whether it was carried out is unknown; redis-py's default would send the pipeline up to eleven times."""
    with connection.connect(f"redis://127.0.0.1:{cutter.port}") as client, client.pipeline() as pipe:
        pipe.incr("counter")
        with pytest.raises(redis.ConnectionError):
            pipe.execute()

    assert cutter.commands == 1


def test_an_async_command_without_a_reply_is_not_sent_again(cutter: Cutter) -> None:
    """The same on an event loop."""

    async def ask() -> None:
        async with connection.connect_async(f"redis://127.0.0.1:{cutter.port}") as client, client.pipeline() as pipe:
            _ = pipe.incr("counter")
            await pipe.execute()

    with pytest.raises(redis.ConnectionError):
        asyncio.run(ask())

    assert cutter.commands == 1


def test_a_tls_file_that_cannot_be_read_is_told_at_once(tmp_path: Path) -> None:
    """Before anything connects, with the name of the option."""
    with pytest.raises(SettingsError, match=r"^FRONTDESK_REDIS_URL: ssl_ca_certs: cannot read '.*ca\.pem'"):
        connection.connect(f"rediss://h?ssl_ca_certs={tmp_path}/ca.pem")


def test_without_an_embedded_server_the_default_is_the_usual_port(tmp_path: Path) -> None:
    """A folder where nothing listens, not even there yet."""
    assert connection.default_url(tmp_path / "var") == "redis://127.0.0.1:6379/0"


class TestSentinel:
    """Sentinels name the primary; the embedded program runs as sentinel too."""

    @pytest.fixture
    def sentinel(self, start_valkey: StartValkey, tmp_path: Path) -> Iterator[tuple[Valkey, Valkey, str]]:
        """A primary with a password, a replica, a sentinel of one vote, and the URL."""
        first, second = free_port(), free_port()
        primary = start_valkey("--repl-diskless-sync-delay", "0", port=first, password="p@ss")
        replica = start_valkey("--replicaof", f"127.0.0.1 {first}", port=second, password="p@ss")
        with connection.connect(f"redis://:p%40ss@127.0.0.1:{second}") as client:
            wait_until(lambda: client.info("replication")["master_link_status"] == "up", "the replica's link")
        port = free_port()
        config = tmp_path / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\nsentinel monitor front 127.0.0.1 {first} 1\n"
            "sentinel auth-pass front p@ss\nsentinel down-after-milliseconds front 500\n"
            "sentinel failover-timeout front 3000\n"
        )
        process = Process([server_program(), config, "--sentinel"], log=tmp_path / "sentinel.log")
        with connection.connect(f"redis://127.0.0.1:{port}") as client:
            wait_until(lambda: _replicas(client), process.__str__)
        nobody = free_port()
        yield primary, replica, f"redis+sentinel://:p%40ss@127.0.0.1:{nobody},127.0.0.1:{port}/front/0"
        process.end()

    def test_a_client_follows_a_failover(self, sentinel: tuple[Valkey, Valkey, str]) -> None:
        """One client object writes to the old primary, and after the primary's death to the new one."""
        primary, replica, url = sentinel

        def written() -> bool:
            try:
                return bool(client.set("after", "2"))
            except redis.RedisError:
                return False

        with connection.connect(url, timeout_s=1.0) as client:
            client.set("before", "1")
            client.wait(1, 5000)
            primary.kill()
            wait_until(written, "the new primary")

            assert client.get("before") == b"1"
            assert client.connection_pool.connection_kwargs["connection_pool"].master_address[1] == _port(replica)

    def test_an_async_client_finds_the_primary(self, sentinel: tuple[Valkey, Valkey, str]) -> None:
        """The first sentinel of the list is down; the second answers."""
        _, _, url = sentinel

        async def ask() -> object:
            async with connection.connect_async(url, timeout_s=2.0) as client:
                await client.set("key", "value")
                return await client.get("key")

        assert asyncio.run(ask()) == b"value"

    def test_a_sentinel_that_hangs_is_passed_over(self, sentinel: tuple[Valkey, Valkey, str]) -> None:
        """The machine with the primary and a sentinel hangs: the receiver's probe, which has two seconds, gets through
        to the next sentinel at its first try; whoever is silent gets a small part of that time."""
        _, _, url = sentinel
        with socket.create_server(("127.0.0.1", 0)) as silent:
            port = silent.getsockname()[1]
            hangs_first = re.sub(r"127\.0\.0\.1:\d+,", f"127.0.0.1:{port},", url)

            async def ask() -> object:
                async with connection.connect_async(hangs_first, timeout_s=3_600) as client:
                    return await client.set("key", "value")

            assert asyncio.run(ask())
            assert _asked(silent) == 1
            assert connection.SENTINEL_TIMEOUT_S <= 2.0 / 4
            with connection.connect(hangs_first, timeout_s=3_600) as client:
                assert client.get("key") == b"value"

    def test_a_wire_finds_the_primary(self, sentinel: tuple[Valkey, Valkey, str]) -> None:
        """The connection of the hot path asks the sentinels, signs in and chooses the database, too."""
        _, _, url = sentinel

        async def ask() -> list[object]:
            async with connection.connect_async(url.removesuffix("0") + "3", timeout_s=2.0) as client:
                wires = RawConnections(client.connection_pool)
                try:
                    return await wires.ask(("SET", "key", "value"), ("ROLE",), ("CLIENT", "INFO"))
                finally:
                    await wires.close()

        kept, role, info = asyncio.run(ask())

        assert (kept, role[0]) == (b"OK", b"master")  # type: ignore[index]
        assert b" db=3 " in info  # type: ignore[operator]

    def test_a_wire_to_a_primary_that_was_replaced_is_not_used(self, sentinel: tuple[Valkey, Valkey, str]) -> None:
        """It was frozen and wakes up: what it took then it would forget when it hears what it has become."""
        old, new, url = sentinel

        async def ask() -> list[object]:
            async with connection.connect_async(url, timeout_s=1.0) as client:
                wires = RawConnections(client.connection_pool)
                try:
                    await wires.ask(("SET", "key", "value"))
                    await client.ping()
                    old.freeze()
                    async with asyncio.timeout(30):
                        while not await _follows(client, new):  # noqa: ASYNC110 - the sentinel is another process
                            await asyncio.sleep(0.05)
                    old.thaw()
                    return await wires.ask(("SET", "after", "1"), ("CONFIG", "GET", "port"))
                finally:
                    await wires.close()

        kept, port = asyncio.run(ask())

        assert (kept, port) == (b"OK", [b"port", b"%d" % _port(new)])


def _asked(silent: socket.socket) -> int:
    """How many connections wait at a listening socket that accepts none."""
    silent.setblocking(False)
    with contextlib.ExitStack() as stack:
        for number in itertools.count():
            try:
                stack.enter_context(silent.accept()[0])
            except BlockingIOError:
                return number
    raise AssertionError


async def _follows(client: redis.asyncio.Redis, new: Valkey) -> bool:
    """Whether a client writes to the new primary."""
    try:
        await client.set("meanwhile", "1")
        return (await client.config_get("port"))["port"] == str(_port(new))
    except redis.RedisError:
        return False


def _replicas(client: redis.Redis) -> bool:
    try:
        return bool(client.sentinel_slaves("front"))
    except redis.RedisError:
        return False


def _port(server: Valkey) -> int:
    return int(server.url.rpartition(":")[2].partition("/")[0])
