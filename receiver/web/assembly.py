"""Builds the receiver from the settings, for `frontdesk serve` and for any other ASGI server alike."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

import redis

from receiver.core import settings
from receiver.core.settings import Settings
from receiver.ingest.ingest import Ingest
from receiver.ingest.request_evaluation import Policy
from receiver.nexudus import actions
from receiver.observation import tracing, unsigned
from receiver.observation.degraded import Degraded
from receiver.observation.metrics_scrape import MetricsScrape
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.process import logs, standard_streams
from receiver.routing.loading import load_table
from receiver.routing.table_reload import CurrentTable
from receiver.storage.accounting.data_loss import LossDetector
from receiver.storage.keep.keep_or_spool import KeepOrSpool
from receiver.storage.keep.store import Store
from receiver.storage.redis import connection, redis_url
from receiver.storage.spool import slots
from receiver.web import periodic_tasks
from receiver.web.application import Receiver
from receiver.web.clients import ClientAddresses
from receiver.web.connections.connection_limits import ConnectionLimits
from receiver.web.hook_endpoint import HookEndpoint
from receiver.web.probe_endpoint import Probe
from receiver.web.request_log import RequestLog
from receiver.web.request_notes import RequestNotes
from receiver.web.request_spans import TracedIngest

COUNTS_FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The variable in which prometheus-client finds the folder for the counters of several processes. It reads the variable
when it is imported."""

_BESIDE_TIMEOUT_S: Final = 1.0
"""Seconds to wait for Redis in calls that do not store events, such as those for metrics."""

_BODIES_AT_LEAST: Final = 4
"""How many bodies of the largest size may be arriving at once, whatever that size is."""


def from_environ() -> Receiver:
    """Return the application that the environment describes. Raises SettingsError with one sentence."""
    current = settings.from_environ(os.environ)
    current.need("url_keys")
    logs.configure(current.log_level, current.log_format)
    return receiver(current)


def receiver(current: Settings) -> Receiver:
    """Return the application of one process. It works in the event loop that runs its lifespan; without one, another
    is made for each request."""
    url = connection.url_of(current)
    folder = os.environ.get(COUNTS_FOLDER)
    metrics = IngestMetrics(actions.NAMES, folder=Path(folder) if folder else None)
    client = connection.connect(url, timeout_s=_BESIDE_TIMEOUT_S)
    table = load_table(current, client, saves=True)
    table.start()
    keeper = _keeper(current, url, metrics, table)
    ingest = Ingest(keeper, lambda: table.table, _policy(current), metrics, keeper.clock)
    losses = LossDetector(client, current.data_dir, str(redis_url.parse(url)))
    degraded = Degraded(client, losses, lambda: keeper.trouble)
    traces = tracing.opened(current, "frontdesk-receiver")
    log = RequestLog(current.log_level, current.log_format)
    notes = RequestNotes(ClientAddresses(current.trusted_proxies), log, metrics)
    url_keys = [key.get_secret_value() for key in current.url_keys]

    tasks = partial(_tasks, current, client, table, keeper, metrics, ingest, degraded)

    @contextlib.asynccontextmanager
    async def lifespan(app: Receiver) -> AsyncIterator[None]:
        async with _running(table, keeper, tasks):
            app.start()
            yield
            app.is_draining = True
            metrics.add_up()
        _flush(log, traces)

    traced = TracedIngest(ingest, traces) if traces else ingest
    return Receiver(
        hooks=HookEndpoint(traced, url_keys=url_keys, max_body=current.max_body, notes=notes),
        probes=Probe(url_keys[0], notes),
        can_keep=keeper.ready,
        counts=metrics,
        shared=MetricsScrape(client),
        degraded=degraded.reasons,
        lifespan=lifespan,
        again=lambda: receiver(current),
    )


def _flush(log: RequestLog, traces: tracing.Tracing | None) -> None:
    """Write what is still in memory: some servers end their processes without Python's work at exit."""
    log.flush()
    standard_streams.ERROR.flush()
    if traces:
        traces.close()


def limits(current: Settings) -> ConnectionLimits:
    """Return the bounds on connections."""
    return ConnectionLimits(
        connections=current.max_connections,
        idle_s=current.idle_timeout / 1_000,
        unfinished_bytes=max(ConnectionLimits().unfinished_bytes, _BODIES_AT_LEAST * current.max_body),
    )


def _tasks(
    current: Settings,
    client: redis.Redis,
    table: CurrentTable,
    keeper: KeepOrSpool,
    metrics: IngestMetrics,
    ingest: Ingest,
    degraded: Degraded,
) -> Iterator[Coroutine[Any, Any, None]]:
    yield periodic_tasks.measure_spools(keeper, metrics)
    yield periodic_tasks.count_files_set_aside(keeper, metrics)
    yield periodic_tasks.publish_failed_filters(client, metrics)
    yield periodic_tasks.share_readings(client, ingest.verifier)
    yield unsigned.watch(current.webhook_secrets, table)
    yield degraded.run()


@contextlib.asynccontextmanager
async def _running(
    table: CurrentTable, keeper: KeepOrSpool, tasks: Callable[[], Iterator[Coroutine[Any, Any, None]]]
) -> AsyncIterator[None]:
    """Run the tasks that run beside the requests, while the context is open."""
    table.start_watching()
    await keeper.start()
    running = [asyncio.create_task(each) for each in tasks()]
    logs.get().info("receiver.started")
    yield
    for task in running:
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


def _policy(current: Settings) -> Policy:
    return Policy(
        secrets=tuple((each.business_id, each.secret.get_secret_value()) for each in current.webhook_secrets),
        reading=current.reading,
        on_bad_signature=current.on_bad_signature,
        dedup_window_ms=current.dedup_window,
    )
