"""What `up` needs before it starts anything: a data directory of its own, a routing file, a free port, a store."""

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from receiver.cli.up import init
from receiver.core.errors import SettingsError, StorageUnavailable, UsageError
from receiver.core.settings import Settings
from receiver.storage.redis import connection, preflight, redis_url

Say = Callable[[str], None]


def see_routes(settings: Settings, *, demo: bool) -> None:
    """Make sure that there is a routing file; a demo gets a small one if need be. Raises SettingsError."""
    if settings.routes.exists():
        return
    if not demo or settings.routes != Path("routes.yaml"):
        raise SettingsError(
            f"{settings.routes}: there is no routing file; write one with frontdesk init, name another in "
            "FRONTDESK_ROUTES, or start with frontdesk up --demo"
        )
    init.write(settings.routes)


@contextlib.contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """Hold the lock of the data directory: two `up` over one store would stop it under each other's feet."""
    import fcntl  # not on Windows, where `up` does not run

    path = data_dir / "up.lock"
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        file = path.open("a+", encoding="ascii")
    except OSError as error:
        raise SettingsError(f"FRONTDESK_DATA_DIR: cannot write to {str(data_dir)!r}: {error.strerror}") from None
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            raise UsageError(
                f"{data_dir}: frontdesk up already runs here (process {file.read(20).strip()}); stop it first, or set "
                "FRONTDESK_DATA_DIR"
            ) from None
        file.truncate(0)
        print(os.getpid(), file=file, flush=True)
        yield


def free_port(settings: Settings) -> int:
    """Return the receiver's port, chosen now if it is 0. Raises SettingsError when it is taken."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        with socket.create_server((settings.host, settings.port), family=family) as listener:
            port: int = listener.getsockname()[1]
            return port
    except (OSError, UnicodeError) as error:
        # create_server writes the address into strerror; a name that cannot be resolved has an errno of its own kind.
        what = error if isinstance(error, socket.gaierror | UnicodeError) else os.strerror(error.errno or 0)
        raise SettingsError(
            f"cannot listen at {settings.host} port {settings.port}: {what}; stop what listens there, or set "
            "FRONTDESK_HOST and FRONTDESK_PORT"
        ) from None


def free_console_port(settings: Settings) -> int:
    """Return the console's port. When nobody asked for the one that is taken, another one serves as well.

    Raises SettingsError when somebody did.
    """
    wanted = settings.model_copy(update={"port": settings.console_port})
    try:
        return free_port(wanted)
    except SettingsError as error:
        if "console_port" in settings.model_fields_set:
            raise SettingsError(str(error).replace("FRONTDESK_PORT", "FRONTDESK_CONSOLE_PORT")) from None
        return free_port(wanted.model_copy(update={"port": 0}))


@contextlib.contextmanager
def store(settings: Settings, say: Say) -> Iterator[str]:
    """Yield the URL of the store: the one that is set, seen to answer, or the embedded one, run as long as we run.

    Raises StorageUnavailable.
    """
    if settings.redis_url:
        url = settings.redis_url.get_secret_value()
        with connection.connect(url) as client:
            fitness = preflight.look(client)
            for sentence in (*fitness.wrong, *fitness.unknown):
                say(f"{redis_url.parse(url)}: {sentence}")
        yield url
        return
    from receiver.storage.embedded import embedded_server  # not on Windows

    try:
        started = embedded_server.start(settings.data_dir, progress=say)
    except KeyboardInterrupt:
        embedded_server.stop(settings.data_dir, grace_s=2)
        raise
    ended = threading.Event()
    guard = threading.Thread(target=_guard, args=(settings.data_dir, ended, say), daemon=True)
    guard.start()
    try:
        yield started.url
    finally:
        ended.set()
        guard.join(2)
        embedded_server.stop(settings.data_dir, grace_s=2)


def _guard(data_dir: Path, ended: threading.Event, say: Say) -> None:
    """Start the embedded server again when it dies: it is nobody's child that the supervisor could watch."""
    from receiver.storage.embedded import embedded_server

    while not ended.wait(0.5):
        if embedded_server.is_running(data_dir):
            continue
        say("the embedded server ended; restarting it")
        try:
            embedded_server.start(data_dir, progress=say)
        except StorageUnavailable as error:
            say(str(error))
            ended.wait(5)
