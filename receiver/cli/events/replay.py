"""`replay`: new deliveries of events that are kept."""

from typing import Annotated, Any

from cyclopts import Parameter, validators

from receiver.cli.context import Context
from receiver.cli.ui import event_options, output, terminal
from receiver.cli.ui.event_options import EVERYTHING, SelectionOptions
from receiver.core.errors import EventUnknown, UsageError
from receiver.core.events import EventStatus
from receiver.operations.replay import Replay, Replayed
from receiver.storage.query.stored_event import EventFilter, StoredEvent
from receiver.storage.shared.audit_log import AuditLog

_MOST_TOLD = 20


def replay(
    *event_ids: Annotated[str, Parameter(name="ID")],
    which: SelectionOptions = EVERYTHING,
    rate: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 200.0,
    dry_run: bool = False,
    yes: bool = False,
    json: Annotated[bool, Parameter(help="print one object")] = False,
) -> int:
    """Route kept events again by the current routes, and deliver them.

    Name events by id, or select them with --since, --until, --action, --business, --route, --status. With --status dead
    only dead deliveries are repeated. A route that is still busy with an event is skipped. Exits 1 when an event that
    was named, or every selected one, could not be replayed.

    Parameters
    ----------
    rate
        the most events per second
    dry_run
        only count the events and deliveries
    yes
        do not ask for confirmation; needed without a terminal
    """
    wanted = which.wanted()
    if not event_ids and wanted.since_ms is None and wanted.status is None:
        raise UsageError("replay: name events by id, or select them with --since or --status")
    context = Context()
    tool = _tool(context, which.route, wanted)
    ids = event_options.chosen(context.archive, event_ids, wanted)
    count = sum(len(tool.routes(stored)) for stored in event_options.read(context.archive, ids))
    if dry_run or not terminal.agreed("replay", f"Replay {len(ids)} events, which makes {count} deliveries?", yes=yes):
        _report(json, {"events": len(ids), "deliveries": count, "dry_run": True, "skipped": []})
        return 0
    AuditLog(context.client).record("replay", events=len(ids), **which.told())
    stored = event_options.paced(context.archive, ids, "replaying", rate=rate, shown=not json)
    results = [_again(tool, one) for one in stored]
    made = sum(len(result.deliveries) for result in results)
    skipped = [{"id": result.event_id, "reason": result.reason} for result in results if result.reason]
    _report(json, {"events": len(ids), "deliveries": made, "dry_run": False, "skipped": skipped})
    return 1 if skipped and (event_ids or not made) else 0


def _tool(context: Context, route: str | None, wanted: EventFilter) -> Replay:
    if route is not None:
        context.route("replay", route)
    return Replay(context.writable, context.table, route=route, only_dead=wanted.status == EventStatus.DEAD)


def _again(tool: Replay, stored: StoredEvent) -> Replayed:
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
