"""`frontdesk serve`: the receiver, wired together; in several processes behind one port if asked."""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from receiver import logs, settings
from receiver.errors import StorageUnavailable, UsageError
from receiver.ingest import Ingest, Policy
from receiver.metrics import IngestMetrics
from receiver.nexudus import actions
from receiver.routing.current import CurrentTable
from receiver.settings import Settings
from receiver.storage import connection, keys
from receiver.storage.keeper import Keeper
from receiver.storage.spool import slots
from receiver.storage.store import Store
from receiver.supervisor import Child, Supervisor
from receiver.web import server
from receiver.web.app import Receiver
from receiver.web.clients import ClientAddresses
from receiver.web.door import Door
from receiver.web.protocol import Limits
from receiver.web.requestlog import RequestLog

_MOST_PROCESSES = 64
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client looks for the folder that processes count in; read when it is imported, hence a variable."""

_GAUGE_EVERY_S = 1.0

_ROUTES_TIMEOUT_S = 1.0
"""The last good routes in Redis are a convenience: the receiver does not wait long for them."""


def serve(*, processes: int = 1, listener: Annotated[int | None, Parameter(show=False)] = None) -> int:
    """Take events in from Nexudus, until SIGTERM or Ctrl-C.

    Parameters
    ----------
    processes
        How many processes share the port; about one for each core.
    listener
        An open listening socket to serve at, as the parent of several processes hands it down.
    """
    current = settings.from_environ(os.environ)
    current.need("url_keys")
    url = connection.url_of(current)
    connection.connect(url).close()  # nothing connects yet, but a wrong URL is told before anything starts
    logs.configure(current.log_level, current.log_format)
    if not 1 <= processes <= _MOST_PROCESSES:
        raise UsageError(f"--processes {processes}: must be between 1 and {_MOST_PROCESSES}")
    if processes > 1 and sys.platform == "win32":
        raise UsageError("--processes: Windows cannot share a port; run one process")
    taken = server.listen(current.host, current.port) if listener is None else socket.socket(fileno=listener)
    if listener is None:
        host, port = taken.getsockname()[:2]
        logs.get().info("receiver.listening", host=host, port=port, processes=processes)
    with taken:
        if processes > 1:
            return _supervise(taken, processes, current)
        _run(taken, current, url)
    return 0


def _supervise(taken: socket.socket, processes: int, current: Settings) -> int:
    """Run children that accept from one socket; it stays open here, so that no restart of one loses a connection."""
    command = (sys.executable, "-P", "-m", "receiver", "serve", "--listener", str(taken.fileno()))
    grace_s = server.FINISH_WITHIN_S + current.shutdown_delay / 1_000 + 5
    with tempfile.TemporaryDirectory(prefix="frontdesk-metrics-") as folder:
        environ = {**os.environ, _FOLDER: folder}
        names = [f"receiver-{number}" for number in range(1, processes + 1)]
        children = [Child(name, command, environ, fds=(taken.fileno(),)) for name in names]
        return Supervisor(children, grace_s=grace_s).run()


def _run(taken: socket.socket, current: Settings, url: str) -> None:
    """Serve in this process."""
    folder = os.environ.get(_FOLDER)
    metrics = IngestMetrics(actions.NAMES, folder=Path(folder) if folder else None)
    store = _store(current, url)
    keeper = _keeper(current, store)
    table = _table(current, url)
    log = RequestLog(current.log_level, current.log_format)
    door = Door(
        Ingest(keeper, lambda: table.table, _policy(current), metrics, keeper.clock),
        url_keys=[key.get_secret_value() for key in current.url_keys],
        max_body=current.max_body,
        clients=ClientAddresses(current.trusted_proxies),
        log=log,
        metrics=metrics,
    )

    @contextlib.asynccontextmanager
    async def lifespan(_: Receiver) -> AsyncIterator[None]:
        table.start_watching()
        await keeper.start()
        gauge = asyncio.create_task(_gauge(keeper, metrics))
        yield
        gauge.cancel()
        table.stop_watching()
        await keeper.close()
        log.flush()

    server.run(
        Receiver(
            door,
            can_keep=keeper.ready,
            counts=metrics,
            store_gauges=lambda: _store_gauges(store),
            lifespan=lifespan,
        ),
        taken,
        limits=Limits(connections=current.max_connections),
        metrics=metrics,
        drain_s=current.shutdown_delay / 1_000,
    )
    logs.get().info("receiver.stopped")


def _store(current: Settings, url: str) -> Store:
    replicas = current.replicas if current.durability == "replicated" else 0
    return Store(connection.connect_async(url), replicas=replicas)


def _keeper(current: Settings, store: Store) -> Keeper:
    return Keeper(
        store,
        slots.folder_of(current.data_dir),
        max_bytes=current.spool_max,
        alias_ms=max(current.retention, current.retention_kept),
    )


async def _gauge(keeper: Keeper, metrics: IngestMetrics) -> None:
    """Tell the metrics once a second what the spools hold."""
    while True:
        metrics.spooled(keeper.spooled, keeper.oldest_age_s())
        await asyncio.sleep(_GAUGE_EVERY_S)


async def _store_gauges(store: Store) -> dict[str, float]:
    """What /metrics says of the store: nothing while it is away, or while nobody has swept it yet."""
    try:
        found = await store.last_audit(timeout_s=1.0)
    except StorageUnavailable:
        return {}
    if found is None:
        return {}
    return {
        "unaccounted_events": found.unaccounted,
        "audit_age_seconds": max(0.0, time.time() - found.at_ms / 1_000),
        "audit_repaired_deliveries": found.repaired,
    }


def _policy(current: Settings) -> Policy:
    return Policy(
        secrets=tuple((each.business_id, each.secret.get_secret_value()) for each in current.webhook_secrets),
        on_bad_signature=current.on_bad_signature,
        dedup_window_ms=current.dedup_window,
    )


def _table(current: Settings, url: str) -> CurrentTable:
    """Return the routing table, read; the last good one is kept in Redis too, where every receiver finds it."""
    client: Any = connection.connect(url, timeout_s=_ROUTES_TIMEOUT_S)

    def load() -> str | None:
        text: bytes | None = client.get(keys.ROUTES)
        return None if text is None else text.decode("utf-8", "replace")

    table = CurrentTable(
        current.routes,
        known_actions=actions.CODES,
        data_dir=current.data_dir,
        save=lambda text: client.set(keys.ROUTES, text),
        load=load,
    )
    table.start()
    return table
