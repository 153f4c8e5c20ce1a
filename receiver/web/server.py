"""The server: uvicorn with our limits, listening sockets with clear errors, and an orderly shutdown."""

import asyncio
import contextlib
import errno
import functools
import gc
import socket
import time
from collections.abc import Iterator, Sequence
from typing import Any, Protocol, cast

import uvicorn
from starlette.types import Receive, Scope, Send

from receiver.core.errors import SettingsError
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.process import end_signals
from receiver.web.connections import open_files
from receiver.web.connections.bounded_protocol import BoundedProtocol
from receiver.web.connections.connection_limits import ConnectionBudget, ConnectionLimits

_BACKLOG = 2_048
_TICKS_PER_SECOND = 10
FINISH_WITHIN_S = 25
"""After SIGTERM; Kubernetes and systemd send SIGKILL after 30 s and 90 s."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Return a listening socket for each address of *host*, all on one port; port 0: a free one.

    An address that this machine does not have, such as `::1` without IPv6, is skipped as long as another one works.
    Raises SettingsError with one sentence when none works.
    """
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    except (OSError, UnicodeError) as error:
        reason = getattr(error, "strerror", None) or error
        raise SettingsError(f"FRONTDESK_HOST: cannot listen on {host!r}: {reason}") from None
    listeners: list[socket.socket] = []
    missing: OSError | None = None
    for family, address in dict.fromkeys((family, address) for family, _, _, _, address in found):
        taken = listeners[0].getsockname()[1] if listeners else port
        try:
            listeners.append(_listener(family, (address[0], taken, *address[2:]), every=host == "::"))
        except OSError as error:
            if error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                missing = error
                continue
            for listener in listeners:
                listener.close()
            raise SettingsError(f"cannot listen on {host} port {port}: {_remedy(error)}") from None
    if missing and not listeners:
        raise SettingsError(f"cannot listen on {host} port {port}: {_remedy(missing)}")
    return listeners


def _listener(family: int, address: tuple[Any, ...], *, every: bool) -> socket.socket:
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # `::` means every address, IPv4 included, whatever the machine's default is.
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, int(not every))
        listener.bind(address)
        listener.listen(_BACKLOG)
        listener.setblocking(False)
    except OSError:
        listener.close()
        raise
    return listener


class Application(Protocol):
    """An application that the server can run. The server sets *is_draining* before it stops."""

    is_draining: bool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None: ...


def run(
    app: Application,
    listeners: Sequence[socket.socket],
    *,
    limits: ConnectionLimits,
    metrics: IngestMetrics,
    drain_s: float = 0,
) -> None:
    """Serve until a signal asks to stop, then finish the requests that were accepted, and return."""
    budget = ConnectionBudget(open_files.fitting(limits, burst=_BACKLOG), metrics.connection_refused)
    config = uvicorn.Config(
        app,
        http=cast("Any", functools.partial(BoundedProtocol, budget=budget)),
        ws="none",
        lifespan="on",
        log_config=None,
        log_level="error",
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=FINISH_WITHIN_S,
    )
    Server(config, app, drain_s=drain_s).run(sockets=list(listeners))


class Server(uvicorn.Server):
    """uvicorn's server, which also closes slow connections and loses no request when it stops."""

    def __init__(self, config: uvicorn.Config, app: Application, *, drain_s: float) -> None:
        super().__init__(config)
        self._app = app
        self._drain_s = drain_s

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start, then freeze the objects that exist for the garbage collector, which halves the slowest answers."""
        await super().startup(sockets)
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)

    async def on_tick(self, counter: int) -> bool:
        """Close slow connections once a second."""
        if counter % _TICKS_PER_SECOND == 0:
            self._expire_connections()
        return await super().on_tick(counter)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Report that we are not ready, stop listening once earlier requests are answered, and finish the rest.

        Until all requests from before the signal are answered, and for at least *drain_s*, `/readyz` tells load
        balancers to send no more. Requests that still come are accepted as before, but each answer closes its
        connection, so that no idle connection is left for us to close while the next request is on its way.
        """
        self._app.is_draining = True
        until = time.monotonic() + self._drain_s
        before = [connection.cycle for connection in self._connections() if connection.cycle is not None]
        latest = time.monotonic() + max(self._drain_s, FINISH_WITHIN_S / 2)
        while not self.force_exit and time.monotonic() < latest:
            for connection in self._connections():
                connection.is_draining = True
            if time.monotonic() >= until and all(cycle.response_complete or cycle.disconnected for cycle in before):
                break
            await asyncio.sleep(0.05)
            self._expire_connections()
        self.config.timeout_graceful_shutdown = max(1, int(until + FINISH_WITHIN_S - time.monotonic()))
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Treat a signal to stop as a request for an orderly end: the exit status is 0, not that of a killed
        process."""
        with super().capture_signals(), end_signals.answered(self.handle_exit):
            yield
            self._captured_signals.clear()

    def _expire_connections(self) -> None:
        now = time.monotonic()
        for connection in self._connections():
            connection.expire(now)

    def _connections(self) -> list[BoundedProtocol]:
        return [one for one in self.server_state.connections if isinstance(one, BoundedProtocol)]


def _remedy(error: OSError) -> str:
    match error.errno:
        case errno.EADDRINUSE:
            return "something else listens there already; stop it, or set FRONTDESK_PORT"
        case errno.EACCES:
            return "the system does not allow it; set FRONTDESK_PORT to 1024 or above"
        case errno.EADDRNOTAVAIL:
            return "this machine has no such address; set FRONTDESK_HOST"
    return error.strerror or str(error)
