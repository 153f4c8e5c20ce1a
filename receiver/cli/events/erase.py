"""`erase`: delete what is kept about one person, who asked for it."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from receiver.cli.context import Context
from receiver.cli.ui import output, terminal
from receiver.core.errors import RoutesError, UsageError
from receiver.operations.erasure import CoworkerSubject, EmailSubject, Erased, Erasure, Subject, erase_spooled
from receiver.routing.loading import read_table
from receiver.storage.shared.audit_log import AuditLog, seal_of
from receiver.storage.spool.rewriting import Rewritten


def erase(
    *,
    coworker: int | None = None,
    email: str | None = None,
    yes: bool = False,
    json: Annotated[bool, Parameter(help="print one object")] = False,
) -> None:
    """Erase what is kept about one person: the records of events, also in quarantine, and the errors of handlers.

    Deliveries in flight are cancelled. Each event stays in the list, with its time and a note that it was erased.

    Parameters
    ----------
    coworker
        the customer's number at Nexudus
    email
        the person's e-mail address, in any field of a record
    yes
        do not ask for confirmation; needed without a terminal
    """
    subject, kind, sealed = _subject(coworker, email)
    context = Context()
    counted = Erasure(context.client)
    with terminal.bar("searching", counted.size, shown=not json) as advance:
        tool = Erasure(context.writable, looked_at=advance)
        found = tool.find(subject)
    question = f"Erase the records of {len(found)} events, and what spools here hold of this person, for ever?"
    if not terminal.agreed("erase", question, yes=yes):
        output.say("Nothing was erased.")
        return
    # Spools first: a receiver may be about to bring into the store what it has read from its spool.
    waiting = erase_spooled(context.settings.data_dir, subject)
    erased = tool.erase(sorted({*found, *(tool.find(subject) if waiting.events else ())}))
    why_not = tool.rewrite_log()
    done = {"events": len(erased.events), "spooled": len(waiting.events), "cancelled": erased.cancelled}
    AuditLog(context.client).record("erase", None, by=kind, subject=sealed, **done)
    unsearched = tool.unsearched + waiting.unsearched
    unreached = [*waiting.unreached, *_unreached(context.settings.routes, unsearched, why_not)]
    _report(json, erased, waiting, unreached, unsearched)


def _report(json: bool, erased: Erased, waiting: Rewritten, unreached: list[str], unsearched: int) -> None:
    if json:
        shape = {"events": erased.events, "spooled": waiting.events, "cancelled": erased.cancelled}
        shape["unsearched"] = unsearched
        output.json_line({**shape, "not_reached": unreached})
        return
    output.say(f"The records of {len(erased.events)} events are erased; {erased.cancelled} deliveries are cancelled.")
    if waiting.events:
        output.say(f"The records of {len(waiting.events)} events in spools of this data directory are erased.")
    output.say("Frontdesk cannot erase:")
    for one in unreached:
        output.say(f"  - {one}")


def _subject(coworker: int | None, email: str | None) -> tuple[Subject, str, str]:
    if (coworker is None) == (email is None):
        raise UsageError("erase: name the person with either --coworker NUMBER or --email ADDRESS")
    if email is not None:
        name, at, host = email.strip().rpartition("@")
        if not (name and at and host) or any(letter.isspace() for letter in email.strip()):
            raise UsageError("erase: --email must be one whole address, as ada@example.com")
        return EmailSubject(email), "email", seal_of(email.strip())
    if coworker is None or coworker <= 0:
        raise UsageError("erase: --coworker must be a number above 0")
    return CoworkerSubject(coworker), "coworker", seal_of(str(coworker))


def _unreached(routes: Path, unsearched: int, why_not: str | None) -> Iterator[str]:
    """Yield what an operator has to take care of, a sentence each."""
    try:
        table = read_table(routes)
        archives = [route for route in table.routes if route.handler == "archive"]
    except RoutesError:
        archives = []
    for route in archives:
        yield f"what route {route.name!r} wrote to {route.options.get('path')}"
    if not archives:
        yield "what handlers wrote or sent elsewhere"
    yield "spools in other data directories, here or on other machines; run this command there, too"
    yield "backups, and the disks of replicas until they rewrite their files"
    yield "records in handlers that are running now"
    if unsearched:
        yield (
            f"{unsearched} events that cannot be read: their bodies are damaged, not text, or compressed in an"
            " unknown way, or a newer version kept them"
        )
    if why_not:
        yield f"the append-only file of the server, which was not rewritten: {why_not}"
