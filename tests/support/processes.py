"""Real processes for tests: commands of Frontdesk and Valkey servers, waited for by what they do, ended by their id.

Everything that waits has a deadline and says what it waited for, with the last output of the process.
"""

import contextlib
import http.client
import os
import re
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self, TypeVar
from urllib.parse import quote, urlsplit

import redis

from receiver.storage.embedded import server_binary
from receiver.storage.redis import connection
from tests.support import forked

DEADLINE_S = 100.0
"""How long a test waits for something that takes a second. It ends a test that hangs; it judges none that is slow."""

PATIENT = {"FRONTDESK_STORE_PATIENCE": "10s"}
"""For receivers whose store is there: it must not matter that it once takes long on a busy machine."""

T = TypeVar("T")

_returned: set[int] = set()

_SHARES = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
_SHARE = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def wait_until(
    condition: Callable[[], T | None], what: str | Callable[[], str] = "it", *, timeout_s: float = DEADLINE_S
) -> T:
    """Return the first true value of *condition*; fail the test when there is none in time.

    What is waited for gets half of the time: a look that takes long, as a command does, is not repeated at once.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        began = time.monotonic()
        if value := condition():
            return value
        ended = time.monotonic()
        if ended > deadline:
            raise AssertionError(f"waited {timeout_s:.0f} s for {what if isinstance(what, str) else what()}")
        time.sleep(max(0.02, ended - began))


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nobody has.

    Until the test listens there, somebody else might take it. So it is none of those that the kernel gives to whoever
    wants any port, nor one that this process has returned before; test processes that run beside each other share no
    ports, and the first one that is tried is not the first that another run would try.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000 // _SHARES) * _SHARES + _SHARE
        with socket.socket() as listener, contextlib.suppress(OSError):
            if port not in _returned:
                listener.bind(("127.0.0.1", port))
                _returned.add(port)
                return port


def environment(settings: Mapping[str, str] | None = None) -> dict[str, str]:
    """Return the environment for a command: ours without any setting of Frontdesk, then *settings*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("FRONTDESK_", "COV_"))}
    return kept | {"PYTHONUNBUFFERED": "1", "COLUMNS": "120"} | dict(settings or {})


def command(*arguments: str) -> list[str]:
    """Return the argument list that runs `frontdesk ARGUMENTS` from this tree."""
    return [sys.executable, "-m", "receiver", *arguments]


@dataclass(frozen=True, slots=True)
class Ran:
    """A command that ended."""

    status: int
    out: str
    err: str


def run(
    *arguments: str,
    settings: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    stdin: bytes = b"",
    timeout_s: float = DEADLINE_S,
) -> Ran:
    """Run `frontdesk ARGUMENTS` to its end. *cwd*: where; default: the root of this tree."""
    environ = forked.importable(environment(settings))
    try:
        if forked.can_run(environ):
            status, out, err = forked.run(arguments, environ, cwd or Path.cwd(), stdin, timeout_s)
        else:
            status, out, err = _started(command(*arguments), environ, cwd, stdin, timeout_s)
    except forked.TooLate as late:
        raise AssertionError(f"waited {timeout_s:.0f} s for the end of {arguments}, which printed {late}") from None
    return Ran(status, out.decode(), err.decode())


def _started(
    argv: Sequence[str], environ: Mapping[str, str], cwd: Path | None, stdin: bytes, timeout_s: float
) -> tuple[int, bytes, bytes]:
    try:
        ended = subprocess.run(
            argv,
            env=environ,
            cwd=cwd,
            capture_output=True,
            input=stdin,
            timeout=timeout_s,
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        raise forked.TooLate((late.stdout or b"") + (late.stderr or b"")) from None
    return ended.returncode, ended.stdout, ended.stderr


class Process:
    """A started program; what it prints (both streams) goes to *log*, so that it never blocks on us."""

    def __init__(
        self,
        argv: Sequence[str | Path],
        *,
        log: Path,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        fds: Sequence[int] = (),
    ) -> None:
        """*fds*: open files that it inherits under the same numbers."""
        self.log = log
        self._argv = [str(word) for word in argv]
        complete = None if environ is None else forked.importable(environ)
        with log.open("ab") as output:
            self.popen = self._start(output.fileno(), complete, cwd, fds)

    def _start(
        self, output: int, environ: Mapping[str, str] | None, cwd: Path | None, fds: Sequence[int]
    ) -> "subprocess.Popen[bytes] | forked.Forked":
        return subprocess.Popen(
            self._argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=environ,
            cwd=cwd,
            pass_fds=fds,
            start_new_session=True,  # Ctrl-C in a terminal ends pytest, which then ends this in its own way
        )

    @property
    def pid(self) -> int:
        """The process id."""
        return self.popen.pid

    @property
    def output(self) -> str:
        """Everything printed so far."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended yet."""
        return self.popen.poll() is None

    def wait_for(self, pattern: str, *, timeout_s: float = DEADLINE_S) -> re.Match[str]:
        """Return the first match of a regular expression in the output; fail when the process ends without it."""

        def found() -> re.Match[str] | None:
            ended = not self.is_running
            match = re.search(pattern, self.output, re.MULTILINE)
            assert match or not ended, f"{self} ended with {self.popen.returncode} without {pattern!r}"
            return match

        return wait_until(found, lambda: f"{pattern!r} from {self}", timeout_s=timeout_s)

    def wait_for_http(self, url: str, *, status: int = 200, timeout_s: float = DEADLINE_S) -> None:
        """Wait until a GET of *url* answers *status*; fail when the process ends before."""

        def answered() -> bool:
            assert self.is_running, f"{self} ended with {self.popen.returncode} before {url} answered {status}"
            return get(url) == status

        wait_until(answered, lambda: f"{status} from {url}, of {self}", timeout_s=timeout_s)

    def wait(self, *, timeout_s: float = DEADLINE_S) -> int:
        """Return the exit status; fail when the process does not end in time."""
        wait_until(lambda: not self.is_running, lambda: f"the end of {self}", timeout_s=timeout_s)
        return self.popen.wait(DEADLINE_S)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to this process alone."""
        if self.is_running:
            self.popen.send_signal(number)

    def stop(self, *, timeout_s: float = DEADLINE_S) -> int:
        """SIGTERM, then wait. Returns the exit status."""
        self.signal(signal.SIGTERM)
        return self.wait(timeout_s=timeout_s)

    def kill(self) -> int:
        """SIGKILL, then wait. Returns the exit status."""
        self.signal(signal.SIGKILL)
        return self.popen.wait(DEADLINE_S)

    def freeze(self) -> None:
        """SIGSTOP: the process keeps its sockets and answers nothing."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """SIGCONT."""
        self.signal(signal.SIGCONT)

    def end(self) -> None:
        """Make sure that it is gone: asked for first, killed after three seconds."""
        self.thaw()
        self.signal(signal.SIGTERM)
        try:
            self.popen.wait(3)
        except subprocess.TimeoutExpired:
            self.kill()

    def __str__(self) -> str:
        return f"{self._argv} (process {self.pid}) that printed:\n{self.output[-4000:]}\n"


class Command(Process):
    """`frontdesk ARGUMENTS`, forked from a process that has imported it: it is there at once. Where its start is what a
    test is about, it takes `Process(command(...))`."""

    def __init__(self, *arguments: str, log: Path, environ: Mapping[str, str], cwd: Path | None = None) -> None:
        self._arguments = arguments
        super().__init__(command(*arguments), log=log, environ=environ, cwd=cwd)

    def _start(
        self, output: int, environ: Mapping[str, str] | None, cwd: Path | None, fds: Sequence[int]
    ) -> "subprocess.Popen[bytes] | forked.Forked":
        if environ is None or not forked.can_run(environ):
            return super()._start(output, environ, cwd, fds)
        with Path(os.devnull).open("rb") as nothing:
            streams = [nothing.fileno(), output, output]
            return forked.Forked(self._arguments, environ, cwd or Path.cwd(), streams)


def is_alive(pid: int) -> bool:
    """Whether a process lives; a zombie that nobody has reaped yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def children_of(pid: int) -> dict[int, str]:
    """Return the living children of a process, by id, with their command lines."""
    found = {}
    for entry in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and (entry / "stat").read_text().rpartition(")")[2].split()[1] == str(pid):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
                found[int(entry.name)] = line
    return {child: line for child, line in found.items() if is_alive(child)}


def get(url: str, *, timeout_s: float = 5.0) -> int:
    """Return the status of a GET, or 0 when nothing answers."""
    parts = urlsplit(url)
    client = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port or 80, timeout=timeout_s)
    with contextlib.closing(client):
        try:
            client.request("GET", parts.path + (f"?{parts.query}" if parts.query else ""))
            return client.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0


def server_program() -> Path:
    """Return the program of the stores that tests start: what TESTS_SERVER names, or the embedded server."""
    named = os.environ.get("TESTS_SERVER")
    return Path(named) if named else server_binary.find()


class Valkey(Process):
    """A server of a test's own, with what `deploy/` demands: append-only, noeviction.

    It listens at *url*: a socket, or with *port* at 127.0.0.1. `start_again()` after `kill()` finds its data again.
    *options* are those of the server's command line; with *password* it asks for one, and *url* holds it. *environ*:
    what it has in its environment beside ours.
    """

    def __init__(
        self,
        folder: Path,
        *options: str,
        port: int = 0,
        password: str = "",
        environ: Mapping[str, str] | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._environ = {**os.environ, **(environ or {})}
        self._options = ["--port", str(port), "--appendonly", "yes", "--save", "", "--dir", str(folder), *options]
        if password:
            self._options += ["--requirepass", password, "--masterauth", password]
        login = f":{quote(password, safe='')}@" if password else ""
        if port:
            self.url = f"redis://{login}127.0.0.1:{port}/0"
        else:
            path = folder / "socket"
            assert len(str(path)) < 104, f"{path} is too long for a socket; run pytest with a shorter --basetemp"
            self.url = connection.socket_url(path).replace("unix://", f"unix://{login}")
            self._options += ["--unixsocket", str(path)]
        self.start_again()

    def start_again(self) -> Self:
        """Start the server, or start it again, and wait until it answers."""
        super().__init__([server_program(), *self._options], log=self._folder / "log", environ=self._environ)
        try:
            wait_until(self._answers, lambda: f"a PONG from {self}")
        except BaseException:
            self.end()
            raise
        return self

    def kill(self) -> int:
        """SIGKILL, as the process dies and not its disk; returns the exit status.

        While its disk syncs, a server under `everysec` answers before it has written, and a kill loses that: up to a
        second, as docs/operate.md says. It depends on the disk, so the last sync is let end first, and no other begins.
        """
        with contextlib.suppress(redis.RedisError), self.client(timeout_s=2.0) as client:
            if client.config_get("appendfsync") == {"appendfsync": "everysec"}:
                client.config_set("appendfsync", "no")
                wait_until(lambda: not client.info("persistence").get("aof_pending_bio_fsync"), "the end of a sync")
        return super().kill()

    def client(self, *, timeout_s: float = DEADLINE_S) -> redis.Redis:
        """Return a client of this server; the caller closes it."""
        return connection.connect(self.url, timeout_s=timeout_s)

    def _answers(self) -> bool:
        assert self.is_running, f"{self} ended with {self.popen.returncode}"
        with self.client() as client, contextlib.suppress(redis.RedisError):
            return bool(client.ping())
        return False
