"""`frontdesk console`: the web pages, as a process of their own."""

import contextlib
import os

import redis

from receiver.cli.playground.playground_process import Playground
from receiver.cli.registrar.registrar_adapter import RegistrarAdapter
from receiver.cli.ui import output
from receiver.cli.up import console_access, generated_secrets
from receiver.console.asgi import Console
from receiver.console.auth.sessions import Authenticator
from receiver.console.framework.audit_cache import AuditCache
from receiver.console.framework.failures_cache import FailuresCache
from receiver.console.framework.hooks_cache import HooksCache
from receiver.console.framework.services import Services
from receiver.core import settings as environment
from receiver.core.errors import SettingsError
from receiver.core.settings import Settings
from receiver.failures import route_changes
from receiver.failures.failure_ledger import FailureLedger
from receiver.observation.event_histogram import EventHistogram
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.observation.store_status import StoreStatus
from receiver.operations.edited_replay import EditedReplay
from receiver.operations.release import Release
from receiver.operations.replay import Replay
from receiver.process import logs, standard_streams
from receiver.routing.loading import load_table
from receiver.routing.table_reload import CurrentTable
from receiver.storage.query.event_reader import EventReader
from receiver.storage.queue.flow_control import Gates
from receiver.storage.redis import connection
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.shared.business_names import BusinessNames
from receiver.storage.shared.gap_ledger import GapLedger
from receiver.storage.shared.one_time_tokens import OneTimeTokens
from receiver.web import server
from receiver.web.clients import ClientAddresses
from receiver.web.connections.connection_limits import ConnectionLimits

_CONNECTIONS = 500
_TO_REDIS = 64


def console(*, link: bool = False) -> int:
    """Serve the web console, until SIGTERM or Ctrl-C.

    It requires FRONTDESK_ADMIN_TOKEN or FRONTDESK_VIEWER_TOKEN, or the token that `frontdesk up` made here.

    Parameters
    ----------
    link
        Only print a link that signs in an admin, once, within ten minutes.
    """
    current = generated_secrets.completed(environment.from_environ(os.environ))
    if not (current.admin_token or current.viewer_token):
        raise SettingsError(
            "the console requires a token: set FRONTDESK_ADMIN_TOKEN, or FRONTDESK_VIEWER_TOKEN for read-only access"
        )
    if link:
        output.say(console_access.make(console_access.with_running_console(current)))
        return 0
    logs.configure(current.log_level, current.log_format)
    standard_streams.detach_output()
    _serve(current)
    return 0


def _serve(current: Settings) -> None:
    client = connection.connect(connection.url_of(current), max_connections=_TO_REDIS)
    table = load_table(current, client)
    services = _desk(current, client, table)
    access = Authenticator(
        console_access.named(current.admin_token),
        console_access.named(current.viewer_token),
        spent=OneTimeTokens(client),
    )
    table.start()
    table.start_watching()
    with contextlib.ExitStack() as stack:
        listeners = [stack.enter_context(one) for one in server.listen(current.host, current.console_port)]
        host, port = listeners[0].getsockname()[:2]
        logs.get().info("console.listening", host=host, port=port, path="/console")
        server.run(
            Console(services, access, ClientAddresses(current.trusted_proxies)),
            listeners,
            limits=ConnectionLimits(connections=_CONNECTIONS, idle_s=current.idle_timeout / 1_000),
            metrics=IngestMetrics(()),
        )
    services.bulk.stop()
    table.stop_watching()
    logs.get().info("console.stopped")


def _desk(current: Settings, client: redis.Redis, table: CurrentTable) -> Services:
    """Return what the pages show and change."""
    registrar = RegistrarAdapter()
    return Services(
        archive=EventReader(client),
        store_status=StoreStatus(client),
        histogram=EventHistogram(client),
        routes=table,
        make_replay=lambda table, *, route=None, only_dead=False: Replay(
            client, table, route=route, only_dead=only_dead
        ),
        make_release=lambda table: Release(
            client,
            table,
            [(one.business_id, one.secret.get_secret_value()) for one in current.webhook_secrets],
            dedup_window_ms=current.dedup_window,
            reading=current.reading,
        ),
        make_edit=lambda table: EditedReplay(client, table),
        failures=FailuresCache(FailureLedger(client)),
        changes=lambda group: route_changes.before(client, group),
        acts=AuditLog(client, is_logged=True),
        gates=Gates(client),
        hooks=HooksCache(registrar),
        gaps=GapLedger(client),
        names=BusinessNames(client, lambda: table.table.business_names if table.table else {}),
        try_route=Playground(os.environ).run,
        audit=AuditCache(client),
        backfill=registrar,
    )
