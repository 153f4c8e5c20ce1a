"""`frontdesk serve`: the receiver on uvicorn; in several processes behind one port if asked."""

import contextlib
import os
import socket
import sys
import tempfile
from typing import Annotated

from cyclopts import Parameter

from receiver.core import settings
from receiver.core.errors import UsageError
from receiver.core.settings import Settings
from receiver.process import logs, standard_streams
from receiver.process.supervisor import Command, Supervisor
from receiver.storage.redis import connection
from receiver.web import assembly, server, socket_activation

_MOST_PROCESSES = 64


def serve(*, processes: int = 1, listener: Annotated[list[int] | None, Parameter(show=False)] = None) -> int:
    """Receive events from Nexudus, until SIGTERM or Ctrl-C.

    Listens at FRONTDESK_HOST and FRONTDESK_PORT, or at the sockets that a socket unit of systemd hands down.

    Parameters
    ----------
    processes
        How many processes share the port; about one per core.
    listener
        Open listening sockets to serve at, as the parent of several processes hands them down.
    """
    current = settings.from_environ(os.environ)
    current.need("url_keys")
    connection.connect(
        connection.url_of(current)
    ).close()  # nothing connects yet, but a wrong URL is told before anything starts
    logs.configure(current.log_level, current.log_format)
    standard_streams.detach_output()
    if not 1 <= processes <= _MOST_PROCESSES:
        raise UsageError(f"--processes {processes}: must be between 1 and {_MOST_PROCESSES}")
    if processes > 1 and sys.platform == "win32":
        raise UsageError("--processes: Windows cannot share a port; run one process")
    with contextlib.ExitStack() as stack:
        opened = [socket.socket(fileno=one) for one in listener or ()] or socket_activation.sockets(os.environ)
        opened = opened or server.listen(current.host, current.port)
        taken = [stack.enter_context(one) for one in opened]
        if not listener:
            host, port = taken[0].getsockname()[:2]
            logs.get().info("receiver.listening", host=host, port=port, processes=processes)
        if processes > 1:
            return _supervise(taken, processes, current)
        _run(taken, current)
    return 0


def _supervise(taken: list[socket.socket], processes: int, current: Settings) -> int:
    """Run children that accept from the same sockets; these stay open here, so that no restart loses a connection."""
    fds = tuple(one.fileno() for one in taken)
    handed = [word for fd in fds for word in ("--listener", str(fd))]
    command = (sys.executable, "-P", "-m", "receiver", "serve", *handed)
    grace_s = server.FINISH_WITHIN_S + current.shutdown_delay / 1_000 + 5
    with tempfile.TemporaryDirectory(prefix="frontdesk-metrics-") as folder:
        environ = {**os.environ, assembly.COUNTS_FOLDER: folder}
        names = [f"receiver-{number}" for number in range(1, processes + 1)]
        children = [Command(name, command, environ, fds=fds) for name in names]
        return Supervisor(children, grace_s=grace_s).run()


def _run(taken: list[socket.socket], current: Settings) -> None:
    """Serve in this process."""
    app = assembly.receiver(current)
    drain_s = current.shutdown_delay / 1_000
    server.run(app, taken, limits=assembly.limits(current), metrics=app.counts, drain_s=drain_s)
    logs.get().info("receiver.stopped")
