"""`replay`: new deliveries of events that are kept, or of an edited copy of one."""

import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Protocol

from cyclopts import Parameter, validators

from receiver.cli.context import Context
from receiver.cli.ui import event_options, output, terminal
from receiver.cli.ui.event_options import EVERYTHING, EventSelection, SelectionOptions
from receiver.core.errors import EventUnknown, UsageError
from receiver.core.events import EventStatus
from receiver.failures.failure_ledger import FailureLedger
from receiver.operations.edited_replay import LONGEST, EditedReplay
from receiver.operations.group_replay import GroupReplay
from receiver.operations.replay import Replay, Replayed
from receiver.routing.route import Route
from receiver.storage.query.stored_event import EventFilter, StoredEvent
from receiver.storage.shared.audit_log import AuditLog

_MOST_TOLD = 20


class _Tool(Protocol):
    def routes(self, stored: StoredEvent) -> tuple[Route, ...]: ...
    def run(self, stored: StoredEvent) -> Replayed: ...


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How events are replayed.

    Parameters
    ----------
    limit
        the most events, the oldest first
    rate
        the most events per second
    dry_run
        replay nothing; print how many events and deliveries it would be
    yes
        do not ask for confirmation; needed without a terminal
    json
        print one object
    """

    limit: Annotated[int | None, Parameter(validator=validators.Number(gte=1))] = None
    rate: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 200.0
    dry_run: bool = False
    yes: bool = False
    json: bool = False

    def stops_before(self, question: str) -> bool:
        """Ask the question, unless it is a dry run; say whether to stop here. Raises UsageError without a terminal."""
        return self.dry_run or not terminal.agreed("replay", question, yes=self.yes)


def replay(
    *event_ids: Annotated[str, Parameter(name="ID", help="the ids of events")],
    which: SelectionOptions = EVERYTHING,
    group: str | None = None,
    with_: Annotated[Path | None, Parameter(name="--with")] = None,
    manner: Annotated[Manner, Parameter(name="*")] = Manner(),
) -> int:
    """Route kept events again by the current routes, and deliver them.

    Name events by id, or select them with --since, --until, --action, --business, --route, --status. With --status dead
    only dead deliveries are repeated. A route that is still busy with an event is skipped. Exits 1 when an event that
    was named, or every selected one, could not be replayed.

    Parameters
    ----------
    group
        replay the dead deliveries of a group of failures (`frontdesk failures`)
    with_
        a file with an edited record of the one event that is named: it becomes a new event, and the original stays; -
        for standard input
    """
    context = Context()
    wanted = which.wanted()
    if with_ is not None:
        _refuse_beside("--with", group is not None, len(event_ids) != 1 or wanted != EventFilter(route=which.route))
        return _edited(context, event_ids[0], with_, which.route, manner)
    tool, ids = _chosen(context, event_ids, which, group)
    ids = ids[: manner.limit]
    count = sum(len(tool.routes(stored)) for stored in event_options.read(context.archive, ids))
    if manner.stops_before(f"Replay {len(ids)} events, which makes {count} deliveries?"):
        _report(manner.json, {"events": len(ids), "deliveries": count, "dry_run": True, "skipped": []})
        return 0
    AuditLog(context.client).record("replay", events=len(ids), group=group, **which.told())
    stored = event_options.paced(context.archive, ids, "replaying", rate=manner.rate, shown=not manner.json)
    made, skipped = _summed(_again(tool, one) for one in stored)
    _report(manner.json, {"events": len(ids), "deliveries": made, "dry_run": False, "skipped": skipped})
    return 1 if skipped and (event_ids or not made) else 0


def _chosen(
    context: Context, event_ids: tuple[str, ...], which: EventSelection, group: str | None
) -> tuple["_Tool", list[str]]:
    """Return what replays, and the ids of the events."""
    wanted = which.wanted()
    if group is not None:
        _refuse_beside("--group", bool(event_ids), wanted != EventFilter())
        return _of_group(context, group)
    if not event_ids and wanted.since_ms is None and wanted.status is None:
        raise UsageError("replay: name events by id, or select them with --since, --status or --group")
    return _tool(context, which.route, wanted), event_options.chosen(context.archive, event_ids, wanted)


def _refuse_beside(option: str, *wrong: bool) -> None:
    if any(wrong):
        needs = "exactly one event by its id, and at most --route" if option == "--with" else "no event and no filter"
        raise UsageError(f"replay {option} takes {needs} beside it")


def _summed(results: Iterable[Replayed]) -> tuple[int, list[dict[str, str]]]:
    """Return how many deliveries were made, and the events of which something was not replayed."""
    made, skipped = 0, []
    for one in results:
        made += len(one.deliveries)
        if one.reason:
            skipped.append({"id": one.event_id, "reason": one.reason})
    return made, skipped


def _edited(context: Context, event_id: str, file: Path, route: str | None, manner: Manner) -> int:
    """Send an edited record of one event."""
    if route is not None:
        context.route("replay", route)
    original = context.archive.get(event_id)
    tool = EditedReplay(context.writable, context.table, route=route)
    edit = tool.check(original, _read(file))
    what = f"{len(edit.changed)} changed fields ({', '.join(edit.changed[:10]) or 'none'}), which makes "
    if manner.stops_before(f"Send {original.envelope.id} with {what}{len(edit.routes)} deliveries?"):
        _tell_edit(manner.json, original, edit.changed, edit.routes, None)
        return 0
    AuditLog(context.client).record("edit", event_id=original.envelope.id, fields=len(edit.changed), route=route)
    _tell_edit(manner.json, original, edit.changed, edit.routes, tool.run(original, edit))
    return 0


def _tell_edit(
    json: bool, original: StoredEvent, changed: tuple[str, ...], routes: tuple[str, ...], made: str | None
) -> None:
    shape = {
        "id": made,
        "edited_from": original.envelope.id,
        "changed": list(changed),
        "deliveries": len(routes),
        "dry_run": made is None,
    }
    if json:
        output.json_line(shape)
    else:
        did = f"is kept as {made}" if made else "would be kept"
        output.say(f"The edited record of {original.envelope.id} {did}: {len(routes)} deliveries.")


def _read(file: Path) -> bytes:
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read(LONGEST + 1)
        with file.open("rb") as stream:
            return stream.read(LONGEST + 1)
    except OSError as error:
        raise UsageError(f"--with {file}: cannot be read: {error.strerror or error}") from None


def _of_group(context: Context, group: str) -> tuple[GroupReplay, list[str]]:
    ledger = FailureLedger(context.writable)
    ledger.refresh()
    found = ledger.get(group)
    table = context.table
    tool = GroupReplay(
        ledger.members(found.id), lambda route: Replay(context.writable, table, route=route, only_dead=True)
    )
    return tool, tool.event_ids


def _tool(context: Context, route: str | None, wanted: EventFilter) -> Replay:
    if route is not None:
        context.route("replay", route)
    return Replay(context.writable, context.table, route=route, only_dead=wanted.status == EventStatus.DEAD)


def _again(tool: _Tool, stored: StoredEvent) -> Replayed:
    """Replay one event; one whose time ran out meanwhile does not keep the others from it."""
    try:
        return tool.run(stored)
    except EventUnknown as error:
        return Replayed(stored.envelope.id, (), str(error))


def _report(json: bool, shape: dict[str, Any]) -> None:
    skipped: list[dict[str, str]] = shape["skipped"]
    if json:
        output.json_line(shape)
    else:
        did = "would be replayed" if shape["dry_run"] else "replayed"
        output.say(f"{shape['events'] - len(skipped)} events {did}: {shape['deliveries']} deliveries.")
    for one in skipped[:_MOST_TOLD]:
        output.warn(f"{one['id']} is not replayed: {one['reason']}")
    if len(skipped) > _MOST_TOLD:
        output.warn(f"{len(skipped) - _MOST_TOLD} more are not replayed")
