"""Strangers in numbers: whatever they send, and however much of it, others are served, and memory stays bounded."""

import asyncio
import contextlib
import resource
import socket
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from starlette.types import Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.server import ServerState

from receiver.web import answers
from receiver.web.connections.bounded_protocol import BoundedProtocol
from receiver.web.connections.connection_limits import ConnectionBudget, ConnectionLimits
from tests.receiver.web.running import BOOKING, Running, Start, head, read_all, statuses
from tests.support.processes import wait_until

STRANGER = "/hooks/1/A/" + "x" * 32


class Pouring:
    """Sends bytes from a thread while another counts the answers, until the other end has closed."""

    def __init__(self, connection: socket.socket, data: bytes) -> None:
        self._connection = connection
        self._data = data
        self.received = 0
        self._threads = [threading.Thread(target=run, daemon=True) for run in (self._send, self._count)]
        for thread in self._threads:
            thread.start()

    def _send(self) -> None:
        with contextlib.suppress(OSError):
            self._connection.sendall(self._data)
            self._connection.shutdown(socket.SHUT_WR)

    def _count(self) -> None:
        rest = b""
        with contextlib.suppress(OSError):
            while chunk := self._connection.recv(262_144):
                rest += chunk
                self.received += rest.count(b"HTTP/1.1 404 ")
                rest = rest[-len(b"HTTP/1.1 404") :]

    def wait(self) -> int:
        """Return how many answers came until the end."""
        for thread in self._threads:
            thread.join(120)
        return self.received


def test_many_offers_of_another_protocol_in_one_go(start: Start) -> None:
    """20,000 of them, pipelined: each is answered as a plain request, and nothing is nested in anything."""
    running = start()
    offer = head("GET", STRANGER, connection="Upgrade", upgrade="h2c")
    with running.connect() as connection:
        assert Pouring(connection, offer * 20_000).wait() == 20_000
    assert running.post(BOOKING).status == 202
    running.process.terminate()
    assert running.process.wait(60) == 0
    running.log.seek(0)
    assert b"Traceback" not in running.log.read()


def test_whoever_sends_many_at_once_keeps_nobody_waiting(start: Start) -> None:
    """30,000 pipelined by one: events of others are taken long before the last of them is answered."""
    running = start()
    many = head("GET", STRANGER) * 30_000
    with running.connect() as connection:
        pouring = Pouring(connection, many)
        wait_until(lambda: pouring.received)
        seen = []
        for number in range(10):
            assert running.post(b'[{"Id":%d}]' % number).status == 202
            seen.append(pouring.received)
        assert seen[-1] < 30_000
        assert pouring.wait() == 30_000


class _Turns:
    """An application that notes in which turn of the loop it is asked."""

    def __init__(self) -> None:
        self.turn = 0
        self.asked: list[int] = []

    async def __call__(self, _: Scope, __: Receive, send: Send) -> None:
        """Answer one request."""
        self.asked.append(self.turn)
        await answers.refuse(send, 404)

    def count(self) -> None:
        """Count the turns of the loop from now on."""
        self.turn += 1
        asyncio.get_running_loop().call_soon(self.count)


async def _pour(data: bytes) -> list[int]:
    """Send to a server in this loop until it has answered everything; return the turn of each request."""
    app = _Turns()
    config = Config(app, log_config=None, access_log=False, ws="none")
    budget = ConnectionBudget(ConnectionLimits(), lambda _: None)
    protocol: Any = partial(BoundedProtocol, config, ServerState(), {}, budget=budget)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0)
    async with server:
        with socket.create_connection(server.sockets[0].getsockname()) as connection:
            pouring = Pouring(connection, data)
            app.count()
            await asyncio.to_thread(pouring.wait)
    return app.asked


@pytest.mark.parametrize("line_end", [b"\r\n", b"\n"], ids=["as-it-is-to-be", "without-carriage-returns"])
@pytest.mark.parametrize("kind", ["GET", "upgrade", "chunked"])
def test_in_a_turn_of_the_loop_a_connection_has_one_request(kind: str, line_end: bytes) -> None:
    """Or as many as an eye blink takes, where their ends cannot be seen from outside; whoever else waits has a turn."""
    requests = {
        "GET": head("GET", STRANGER),
        "upgrade": head("GET", STRANGER, connection="upgrade", upgrade="websocket"),
        "chunked": head(path=STRANGER, transfer_encoding="chunked") + b"1;x\r\n{\r\n1\r\n}\r\n0\r\n\r\n",
    }
    asked = asyncio.run(_pour(requests[kind].replace(b"\r\n", line_end) * 3_000))

    assert len(asked) in (3_000, 0), "all are answered, or none is a request"
    assert all(asked.count(turn) <= 2 for turn in set(asked))


@pytest.fixture
def many_sockets() -> Iterator[None]:
    """This process may open so many."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 4_096:
        pytest.skip(f"NOT TESTED: this machine lets nobody open more than {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (4_096, hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("many_sockets")
@pytest.mark.parametrize("half", [b"", head()[:-2]], ids=["silent", "half-a-head"])
def test_slow_heads_keep_no_event_out(start: Start, half: bytes) -> None:
    """1,100 at once, where 1,000 connections are allowed, and all of them fresh: the oldest make room."""
    running = start(limits={"head_s": 600, "prompt_s": 600})
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(running.connect()) for _ in range(1_100)]
        for connection in held:
            with contextlib.suppress(ConnectionError):
                connection.sendall(half)

        assert running.post(BOOKING).status == 202


def test_half_sent_bodies_are_bounded_together(start: Start) -> None:
    """300 of 1 MB, each without its last byte: those that came first are refused, the process stays small, events are
    taken."""
    running = start(max_body=2_000_000, limits={"body_s": 600, "unfinished_bytes": 16_000_000, "farewell_s": 600})
    before = _resident(running)
    part = head(content_length=1_000_000) + b"[" + b" " * 999_998
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(running.connect()) for _ in range(300)]
        for connection in held:
            with contextlib.suppress(ConnectionError):
                connection.sendall(part)
        assert running.post(BOOKING).status == 202
        grown = _resident(running) - before
        held[-1].sendall(b"]")

        assert statuses(held[-1].recv(65_536)) == [202]
        assert statuses(read_all(held[0])) == [408]
        assert grown < 100_000_000
        refused = _refused(running)
        assert 270 <= refused <= 299, "16 of them fit"


def test_a_body_that_is_not_wanted_is_not_kept(start: Start) -> None:
    """A stranger's bytes count for nothing: they are dropped, and evict nobody."""
    running = start(max_body=2_000_000, limits={"body_s": 600, "unfinished_bytes": 4_000_000, "farewell_s": 600})
    with running.connect() as ours, contextlib.ExitStack() as stack:
        ours.sendall(head(content_length=1_000_000) + b"[" + b" " * 999_998)
        for _ in range(20):
            connection = stack.enter_context(running.connect())
            connection.sendall(head(path=STRANGER, content_length=1_000_000) + b" " * 999_999)
            assert statuses(connection.recv(65_536)) == [404]
        ours.sendall(b"]")

        assert statuses(ours.recv(65_536)) == [202]
    assert _refused(running) == 0


def test_idle_connections_are_closed_in_the_end(start: Start) -> None:
    """By FRONTDESK_IDLE_TIMEOUT."""
    running = start(limits={"idle_s": 1.0})
    with running.connect() as connection:
        connection.sendall(head(content_length=2) + b"[]")
        assert statuses(read_all(connection)) == [202]


def _resident(running: Running) -> int:
    pages = int(Path(f"/proc/{running.process.pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def _refused(running: Running) -> int:
    text = running.request("GET", "/metrics").body.decode()
    counted = [line for line in text.splitlines() if line.startswith("frontdesk_connections_refused_total{")]
    return int(sum(float(line.split()[-1]) for line in counted if "unfinished_bodies" in line))
