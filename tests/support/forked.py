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
import select
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NoReturn

_ROOT = Path(__file__).resolve().parents[2]
_LENGTH = struct.Struct("!Q")
_AT_START = ("PYTHON", "LC_", "LANG", "TZ", "COLUMNS", "OTEL_")


def importable(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which this tree is found from every folder."""
    return {**environ, "PYTHONPATH": os.pathsep.join(filter(None, [str(_ROOT), environ.get("PYTHONPATH")]))}


_ENVIRON = importable(os.environ) | {"PYTHONUNBUFFERED": "1", "COLUMNS": "120"}


def can_run(environ: Mapping[str, str]) -> bool:
    """Whether a command with this environment can be forked: what is read while Python starts is the same here."""
    return all(_ENVIRON.get(name) == value for name, value in environ.items() if name.startswith(_AT_START))


class TooLate(Exception):
    """The command did not end in time; it was killed. Its argument is what it had printed, both streams."""


class Forked:
    """A command that was forked, with as much of the interface of `subprocess.Popen` as tests use."""

    def __init__(self, arguments: Sequence[str], environ: Mapping[str, str], cwd: Path, streams: Sequence[int]) -> None:
        """Start `frontdesk ARGUMENTS` in a session of its own. *streams*: files for its input, output and errors."""
        self.returncode: int | None = None
        request = {"arguments": arguments, "environ": dict(environ), "cwd": str(cwd)}
        reading, writing = os.pipe()
        self._answer = os.fdopen(reading, "rb", buffering=0)
        try:
            _server().fork(json.dumps(request).encode(), [*streams, writing])
        finally:
            os.close(writing)
        self.pid = int(self._answer.readline())

    def poll(self) -> int | None:
        """Return the status if it has ended."""
        return self._status(0.0)

    def wait(self, timeout: float | None = None) -> int:
        """Return the status once it has ended. Raises TimeoutExpired."""
        if (status := self._status(timeout)) is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout or 0.0)
        return status

    def send_signal(self, number: int) -> None:
        """Send a signal to it alone, if it has not ended."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def _status(self, timeout: float | None) -> int | None:
        if self.returncode is None and _readable([self._answer.fileno()], timeout):
            self.returncode = int(self._answer.readline())
            self._answer.close()
        return self.returncode


def run(
    arguments: Sequence[str], environ: Mapping[str, str], cwd: Path, stdin: bytes, timeout_s: float
) -> tuple[int, bytes, bytes]:
    """Run `frontdesk ARGUMENTS` to its end. Returns its status and what it wrote to its two streams. Raises TooLate."""
    (out, write_out), (err, write_err) = os.pipe(), os.pipe()
    try:
        with tempfile.TemporaryFile() as given:
            given.write(stdin)
            given.seek(0)
            command = Forked(arguments, environ, cwd, [given.fileno(), write_out, write_err])
    finally:
        os.close(write_out)
        os.close(write_err)
    try:
        printed = _read_all((out, err), time.monotonic() + timeout_s)
    except TooLate:
        command.send_signal(signal.SIGKILL)
        command.wait()
        raise
    finally:
        os.close(out)
        os.close(err)
    return command.wait(), *printed


def _read_all(files: tuple[int, int], deadline: float) -> tuple[bytes, bytes]:
    """Read two pipes to their ends."""
    contents = dict.fromkeys(files, b"")
    left = list(files)
    while left:
        ready = _readable(left, max(0.0, deadline - time.monotonic()))
        if not ready:
            raise TooLate(b"".join(contents.values()))
        for file in ready:
            chunk = os.read(file, 65_536)
            contents[file] += chunk
            if not chunk:
                left.remove(file)
    return contents[files[0]], contents[files[1]]


def _readable(files: Sequence[int], timeout_s: float | None) -> list[int]:
    poll = select.poll()
    for file in files:
        poll.register(file, select.POLLIN)
    return [file for file, _ in poll.poll(None if timeout_s is None else timeout_s * 1_000)]


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
                env=_ENVIRON,
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # Ctrl-C ends the tests, and their end ends this
            )

    def fork(self, request: bytes, streams: Sequence[int]) -> None:
        """Start one command."""
        with self._lock:
            socket.send_fds(self._control, [_LENGTH.pack(len(request))], streams)
            self._control.sendall(request)

    def close(self) -> None:
        """End it; it waits a while for commands that a test left behind."""
        self._control.close()
        try:
            self._popen.wait(10)
        except subprocess.TimeoutExpired:
            self._popen.kill()
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
        header, streams, _, _ = socket.recv_fds(control, _LENGTH.size, 4)
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
    *its, answer = streams
    command = os.fork()
    if command == 0:
        os.close(answer)
        _become(request, its)
        sys.exit("a command does not return")
    for one in its:
        os.close(one)
    os.write(answer, f"{command}\n".encode())
    status = os.waitstatus_to_exitcode(os.waitpid(command, 0)[1])
    os.write(answer, f"{status}\n".encode())
    os._exit(0)


def _become(request: Mapping[str, Any], streams: Sequence[int]) -> None:
    """Be the process of one command."""
    from receiver import __main__ as command

    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.environ.clear()
    os.environ.update(request["environ"])
    os.chdir(request["cwd"])
    os.setsid()
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
