"""Requests leave nothing behind that only the garbage collector frees: it would stop everybody to look for it."""

import re
import signal
import socket
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.nexudus import hook_urls
from tests.receiver.web.running import head, statuses
from tests.support.processes import Process, environment, free_port, wait_until

KEY = "a-url-key"
PATH = hook_urls.path(KEY, 1001, "BookingCreate")
ROUNDS = 50
ALLOWED = 20
"""What the rest of the process may leave in the meantime, such as the tasks that look at the store every second."""


@pytest.fixture
def receiver(redis_url: str, tmp_path: Path) -> Iterator[tuple[Process, int]]:
    """A receiver that collects no garbage, and its port."""
    port = free_port()
    (tmp_path / "routes.yaml").write_text("routes:\n- {action: Booking*, handler: log}\n")
    settings = {
        "FRONTDESK_REDIS_URL": redis_url,
        "FRONTDESK_URL_KEYS": KEY,
        "FRONTDESK_DATA_DIR": str(tmp_path / "var"),
        "FRONTDESK_ROUTES": str(tmp_path / "routes.yaml"),
        "FRONTDESK_PORT": str(port),
    }
    argv = [sys.executable, "-m", "tests.receiver.web.garbage"]
    process = Process(argv, log=tmp_path / "serve.log", environ=environment(settings))
    process.wait_for_http(f"http://127.0.0.1:{port}/readyz")
    yield process, port
    process.end()


def _exchange(port: int, *requests: tuple[bytes, int]) -> None:
    """Send requests one after another on one connection; each with the status that it is answered with."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        for request, status in requests:
            connection.sendall(request)
            assert statuses(connection.recv(65_536)) == [status]


def _collected(process: Process) -> int:
    before = len(re.findall("garbage: ", process.output))
    process.signal(signal.SIGUSR1)
    found = wait_until(lambda: re.findall(r"garbage: (\d+)\n", process.output)[before:], "the count of garbage")
    return int(found[0])


def _round(port: int, number: int) -> None:
    """Take an event and the same again, refuse whatever can be refused, and lose a connection in a body."""
    body = b'[{"Id":%d}]' % number
    event = head(path=PATH, content_length=len(body)) + body
    stranger = head(path="/hooks/1/A/" + "x" * 32, content_length=2) + b"{}"
    upgrade = head(path=PATH, content_length=2, connection="Upgrade", upgrade="h2c") + b"[]"
    too_much = head(path=PATH, content_length=3_000_000)
    _exchange(port, (event, 202), (event, 202), (stranger, 404), (upgrade, 202), (head("GET", PATH), 405))
    _exchange(port, (head(path=PATH, content_length=1) + b"{", 202), (too_much, 413))
    _exchange(port, (b"no request\r\n\r\n", 400))
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        connection.sendall(head(path=PATH, content_length=2) + b"[")


def test_requests_leave_nothing_to_the_collector(receiver: tuple[Process, int]) -> None:
    """What one request left would be there hundreds of times."""
    process, port = receiver
    _round(port, 1)
    _collected(process)

    for number in range(ROUNDS):
        _round(port, 1_000 + number)
    collected = _collected(process)

    assert collected < ALLOWED, process.output
