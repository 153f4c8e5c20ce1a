"""`frontdesk alerts`: what is wrong now, as those are told who are named in FRONTDESK_ALERT_URLS."""

from collections.abc import Iterator
from typing import Annotated, Any

from cyclopts import Parameter

from receiver.cli.context import Context
from receiver.cli.health import alert_setup
from receiver.cli.ui import output
from receiver.core import outbound, timestamps
from receiver.core.errors import SettingsError
from receiver.core.settings import Settings
from receiver.observation import conditions, status_snapshot
from receiver.observation.alert_state import AlertStore
from receiver.observation.notifier import Message, Notifier
from receiver.storage.accounting import data_loss
from receiver.storage.shared.audit_log import Acts


def alerts(
    *,
    test: bool = False,
    acknowledge: bool = False,
    json: Annotated[bool, Parameter(help="print one object per line")] = False,
) -> int:
    """List what is wrong now, each with since when and whether anybody was told.

    Parameters
    ----------
    test
        send a test message to each URL of FRONTDESK_ALERT_URLS, and say which service took it
    acknowledge
        say that you know what the store has lost; it is told of no more
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
            told = "told" if row["told"] else "nobody was told"
            output.say(f"{row['since'] or 'now'}  {row['title']} ({told})")
            output.say(f"    {row['text']}")
    if not rows and not json:
        output.say("Nothing is wrong.")
    return 0


def _acknowledge(context: Context) -> None:
    known = data_loss.acknowledge(context.writable)
    if known:
        Acts(context.client).record("loss.acknowledge", losses=len(known), events=sum(loss.events for loss in known))
    for loss in known:
        output.warn(f"acknowledged: {loss.sentence}")


def _rows(context: Context) -> Iterator[dict[str, Any]]:
    found = status_snapshot.look(context.client)
    store = AlertStore(context.client)
    noted = store.states()
    seen = conditions.found(found, store.levels(), patience_ms=context.settings.alert_after)
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
    outgoing = alert_setup.outgoing(read)
    if outgoing is None:
        raise SettingsError("FRONTDESK_ALERT_URLS is not set; deploy/env.example says what it is for")
    message = Message("Frontdesk: a test", "Alerts of Frontdesk arrive here.", "info")
    taken = [_sent(outgoing, digest, message) for digest in outgoing.digests]
    for number, (service, was_taken) in enumerate(taken, 1):
        if json:
            output.json_line({"url": number, "service": service, "taken": was_taken})
        else:
            output.say(f"URL {number} ({service}): {'taken' if was_taken else 'not taken'}")
    if all(was_taken for _, was_taken in taken):
        return 0
    for sentence in outbound.problems():
        output.warn(sentence)
    return 1


def _sent(outgoing: Notifier, digest: str, message: Message) -> tuple[str, bool]:
    return outgoing.service(digest), outgoing.send(digest, message)
