"""The sentry of a process that runs long: put together from the settings, and gone when the process ends its work."""

import contextlib
from collections.abc import Callable, Collection, Iterator

from receiver.core.errors import SettingsError
from receiver.core.settings import Settings
from receiver.observation.alert_monitor import Sentry
from receiver.observation.outgoing import Outgoing
from receiver.storage.accounting.data_loss import LossDetector
from receiver.storage.redis import connection, redis_url


@contextlib.contextmanager
def watching(read: Settings, routes: Callable[[], Collection[str]] = tuple) -> Iterator[None]:
    """Let a sentry watch meanwhile. Raises SettingsError for a URL of FRONTDESK_ALERT_URLS that is none."""
    url = connection.url_of(read)
    with connection.connect(url) as client:
        losses = LossDetector(client, read.data_dir, str(redis_url.parse(url)))
        sentry = Sentry(client, outgoing(read), patience_ms=read.alert_after, routes=routes, losses=losses)
        sentry.start()
        try:
            yield
        finally:
            sentry.stop()


def outgoing(read: Settings) -> Outgoing | None:
    """Return where alerts go; None: nowhere. Raises SettingsError, which does not quote the URL."""
    if not read.alert_urls:
        return None
    try:
        return Outgoing([url.get_secret_value() for url in read.alert_urls])
    except ValueError as error:
        raise SettingsError(f"FRONTDESK_ALERT_URLS: {error}") from None
