"""`frontdesk console`: the web pages, as a process of their own."""

import contextlib
import os

import redis

from receiver.cli.registrar.registrar_adapter import HookDesk
from receiver.cli.ui import output
from receiver.cli.up import generated_secrets, signin_link, up_prerequisites
from receiver.console.asgi import Console
from receiver.console.auth.sessions import Authenticator
from receiver.console.framework.hooks_cache import HooksCache
from receiver.console.framework.services import Services
from receiver.core import settings as environment
from receiver.core.errors import SettingsError
from receiver.core.settings import Settings
from receiver.nexudus import actions
from receiver.observation.event_histogram import EventHistogram
from receiver.observation.receiver_metrics import IngestMetrics
from receiver.observation.store_status import StoreStatus
from receiver.operations.release import Release
from receiver.operations.replay import Replay
from receiver.process import logs, standard_streams
from receiver.routing.table_reload import CurrentTable
from receiver.storage.query.event_reader import Archive
from receiver.storage.queue.flow_control import Gates
from receiver.storage.redis import connection, keys
from receiver.storage.shared.audit_log import Acts
from receiver.storage.shared.one_time_tokens import Spent
from receiver.web import server
from receiver.web.clients import ClientAddresses
from receiver.web.connection_limits import Limits

_CONNECTIONS = 500
_TO_REDIS = 64


def console(*, link: bool = False) -> int:
    """Serve the console, until SIGTERM or Ctrl-C: what came in, what became of it, what is wrong, and putting it right.

    It needs FRONTDESK_ADMIN_TOKEN or FRONTDESK_VIEWER_TOKEN, or those that `frontdesk up` has made here.

    Parameters
    ----------
    link
        Only print a link that signs an admin in, once, within ten minutes.
    """
    current = generated_secrets.completed(environment.from_environ(os.environ))
    if not (current.admin_token or current.viewer_token):
        raise SettingsError(
            "there is no console without a token: set FRONTDESK_ADMIN_TOKEN, for looking only FRONTDESK_VIEWER_TOKEN"
        )
    if link:
        output.say(signin_link.make(up_prerequisites.with_running_console(current)))
        return 0
    logs.configure(current.log_level, current.log_format)
    standard_streams.detach_output()
    _serve(current)
    return 0


def _serve(current: Settings) -> None:
    client = connection.connect(connection.url_of(current), max_connections=_TO_REDIS)
    table = _table(current, client)
    services = _desk(current, client, table)
    access = Authenticator(
        signin_link.named(current.admin_token), signin_link.named(current.viewer_token), spent=Spent(client)
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
            limits=Limits(connections=_CONNECTIONS),
            metrics=IngestMetrics(()),
        )
    services.bulk.stop()
    table.stop_watching()
    logs.get().info("console.stopped")


def _table(current: Settings, client: redis.Redis) -> CurrentTable:
    """Return the routing table, not read yet; where the file is wrong, the last good one is in Redis."""

    def load() -> str | None:
        text: bytes | None = client.get(keys.ROUTES)  # type: ignore[assignment]
        return None if text is None else text.decode("utf-8", "replace")

    return CurrentTable(current.routes, known_actions=actions.CODES, data_dir=current.data_dir, load=load)


def _desk(current: Settings, client: redis.Redis, table: CurrentTable) -> Services:
    """Return what the pages show and change."""
    return Services(
        archive=Archive(client),
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
        acts=Acts(client, is_logged=True),
        gates=Gates(client),
        hooks=HooksCache(HookDesk()),
    )
