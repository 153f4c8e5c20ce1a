"""The simulator put together: one ASGI application, served by uvicorn on one socket."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette

from receiver.core.errors import SettingsError
from receiver.nexudus import signature
from receiver.process import end_signals
from receiver.simulator.access import Access, Account
from receiver.simulator.account.entity_views import EntityViews
from receiver.simulator.account.record_store import Records
from receiver.simulator.account.tenant import Tenant
from receiver.simulator.control import Control
from receiver.simulator.faults import Knobs
from receiver.simulator.firing import Firing
from receiver.simulator.outages import Outages
from receiver.simulator.rest_api import SimulatorApi

_SAVE_EVERY_S = 1.0


def build(
    tenant: Tenant,
    account: Account,
    knobs: Knobs,
    *,
    secret_of: Callable[[int], str | None],
    reading: signature.Reading = "dotnet-ascii",
    file: Path | None = None,
) -> Starlette:
    """Return the application, which signs in one *reading*.

    *file* keeps the hooks over restarts; it is read now when it is there. Raises SettingsError when that fails.
    """
    if file is not None and file.exists():
        try:
            tenant.load(file)
        except (OSError, ValueError) as error:
            raise SettingsError(f"{file}: {error}; delete it to start afresh") from error
    access, outages, now = Access(account), Outages(tenant), datetime.now(UTC)
    records = Records(tenant.businesses, now, knobs)
    firing = Firing(tenant, records, outages, knobs, secret_of, reading)
    api = SimulatorApi(tenant, EntityViews(records, now), firing, access, knobs)
    control = Control(tenant, records, outages, access, knobs, firing, api)

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(firing.run()), asyncio.create_task(outages.run())]
        if file is not None:
            tasks.append(asyncio.create_task(_save_now_and_then(tenant, file)))
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await firing.close()
            if file is not None:
                _save(tenant, file)

    return Starlette(routes=[*api.routes(), *control.routes()], lifespan=lifespan)


def serve(app: Starlette, listener: socket.socket) -> None:
    """Serve until SIGINT, SIGTERM or SIGHUP."""
    config = uvicorn.Config(
        app, log_config=None, log_level="critical", access_log=False, timeout_graceful_shutdown=2, lifespan="on"
    )
    server = uvicorn.Server(config)
    with end_signals.answered(server.handle_exit):
        server.run(sockets=[listener])


def listen(host: str, port: int) -> socket.socket:
    """Return a listening socket; *port* 0 takes a free one. Raises SettingsError when it is taken."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen()  # from now on connections wait instead of being refused
    except OSError as error:
        listener.close()
        raise SettingsError(f"cannot listen at {host} port {port}: {error.strerror}; choose another --port") from error
    return listener


async def _save_now_and_then(tenant: Tenant, file: Path) -> None:
    while True:
        await asyncio.sleep(_SAVE_EVERY_S)
        if tenant.is_changed:
            _save(tenant, file)


def _save(tenant: Tenant, file: Path) -> None:
    try:
        tenant.save(file)
    except OSError as error:
        structlog.get_logger().error("simulator.unsaved", file=str(file), reason=str(error))
