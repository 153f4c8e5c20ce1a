"""Runs commands of Frontdesk by forking a process that has imported them all: a command in a twentieth of a second.

Each is a process with its own environment, folder and output, as if it had been started from a shell; only the half
second in which Python imports everything is paid once for all tests. `python -m tests.support.forked` is that process.
"""

import atexit
import contextlib
import gc
import importlib
import json
import os
import selectors
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

_ROOT = Path(__file__).resolve().parents[2]
_LENGTH = struct.Struct("!Q")
_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "COLUMNS", "OTEL_")


def can_run(settings: Mapping[str, str]) -> bool:
    """Whether a command with these *settings* can be forked: Python and libraries read none of them at their start."""
    return not any(name.startswith(_AT_START) for name in settings)


class TooLate(Exception):
    """The command did not end in time; it was killed. Its argument is what it had printed, both streams."""


def run(arguments: Sequence[str], environ: Mapping[str, str], cwd: Path, timeout_s: float) -> tuple[int, bytes, bytes]:
    """Run `frontdesk ARGUMENTS` to its end. Returns its status and what it wrote to its two streams. Raises TooLate."""
    request = json.dumps({"arguments": arguments, "environ": dict(environ), "cwd": str(cwd)}).encode()
    pipes = [os.pipe() for _ in range(3)]  # standard output, standard error, what the forking process answers
    try:
        _server().fork(request, [written for _, written in pipes])
    finally:
        for _, written in pipes:
            os.close(written)
    ours = [read for read, _ in pipes]
    try:
        out, err, answer = _read_all(ours, time.monotonic() + timeout_s)
    finally:
        for read in ours:
            os.close(read)
    return int(answer.split()[1]), out, err


def _read_all(files: Sequence[int], deadline: float) -> list[bytes]:
    """Read pipes to their ends. The last one begins with the number of the process to kill when that takes too long."""
    contents = dict.fromkeys(files, b"")
    with selectors.DefaultSelector() as selector:
        for file in files:
            selector.register(file, selectors.EVENT_READ)
        while selector.get_map():
            ready = selector.select(max(0.0, deadline - time.monotonic()))
            if not ready:
                out, err, answer = (contents[file] for file in files)
                with contextlib.suppress(ProcessLookupError, IndexError):
                    os.kill(int(answer.split()[0]), signal.SIGKILL)
                raise TooLate(out + err)
            for key, _ in ready:
                chunk = os.read(key.fd, 65_536)
                contents[key.fd] += chunk
                if not chunk:
                    selector.unregister(key.fd)
    return [contents[file] for file in files]


class _Server:
    """The process that forks, as its parent sees it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._control, theirs = socket.socketpair()
        with theirs:
            self._popen = subprocess.Popen(
                [sys.executable, "-P", "-m", "tests.support.forked", str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                cwd=_ROOT,
                env={**os.environ, "PYTHONPATH": str(_ROOT), "PYTHONUNBUFFERED": "1"},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C ends the tests, and their end ends this
            )

    def fork(self, request: bytes, streams: Sequence[int]) -> None:
        """Start one command."""
        with self._lock:
            socket.send_fds(self._control, [_LENGTH.pack(len(request))], streams)
            self._control.sendall(request)

    def close(self) -> None:
        """End it."""
        self._control.close()
        self._popen.wait()


@cache
def _server() -> _Server:
    server = _Server()
    atexit.register(server.close)
    return server


def _serve(control: socket.socket) -> None:
    from receiver.cli import main

    for target, _ in main.COMMANDS.values():
        importlib.import_module(target.partition(":")[0])
    gc.collect()
    gc.freeze()
    minders = 0
    while True:
        header, streams, _, _ = socket.recv_fds(control, _LENGTH.size, 3)
        if not header:
            break
        with control.makefile("rb", buffering=0) as stream:
            (left,) = _LENGTH.unpack(header)
            request = b""
            while left:
                chunk = stream.read(left)
                request += chunk
                left -= len(chunk)
        if os.fork() == 0:
            control.close()
            _mind(json.loads(request), streams)
        minders += 1
        for one in streams:
            os.close(one)
        while minders and os.waitpid(-1, os.WNOHANG)[0]:
            minders -= 1
    for _ in range(minders):
        os.wait()


def _mind(request: Mapping[str, Any], streams: Sequence[int]) -> NoReturn:
    """Fork the command, wait for its end and tell its status: several may run at once, and each has a parent."""
    out, err, answer = streams
    command = os.fork()
    if command == 0:
        os.close(answer)
        _become(request, out, err)
        sys.exit("a command does not return")
    os.close(out)
    os.close(err)
    os.write(answer, f"{command}\n".encode())
    status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    os.write(answer, f"{status}\n".encode())
    os._exit(0)


def _become(request: Mapping[str, Any], out: int, err: int) -> None:
    """Be the process of one command."""
    from receiver import __main__ as command

    for number, stream in enumerate((os.open(os.devnull, os.O_RDONLY), out, err)):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    sys.argv = ["frontdesk", *request["arguments"]]
    _leave(command.main)


def _leave(main: Callable[[], None]) -> NoReturn:
    """Run *main* and leave as Python does, but for freeing each object, which takes as long as most commands."""
    status: Any = 1
    try:
        main()
    except SystemExit as ended:
        status = ended.code
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(status or 0)


if __name__ == "__main__":
    _serve(socket.socket(fileno=int(sys.argv[1])))
