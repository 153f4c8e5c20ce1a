"""`frontdesk alerts`, and the alert monitor of processes that run long."""

import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from receiver.cli.context import Context
from receiver.cli.ui import output
from receiver.core import outbound, timestamps
from receiver.core.errors import SettingsError
from receiver.core.settings import Settings
from receiver.observation import status_snapshot
from receiver.observation.alerts import alert_conditions
from receiver.observation.alerts.alert_monitor import AlertMonitor
from receiver.observation.alerts.alert_state import AlertStore
from receiver.observation.alerts.notifier import Message, Notifier
from receiver.storage.accounting import data_loss
from receiver.storage.accounting.data_loss import LossDetector
from receiver.storage.redis import connection, redis_url
from receiver.storage.shared.audit_log import AuditLog


def alerts(
    *,
    test: bool = False,
    acknowledge: bool = False,
    json: Annotated[bool, Parameter(help="print one object per line")] = False,
) -> int:
    """List what is wrong now, since when, and whether an alert was sent.

    Parameters
    ----------
    test
        send a test message to each URL of FRONTDESK_ALERT_URLS, and print which service accepted it
    acknowledge
        confirm that you know what the store has lost; the alert ends
    """
    context = Context()
    if test:
        return _test(context.settings, json=json)
    if acknowledge:
        _acknowledge(context)
    rows = list(_rows(context))
    for row in rows:
        if json:
            output.json_line(row)
        else:
            told = "alert sent" if row["told"] else "no alert sent"
            output.say(f"{row['since'] or 'now'}  {row['title']} ({told})")
            output.say(f"    {row['text']}")
    if not rows and not json:
        output.say("Nothing is wrong.")
    return 0


def _acknowledge(context: Context) -> None:
    known = data_loss.acknowledge(context.writable)
    if known:
        AuditLog(context.client).record(
            "loss.acknowledge", losses=len(known), events=sum(loss.events for loss in known)
        )
    for loss in known:
        output.warn(f"acknowledged: {loss.sentence}")


def _rows(context: Context) -> Iterator[dict[str, Any]]:
    found = status_snapshot.look(context.client)
    store = AlertStore(context.client)
    noted = store.states()
    seen = alert_conditions.found(found, store.levels(), patience_ms=context.settings.alert_after)
    for one in seen:
        known = noted.get(one.name)
        yield {
            "kind": one.kind,
            "subject": one.subject or None,
            "title": one.title,
            "text": one.text,
            "since": timestamps.show(known.since_ms) if known else None,
            "told": bool(known and known.told),
        }


def _test(read: Settings, *, json: bool) -> int:
    targets = outgoing(read)
    if targets is None:
        raise SettingsError("FRONTDESK_ALERT_URLS is not set; deploy/env.example explains it")
    message = Message("Frontdesk: a test", "Alerts of Frontdesk arrive here.", "info")
    taken = [_sent(targets, digest, message) for digest in targets.digests]
    for number, (service, was_taken) in enumerate(taken, 1):
        if json:
            output.json_line({"url": number, "service": service, "taken": was_taken})
        else:
            output.say(f"URL {number} ({service}): {'accepted' if was_taken else 'not accepted'}")
    if all(was_taken for _, was_taken in taken):
        return 0
    for sentence in outbound.problems():
        output.warn(sentence)
    return 1


def _sent(targets: Notifier, digest: str, message: Message) -> tuple[str, bool]:
    return targets.service(digest), targets.send(digest, message)


@contextlib.contextmanager
def watching(read: Settings, routes: Callable[[], Collection[str]] = tuple) -> Iterator[None]:
    """Look for trouble and send alerts meanwhile, in a process that runs long.

    Raises SettingsError for a wrong URL in FRONTDESK_ALERT_URLS.
    """
    url = connection.url_of(read)
    with connection.connect(url) as client:
        losses = LossDetector(client, read.data_dir, str(redis_url.parse(url)))
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
