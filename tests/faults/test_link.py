"""A link does to a connection what it is told: only then does a fault test test anything."""

import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.link import Link
from tests.support.processes import free_port


@pytest.fixture
def link(tmp_path: Path) -> Iterator[Link]:
    """A link to a server that answers each line with the same line."""
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        threading.Thread(target=_echo_for_ever, args=(listener,), daemon=True).start()
        made = Link(tmp_path, "link", str(listener.getsockname()[1]))
        yield made
        made.end()


def _echo_for_ever(listener: socket.socket) -> None:
    while True:
        try:
            taken, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_echo, args=(taken,), daemon=True).start()


def _echo(taken: socket.socket) -> None:
    with taken:
        try:
            while piece := taken.recv(1_024):
                taken.sendall(piece)
        except OSError:
            return


def _connect(link: Link) -> socket.socket:
    client = socket.create_connection(("127.0.0.1", link.port), timeout=10)
    client.settimeout(10)
    return client


def test_it_passes_and_delays(link: Link) -> None:
    """Each piece, in both directions."""
    with _connect(link) as client:
        client.sendall(b"one")
        assert client.recv(64) == b"one"
        link.tell("delay", seconds=0.2)
        began = time.monotonic()
        client.sendall(b"two")
        assert client.recv(64) == b"two"
        assert time.monotonic() - began >= 0.4


def test_what_stalls_arrives_later(link: Link) -> None:
    """Nothing is lost, not even what a client sent that has gone."""
    with _connect(link) as client:
        link.tell("stall")
        client.sendall(b"one")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(64)
        link.tell("pass")
        client.settimeout(10)
        assert client.recv(64) == b"one"


def test_what_drops_never_arrives(link: Link) -> None:
    """The connection stays dead; a new one works."""
    with _connect(link) as client, _connect(link) as idle:
        link.tell("drop")
        client.sendall(b"one")
        client.settimeout(0.3)
        with pytest.raises(TimeoutError):
            client.recv(64)
        link.tell("pass")
        client.sendall(b"two")
        with pytest.raises(TimeoutError):
            client.recv(64)
        idle.sendall(b"three")
        assert idle.recv(64) == b"three"


def test_it_refuses_and_resets(link: Link) -> None:
    """What is open ends with RST; new connections are refused only while it refuses."""
    with _connect(link) as client:
        client.sendall(b"one")
        assert client.recv(64) == b"one"
        link.tell("reset")
        with pytest.raises(ConnectionResetError):
            client.recv(64)
    link.tell("refuse")
    with pytest.raises(ConnectionRefusedError):
        _connect(link)
    link.tell("pass")
    with _connect(link) as client:
        client.sendall(b"two")
        assert client.recv(64) == b"two"


@pytest.mark.parametrize(
    ("side", "keep", "arrives"), [("reply", 0.5, b"ab"), ("reply", 0.0, b""), ("request", 0.5, b"")]
)
def test_it_cuts(link: Link, side: str, keep: float, arrives: bytes) -> None:
    """A reply in the middle, or all of it; a request, which the server then sees only half of."""
    with _connect(link) as client:
        link.tell("cut", side=side, keep=keep)  # type: ignore[arg-type]
        client.sendall(b"abcd")
        received = b""
        try:
            while piece := client.recv(64):
                received += piece
        except ConnectionResetError:
            pass
        assert received in {arrives, b""}  # RST may overtake what was sent before it
