"""A socket that is handed down by systemd's protocol: a restart of the receiver refuses nobody."""

import socket
import sys
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

from receiver.core.errors import SettingsError
from receiver.web import socket_activation
from tests.support.processes import Process, command, environment, wait_until

_HAND_DOWN = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS="1", LISTEN_FDNAMES="http")
os.execv(sys.argv[2], sys.argv[2:])
"""


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """What a socket unit holds open."""
    with socket.create_server(("127.0.0.1", 0)) as opened:
        yield opened


def start(listener: socket.socket, redis_url: str, folder: Path, *options: str) -> Process:
    """Start the receiver as systemd does: the socket is descriptor 3, and LISTEN_PID is the process itself."""
    argv = [sys.executable, "-c", _HAND_DOWN, str(listener.fileno()), *command("serve", *options)]
    settings = {"FRONTDESK_REDIS_URL": redis_url, "FRONTDESK_URL_KEYS": "a key", "FRONTDESK_DATA_DIR": str(folder)}
    environ = environment({**settings, "FRONTDESK_PORT": "1"})
    return Process(argv, log=folder / "serve.log", environ=environ, fds=[listener.fileno()])


@pytest.mark.parametrize("options", [(), ("--processes", "2")])
def test_a_restart_refuses_nobody(listener: socket.socket, redis_url: str, tmp_path: Path, options: tuple[str]) -> None:
    """Who comes while no receiver runs waits, and is answered by the next; FRONTDESK_PORT is not looked at."""
    url = f"http://127.0.0.1:{listener.getsockname()[1]}/readyz"
    answers: list[int] = []

    def ask() -> None:
        with urllib.request.urlopen(url, timeout=60) as answer:
            answers.append(answer.status)

    first = start(listener, redis_url, tmp_path, *options)
    try:
        first.wait_for_http(url)
        assert first.stop() == 0
        meanwhile = threading.Thread(target=ask)
        meanwhile.start()
    finally:
        first.end()
    second = start(listener, redis_url, tmp_path, *options)
    try:
        wait_until(lambda: answers == [200], lambda: str(second))
        assert second.stop() == 0
    finally:
        second.end()


def test_what_is_meant_for_somebody_else_is_left_alone() -> None:
    """Variables that a shell passed on, for the process that they were made for."""
    environ = {"LISTEN_PID": "1", "LISTEN_FDS": "1", "PATH": "/bin"}

    assert socket_activation.sockets(environ) == []
    assert environ == {"PATH": "/bin"}


def test_what_is_no_listening_socket_is_refused(tmp_path: Path, redis_url: str) -> None:
    """With the remedy."""
    with socket.socket() as idle:
        process = start(idle, redis_url, tmp_path)
        assert process.wait() == 1
        process.end()
        assert "descriptor 3 does not listen for TCP; set ListenStream=ADDRESS:PORT" in process.output
    with (tmp_path / "file").open("w") as file, pytest.raises(SettingsError, match="is not a socket"):
        socket_activation._listener(file.fileno())
