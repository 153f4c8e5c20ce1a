"""`erase`: somebody asked that what is kept about them be erased."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from receiver.cli import chosen, output, progress
from receiver.cli.context import Context
from receiver.erasure import Address, Coworker, Erasure, Subject
from receiver.errors import RoutesError, UsageError
from receiver.nexudus.actions import CODES
from receiver.routing import file
from receiver.storage.acts import Acts, seal_of


def erase(
    *,
    coworker: int | None = None,
    email: str | None = None,
    yes: bool = False,
    json: Annotated[bool, Parameter(help="print one object")] = False,
) -> None:
    """Erase what is kept about one person: records of events, also in quarantine, and what handlers said about them.

    Their deliveries in flight are cancelled. Of each event there stays that it was, when, and that it was erased.

    Parameters
    ----------
    coworker
        the customer's number at Nexudus
    email
        the person's e-mail address, wherever it stands
    yes
        do not ask
    """
    subject, kind, sealed = _subject(coworker, email)
    context = Context()
    counted = Erasure(context.client)
    with progress.bar("searching", counted.size, shown=not json) as advance:
        tool = Erasure(context.client, looked_at=advance)
        found = tool.find(subject)
    if not chosen.agreed(f"Erase the records of {len(found)} events, for ever?", ask=not (yes or json)):
        output.say("Nothing was erased.")
        return
    with progress.bar("erasing", lambda: len(found), shown=not json) as advance:
        erased = tool.erase(_told(found, advance))
    why_not = tool.rewrite_log()
    Acts(context.client).record("erase", by=kind, subject=sealed, events=len(erased.events), cancelled=erased.cancelled)
    unreached = list(_unreached(context.settings.routes, tool.unsearched, why_not))
    if json:
        output.json_line({"events": erased.events, "cancelled": erased.cancelled, "not_reached": unreached})
        return
    output.say(f"The records of {len(erased.events)} events are erased; {erased.cancelled} deliveries are cancelled.")
    output.say("What this cannot reach:")
    for one in unreached:
        output.say(f"  - {one}")


def _subject(coworker: int | None, email: str | None) -> tuple[Subject, str, str]:
    if (coworker is None) == (email is None):
        raise UsageError("erase: say who, by --coworker NUMBER or by --email ADDRESS")
    if email is not None:
        name, at, host = email.strip().rpartition("@")
        if not (name and at and host) or any(letter.isspace() for letter in email.strip()):
            raise UsageError("erase: --email must be one whole address, as ada@example.com")
        return Address(email), "email", seal_of(email.strip())
    if coworker is None or coworker <= 0:
        raise UsageError("erase: --coworker must be a number above 0")
    return Coworker(coworker), "coworker", seal_of(str(coworker))


def _told(found: list[str], advance: progress.Advance) -> Iterator[str]:
    for event_id in found:
        yield event_id
        advance(1)


def _unreached(routes: Path, unsearched: int, why_not: str | None) -> Iterator[str]:
    """Yield what an operator has to see to, a sentence each."""
    try:
        table = file.read(routes, known_actions=CODES)
        archives = [route for route in table.routes if route.handler == "archive"]
    except RoutesError:
        archives = []
    for route in archives:
        yield f"what route {route.name!r} wrote to {route.options.get('path')}"
    if not archives:
        yield "what handlers wrote or sent elsewhere"
    yield "spools of receivers that are cut off from the store, on this and other machines"
    yield "backups, and the disks of replicas until they write their files anew"
    yield "handlers that are running with a record in hand"
    if unsearched:
        yield f"{unsearched} events that cannot be looked into, because they are compressed or of a newer version"
    if why_not:
        yield f"the append-only file of the server, which was not written anew: {why_not}"
