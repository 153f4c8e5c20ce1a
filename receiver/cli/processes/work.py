"""`work`: worker processes under one parent."""

import contextlib
import os
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from receiver.cli.context import Context
from receiver.cli.health import alerts
from receiver.cli.ui import output
from receiver.core.errors import HandlerError, UsageError
from receiver.core.sanitize import plain
from receiver.core.settings import Settings
from receiver.core.suggest import nearest
from receiver.failures.route_versions import RouteVersions
from receiver.process import standard_streams
from receiver.process.alive_file import AliveFile
from receiver.process.background import PeriodicTask
from receiver.routing.document.values import QUEUE
from receiver.routing.loading import load_table
from receiver.routing.table import RoutingTable
from receiver.routing.table_reload import CurrentTable
from receiver.storage.accounting.maintenance import Maintenance
from receiver.storage.accounting.retention import RetentionSchedule
from receiver.storage.queue.lane_release import LaneRelease
from receiver.storage.redis import schema_version
from workers.nexudus.nexudus_transport import NexudusTransport
from workers.parent.child import Launch
from workers.parent.fleet import Fleet
from workers.plugins import handler_lookup, route_handler


def work(
    *,
    processes: int = 1,
    threads: int = 16,
    queue: Annotated[tuple[str, ...], Parameter(help="serve only this queue; may be given several times")] = (),
    burst: bool = False,
    grace: float = 25.0,
) -> int:
    """Run deliveries: claim them, run their handlers, record the outcome.

    Parameters
    ----------
    processes
        worker processes
    threads
        handlers that run at a time in each process; async handlers do not count
    burst
        stop when the queues are empty
    grace
        seconds that running handlers may take after SIGTERM
    """
    _check(processes, threads, queue)
    context = Context()
    standard_streams.detach_output()
    read = context.settings
    table = load_table(read)
    table.start(strict=True)
    _warn_of_routes(table.table, queue, read)
    if burst:
        schema_version.settle(context.client)  # whoever waits for the end of it is told that the store is away
    launch = Launch(threads, queue, burst, grace, dict(os.environ))
    tasks = _tasks(context, table, burst=burst)
    with contextlib.ExitStack() as stack:
        if not burst:
            table.start_watching()
            stack.callback(table.stop_watching)
            stack.enter_context(alerts.watching(read, lambda: _names(table.table)))
        alive = AliveFile(read.data_dir, "work")
        return Fleet(launch, processes, context.client, lambda: table.table, tasks, alive=alive.touch).run()


def _tasks(context: Context, table: CurrentTable, *, burst: bool) -> list[PeriodicTask]:
    """What the parent does beside its processes. With *burst* it only lets held lanes go, for which deliveries wait."""
    client, read = context.client, context.settings
    tasks = [PeriodicTask("order", LaneRelease(client).turn, every_s=1.0)]
    if not burst:
        expiry = RetentionSchedule(client, retention_ms=read.retention, kept_ms=read.retention_kept)
        tasks += [PeriodicTask("sweeper", Maintenance(client).turn), PeriodicTask("expiry", expiry.turn)]
        versions = RouteVersions(client, lambda: table.table, _version_of(read.routes.resolve().parent))
        tasks.append(PeriodicTask("versions", versions.turn))
    return tasks


def _version_of(folder: Path) -> Callable[[str], str]:
    return lambda handler: handler_lookup.version(handler, folder)


def _check(processes: int, threads: int, queues: Iterable[str]) -> None:
    if not 1 <= processes <= 256 or not 1 <= threads <= 1_024:
        raise UsageError("work: between 1 and 256 processes, and between 1 and 1024 threads in each")
    for name in queues:
        if not re.fullmatch(QUEUE, name, re.ASCII):
            raise UsageError(f"--queue {plain(name)!r}: a queue is 1 to 40 characters of a-z, 0-9, _ and -")


def _names(table: RoutingTable | None) -> tuple[str, ...]:
    return tuple(route.name for route in table.routes) if table else ()


def _warn_of_routes(table: RoutingTable | None, queues: Iterable[str], read: Settings) -> None:
    """Say at the start what workers cannot run, and which queue is served for nothing."""
    if table is not None:
        _say_what_cannot_run(table, read.routes.resolve().parent, NexudusTransport(read))
        _say_what_no_route_names(table, queues)


def _say_what_no_route_names(table: RoutingTable, queues: Iterable[str]) -> None:
    """A queue without a route is served all the same: it may hold what an older table put there."""
    for queue in dict.fromkeys(queues):
        if queue not in table.queues:
            near = nearest(queue, table.queues)
            hint = f"did you mean {near!r}?" if near else f"the queues are {', '.join(table.queues)}"
            output.warn(
                f"--queue {queue}: no route of {table.file} names this queue, so it gets no new deliveries; {hint}"
            )


def _say_what_cannot_run(table: RoutingTable, folder: Path, line: NexudusTransport) -> None:
    """A handler that cannot be loaded stops its own route and no other: its deliveries wait an hour for a remedy."""
    for route in table.routes:
        if not route.enabled:
            continue
        try:
            route_handler.load(route, environ=os.environ, folder=folder, transport=line)
        except HandlerError as error:
            output.warn(f"{table.file}:{route.line}: route {route.name!r} cannot run: {error}")
