"""The alert monitor of a long-running process: built from the settings, stopped when the process ends its work."""

import contextlib
from collections.abc import Callable, Collection, Iterator

from receiver.core.errors import SettingsError
from receiver.core.settings import Settings
from receiver.observation.alert_monitor import AlertMonitor
from receiver.observation.notifier import Notifier
from receiver.storage.accounting.data_loss import LossWatch
from receiver.storage.redis import connection, redis_url


@contextlib.contextmanager
def watching(read: Settings, routes: Callable[[], Collection[str]] = tuple) -> Iterator[None]:
    """Run an alert monitor meanwhile. Raises SettingsError for a URL of FRONTDESK_ALERT_URLS that is none."""
    url = connection.url_of(read)
    with connection.connect(url) as client:
        losses = LossWatch(client, read.data_dir, str(redis_url.parse(url)))
        monitor = AlertMonitor(client, outgoing(read), patience_ms=read.alert_after, routes=routes, losses=losses)
        monitor.start()
        try:
            yield
        finally:
            monitor.stop()


def outgoing(read: Settings) -> Notifier | None:
    """Return where alerts go; None: nowhere. Raises SettingsError, which does not quote the URL."""
    if not read.alert_urls:
        return None
    try:
        return Notifier([url.get_secret_value() for url in read.alert_urls])
    except ValueError as error:
        raise SettingsError(f"FRONTDESK_ALERT_URLS: {error}") from None
