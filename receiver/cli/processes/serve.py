"""`frontdesk serve`: the receiver, wired together; in several processes behind one port if asked."""

import asyncio
import contextlib
import os
import socket
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import redis
from cyclopts import Parameter

from receiver.cli.health import unsigned
from receiver.core import settings
from receiver.core.errors import StorageUnavailable, UsageError
from receiver.core.settings import Settings
from receiver.ingest.evaluation import Policy
from receiver.ingest.ingest import Ingest
from receiver.nexudus import actions
from receiver.nexudus.verification import Verifier
from receiver.observation import metrics_store, tracing
from receiver.observation.degraded import Degraded
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.observation.store_metrics import StoreMetrics
from receiver.process import background, logs, standard_streams
from receiver.process.supervisor import Command, Supervisor
from receiver.routing.loading import load_table
from receiver.routing.table_reload import CurrentTable
from receiver.storage.accounting.data_loss import LossDetector
from receiver.storage.keep.keep_or_spool import KeepOrSpool
from receiver.storage.keep.store import Store
from receiver.storage.redis import connection, redis_url
from receiver.storage.shared import signature_readings
from receiver.storage.spool import slots
from receiver.web import server, socket_activation
from receiver.web.application import Receiver
from receiver.web.clients import ClientAddresses
from receiver.web.connection_limits import Limits
from receiver.web.hook_endpoint import Door
from receiver.web.request_log import RequestLog
from receiver.web.request_spans import TracedIngest

_MOST_PROCESSES = 64
_FOLDER = "PROMETHEUS_MULTIPROC_DIR"
"""Where prometheus-client looks for the folder that processes count in; read when it is imported, hence a variable."""

_GAUGE_EVERY_S = 1.0
_LOOK_ASIDE_EVERY_S = 15.0
_TELL_EVERY_S = 5.0

_BESIDE_TIMEOUT_S = 1.0
"""For what is asked of Redis beside the events, as metrics. The receiver does not wait long for it."""


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
    url = connection.url_of(current)
    connection.connect(url).close()  # nothing connects yet, but a wrong URL is told before anything starts
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
        _run(taken, current, url)
    return 0


def _supervise(taken: list[socket.socket], processes: int, current: Settings) -> int:
    """Run children that accept from the same sockets; these stay open here, so that no restart loses a connection."""
    fds = tuple(one.fileno() for one in taken)
    handed = [word for fd in fds for word in ("--listener", str(fd))]
    command = (sys.executable, "-P", "-m", "receiver", "serve", *handed)
    grace_s = server.FINISH_WITHIN_S + current.shutdown_delay / 1_000 + 5
    with tempfile.TemporaryDirectory(prefix="frontdesk-metrics-") as folder:
        environ = {**os.environ, _FOLDER: folder}
        names = [f"receiver-{number}" for number in range(1, processes + 1)]
        children = [Command(name, command, environ, fds=fds) for name in names]
        return Supervisor(children, grace_s=grace_s).run()


def _run(taken: list[socket.socket], current: Settings, url: str) -> None:
    """Serve in this process."""
    folder = os.environ.get(_FOLDER)
    metrics = IngestMetrics(actions.NAMES, folder=Path(folder) if folder else None)
    client = connection.connect(url, timeout_s=_BESIDE_TIMEOUT_S)
    table = load_table(current, client, saves=True)
    table.start()
    keeper = _keeper(current, url, metrics, table)
    log = RequestLog(current.log_level, current.log_format)
    ingest = Ingest(keeper, lambda: table.table, _policy(current), metrics, keeper.clock)
    losses = LossDetector(client, current.data_dir, str(redis_url.parse(url)))
    degraded = Degraded(client, losses, lambda: keeper.trouble)
    traces = tracing.opened(current, "frontdesk-receiver")

    def tasks() -> Iterable[Coroutine[Any, Any, None]]:
        yield _gauge(keeper, metrics)
        yield _gauge_aside(keeper, metrics)
        yield _tell_filters(client, metrics)
        yield _share_readings(client, ingest.verifier)
        yield degraded.run()
        yield unsigned.watch(current.webhook_secrets, table)

    server.run(
        Receiver(
            can_keep=keeper.ready,
            counts=metrics,
            shared=StoreMetrics(client),
            degraded=degraded.reasons,
            lifespan=partial(_lifespan, keeper=keeper, table=table, metrics=metrics, tasks=tasks),
        ),
        taken,
        limits=Limits(connections=current.max_connections),
        metrics=metrics,
        host=_endpoint(current, TracedIngest(ingest, traces) if traces else ingest, log, metrics),
        drain_s=current.shutdown_delay / 1_000,
    )
    log.flush()
    if traces:
        traces.close()
    logs.get().info("receiver.stopped")


def _endpoint(current: Settings, ingest: Ingest | TracedIngest, log: RequestLog, metrics: IngestMetrics) -> Door:
    return Door(
        ingest,
        url_keys=[key.get_secret_value() for key in current.url_keys],
        max_body=current.max_body,
        clients=ClientAddresses(current.trusted_proxies),
        log=log,
        metrics=metrics,
    )


@contextlib.asynccontextmanager
async def _lifespan(
    _: Receiver,
    *,
    keeper: KeepOrSpool,
    table: CurrentTable,
    metrics: IngestMetrics,
    tasks: Callable[[], Iterable[Coroutine[Any, Any, None]]],
) -> AsyncIterator[None]:
    """Run what runs beside the requests."""
    table.start_watching()
    await keeper.start()
    beside = [asyncio.create_task(each) for each in tasks()]
    logs.get().info("receiver.started")
    yield
    metrics.add_up()
    for task in beside:
        task.cancel()
    table.stop_watching()
    await keeper.close()


def _keeper(current: Settings, url: str, metrics: IngestMetrics, table: CurrentTable) -> KeepOrSpool:
    replicas = current.replicas if current.durability == "replicated" else 0
    return KeepOrSpool(
        Store(connection.connect_async(url), replicas=replicas),
        slots.folder_of(current.data_dir),
        max_bytes=current.spool_max,
        alias_ms=max(current.retention, current.retention_kept),
        patience_s=current.store_patience / 1_000,
        committed=metrics.committed,
        has_order=lambda: table.table is not None and table.table.has_order,
    )


async def _gauge(keeper: KeepOrSpool, metrics: IngestMetrics) -> None:
    """Tell the metrics once a second what the spools hold, and bring their counts up to date."""
    while True:
        metrics.add_up()
        metrics.spooled(keeper.spooled, keeper.oldest_age_s())
        metrics.spool_unusable(unusable=keeper.trouble is not None)
        await asyncio.sleep(_GAUGE_EVERY_S)


async def _gauge_aside(keeper: KeepOrSpool, metrics: IngestMetrics) -> None:
    """Tell the metrics what lies aside of the spools, which nobody but a person ever reads."""
    while True:
        metrics.set_aside_files(await keeper.set_aside())
        await asyncio.sleep(_LOOK_ASIDE_EVERY_S)


async def _tell_filters(client: redis.Redis, metrics: IngestMetrics) -> None:
    """Add to the counters of all processes, every few seconds, how often the `where` of a route has failed here."""
    publisher = metrics_store.CounterPublisher(client)
    while True:
        await asyncio.sleep(_TELL_EVERY_S)
        failed = {f"where_failed:{route}": count for route, count in metrics.filters_failed.items()}
        with contextlib.suppress(StorageUnavailable):  # then it is told the next time
            await asyncio.wrap_future(background.begin(partial(publisher.publish, {"filters": failed})))


async def _share_readings(client: redis.Redis, verifier: Verifier) -> None:
    """Share with all receivers and with `release`, every few seconds, how secrets were seen to sign."""
    while True:
        with contextlib.suppress(StorageUnavailable):  # then each knows what it has seen itself
            sharing = background.begin(partial(signature_readings.share, client, dict(verifier.learnt)))
            for scope, reading in (await asyncio.wrap_future(sharing)).items():
                verifier.learn(scope, reading)
        await asyncio.sleep(_TELL_EVERY_S)


def _policy(current: Settings) -> Policy:
    return Policy(
        secrets=tuple((each.business_id, each.secret.get_secret_value()) for each in current.webhook_secrets),
        reading=current.reading,
        on_bad_signature=current.on_bad_signature,
        dedup_window_ms=current.dedup_window,
    )
