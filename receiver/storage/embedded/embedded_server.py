"""Starts and stops the embedded server: a real Valkey that keeps its data on disk below the data directory.

It runs in its own session, so that neither Ctrl-C nor the end of its parent stops it, because it holds events. A later
start attaches to the running server. The server holds the lock of its folder, so two never write the same files.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import redis

from receiver.core.errors import StorageUnavailable
from receiver.storage.embedded import server_binary
from receiver.storage.redis import connection
from receiver.storage.redis.embedded_paths import make_socket_dir, server_dir, socket_path

LEAST_DISK: Final = 64 * 1024 * 1024
"""Bytes that must be free on the disk before a server is started."""

ANSWER_S: Final = 30.0
"""Seconds that a started server may take until it answers at all, even with LOADING."""

LOADING_S: Final = 3600.0
"""Seconds that it may take to load its data: gigabytes take minutes."""

_LONGEST_LOG: Final = 1024 * 1024
_POLL_S: Final = 0.02
_PROGRESS_EVERY_S = 1.0

Progress = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Embedded:
    """A server that runs and answers. *pid*: its process id. *started*: this call started it; else it ran already."""

    url: str
    pid: int
    started: bool


def socket_url(data_dir: Path) -> str:
    """Return the URL of the embedded server of *data_dir*, whether it runs or not."""
    return connection.socket_url(socket_path(data_dir))


def is_running(data_dir: Path) -> bool:
    """Return whether the process of the embedded server of *data_dir* exists, answering or not."""
    return not _released(server_dir(data_dir), within_s=0)


def start(data_dir: Path, *, progress: Progress = lambda sentence: None, answer_s: float = ANSWER_S) -> Embedded:
    """Start the embedded server of *data_dir*, or attach to the one that runs there, and wait until it is ready.

    During a long load, *progress* is called with a sentence now and then. Raises StorageUnavailable.
    """
    home = server_dir(data_dir)
    process = None
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _lock(data_dir, answer_s) as lock:
            if lock is not None:
                process = _launch(home, make_socket_dir(data_dir), lock)
        pid = _wait_until_ready(data_dir, process, progress, answer_s)
    except OSError as error:
        raise _cannot_start(home, f"{error.strerror}: {error.filename or home}") from None
    finally:
        if process is not None and process.poll() is None:
            process.returncode = 0  # it should outlive us: this avoids a warning at exit, and init adopts it
    return Embedded(url=socket_url(data_dir), pid=pid, started=process is not None)


def stop(data_dir: Path, *, grace_s: float = 10.0) -> None:
    """Stop the embedded server of *data_dir* if one runs. Its data is synced to disk and stays.

    A server that does not stop within *grace_s* is killed; then only the last second may be missing on disk.
    """
    home = server_dir(data_dir)
    if not is_running(data_dir):
        return
    with connection.connect(socket_url(data_dir), timeout_s=min(grace_s, 2.0)) as client:
        pid = int(_state(client).get("process_id") or _pid_file(home) or 0)
        try:
            # NOSAVE only concerns snapshots, which we do not use; the append-only file is flushed and synced.
            client.shutdown(nosave=True)
        except redis.RedisError:
            _signal(pid, signal.SIGTERM)
    if not _released(home, grace_s):
        _signal(pid, signal.SIGKILL)
        _released(home, grace_s)
    with contextlib.suppress(OSError):
        os.waitpid(pid, os.WNOHANG)  # if it was a child of this process, leave no zombie


@contextlib.contextmanager
def _lock(data_dir: Path, answer_s: float) -> Iterator[int | None]:
    """Yield the locked file of the folder, or None when a server that answers holds it."""
    home = server_dir(data_dir)
    file = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        deadline = time.monotonic() + answer_s
        lock: int | None = file
        while not _try_lock(file):
            if connection.answers(socket_path(data_dir)):
                lock = None
                break
            if time.monotonic() > deadline:
                pid = _pid_file(home) or "unknown"
                raise _cannot_start(home, f"one runs there (process {pid}) and does not answer; end that process")
            time.sleep(_POLL_S)
        yield lock
    finally:
        os.close(file)


def _try_lock(file: int) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _launch(home: Path, path: Path, lock: int) -> subprocess.Popen[bytes]:
    if shutil.disk_usage(home).free < LEAST_DISK:
        raise _cannot_start(home, f"under {LEAST_DISK >> 20} MB of disk are free; make room or move FRONTDESK_DATA_DIR")
    found = server_binary.find()
    log = home / "log"
    if log.exists() and log.stat().st_size > _LONGEST_LOG:
        log.replace(home / "log.old")
    with log.open("ab") as output:
        output.write(b"--- started by frontdesk\n")
        output.flush()
        # The server inherits the lock, so the lock is held exactly as long as the server lives.
        return subprocess.Popen(
            [found, *_options(home, path)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            cwd=home,
            env=server_binary.environment(),
            start_new_session=True,
            pass_fds=(lock,),
        )


def _options(home: Path, path: Path) -> list[str]:
    options = {
        "port": "0",
        "unixsocket": str(path),
        "unixsocketperm": "700",
        "dir": str(home),
        "pidfile": str(home / "pid"),
        "daemonize": "no",
        "appendonly": "yes",
        "appendfsync": "everysec",
        "save": "",
        "maxmemory-policy": "noeviction",
    }
    return [word for name, value in options.items() for word in (f"--{name}", value)]


def _wait_until_ready(
    data_dir: Path, process: subprocess.Popen[bytes] | None, progress: Progress, answer_s: float
) -> int:
    home = server_dir(data_dir)
    started = said = time.monotonic()
    with connection.connect(socket_url(data_dir), timeout_s=answer_s) as client:
        while True:
            state = _state(client)
            if state.get("loading") == 0:
                return int(state["process_id"])
            if process is not None and process.poll() is not None:
                raise _cannot_start(home, _last_words(home))
            now = time.monotonic()
            if now - started > (LOADING_S if state else answer_s):
                raise _cannot_start(home, f"it does not get ready; {home / 'log'} may say why")
            if now - said > _PROGRESS_EVERY_S:
                said = now
                progress(f"the embedded server loads its data: {state.get('loading_loaded_perc', 0)} %")
            time.sleep(_POLL_S)


def _state(client: redis.Redis) -> dict[str, str | int]:
    """Return the server's own information, also while it loads; empty while it does not answer."""
    try:
        return dict(client.info())
    except redis.RedisError:
        return {}


def _pid_file(home: Path) -> str:
    try:
        return (home / "pid").read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def _last_words(home: Path) -> str:
    with (home / "log").open("rb") as log:
        log.seek(max(0, log.seek(0, os.SEEK_END) - 4096))
        text = log.read().decode(errors="replace")
    lines = text.rpartition("--- started by frontdesk")[2].splitlines()
    telling = [line for line in lines if " # " in line or "***" in line or "rror" in line]
    return f"it ended at once: {(telling or lines or ['its log is empty'])[-1].strip()[:300]!r}; see {home / 'log'}"


def _cannot_start(home: Path, reason: str) -> StorageUnavailable:
    return StorageUnavailable(f"embedded server in {home}: {reason}")


def _signal(pid: int, number: signal.Signals) -> None:
    if pid > 0:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.kill(pid, number)


def _released(home: Path, within_s: float) -> bool:
    """Wait until no server holds the lock of the folder; return False if one still holds it after *within_s*."""
    deadline = time.monotonic() + within_s
    with contextlib.suppress(FileNotFoundError), (home / "lock").open("r+b") as file:
        while not _try_lock(file.fileno()):
            if time.monotonic() > deadline:
                return False
            time.sleep(_POLL_S)
    return True
