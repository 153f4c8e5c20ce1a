"""Real receiver processes, and a plain socket to talk to them as no well-behaved client would."""

import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson
import pytest

from receiver.nexudus import hook_urls
from tests.receiver.web.doorkeeper import KEYS
from tests.support.http import ANSWERS_WITHIN_S, Answer, request

BOOKING = b'[{"Id":1,"FullName":"Jose"}]'


@dataclass
class Running:
    """One receiver process."""

    process: "subprocess.Popen[bytes]"
    port: int
    log: IO[bytes] = field(repr=False)

    def request(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        """Send one well-formed request on a connection of its own."""
        return request(method, f"http://127.0.0.1:{self.port}{path}", body, headers or {})

    def post(self, body: bytes, action: str = "BookingCreate", business_id: int = 1001, **headers: str) -> Answer:
        """Post to a hook under a right token."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.request("POST", hook_urls.path(KEYS[0], business_id, action), body, named)

    def kept(self) -> list[dict[str, Any]]:
        """Return what it was asked to keep, oldest first."""
        found: list[dict[str, Any]] = self.request("GET", "/kept").json()
        return found

    def is_alive(self) -> bool:
        """Whether it still runs and answers."""
        return self.process.poll() is None and self.request("GET", "/healthz").status == 200

    def connect(self) -> socket.socket:
        """Open a plain connection."""
        return socket.create_connection(("127.0.0.1", self.port), timeout=ANSWERS_WITHIN_S)

    def logged(self) -> list[dict[str, Any]]:
        """Return the lines of its log; to be called when it has ended."""
        self.log.seek(0)
        return [orjson.loads(line) for line in self.log if line.startswith(b"{")]


def head(method: str = "POST", path: str | None = None, **headers: object) -> bytes:
    """Return the head of a request to a hook."""
    lines = [f"{method} {path or hook_urls.path(KEYS[0], 1001, 'BookingCreate')} HTTP/1.1", "Host: door"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n"


def read_all(connection: socket.socket) -> bytes:
    """Read until the other end closes, one way or another."""
    received = bytearray()
    try:
        while chunk := connection.recv(65_536):
            received += chunk
    except ConnectionError:
        pass
    return bytes(received)


def statuses(received: bytes) -> list[int]:
    """Return the status of each answer in a stream of them."""
    return [int(line[9:12]) for line in received.replace(b"}HTTP/", b"}\nHTTP/").splitlines() if line[:5] == b"HTTP/"]


Start = Callable[..., Running]


def _start(stack: ExitStack, prefix: Sequence[str] = (), **options: Any) -> Running:
    log = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115 - the stack closes it
    command = [*prefix, sys.executable, "-m", "tests.receiver.web.doorkeeper", orjson.dumps(options).decode()]
    process = stack.enter_context(
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, cwd=Path(__file__).parents[3])
    )
    stack.callback(process.kill)
    assert process.stdout is not None
    return Running(process, int(process.stdout.readline()), log)


@pytest.fixture
def start() -> Iterator[Start]:
    """Start receiver processes with options of the test's own."""
    with ExitStack() as stack:
        yield lambda **options: _start(stack, **options)


@pytest.fixture(scope="module")
def door() -> Iterator[Running]:
    """A receiver process that the tests of one module share; nothing that a slow machine does is too slow for it."""
    with ExitStack() as stack:
        yield _start(stack, limits={"head_s": 60, "body_s": 60, "farewell_s": 60})


@pytest.fixture(scope="module")
def hasty() -> Iterator[Running]:
    """The same with short limits of time, for tests that have them run out."""
    with ExitStack() as stack:
        yield _start(stack, limits={"head_s": 1.5, "body_s": 1.5, "farewell_s": 1.0})
