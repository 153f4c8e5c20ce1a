"""`replay`: new deliveries of events that are kept."""

from typing import Annotated

from cyclopts import Parameter, validators

from receiver.cli import chosen, output
from receiver.cli.context import Context
from receiver.cli.selection import EVERYTHING, SelectionOptions
from receiver.errors import UsageError
from receiver.events import EventStatus
from receiver.nexudus.actions import CODES
from receiver.replay import Replay
from receiver.routing import file
from receiver.storage.acts import Acts


def replay(
    *event_ids: Annotated[str, Parameter(name="ID")],
    which: SelectionOptions = EVERYTHING,
    rate: Annotated[float, Parameter(validator=validators.Number(gt=0))] = 200.0,
    dry_run: bool = False,
    yes: bool = False,
    json: Annotated[bool, Parameter(help="print one object")] = False,
) -> None:
    """Route kept events again by the table of today, and deliver them again.

    Give ids, or say which with --since, --until, --action, --business, --route, --status. With --status dead only the
    dead deliveries are made anew. A route that is still busy with an event is left alone.

    Parameters
    ----------
    rate
        events a second, at most
    dry_run
        only count
    yes
        do not ask
    """
    wanted = which.wanted()
    if not event_ids and wanted.since_ms is None and wanted.status is None:
        raise UsageError("replay: say which events: ids, or --since with a time, or --status")
    context = Context()
    table = file.read(context.settings.routes, known_actions=CODES)
    tool = Replay(context.writable, table, route=which.route, only_dead=wanted.status == EventStatus.DEAD)
    ids = chosen.chosen(context.archive, event_ids, wanted)
    count = sum(len(tool.routes(stored)) for stored in chosen.read(context.archive, ids))
    question = f"Replay {len(ids)} events, which makes {count} deliveries?"
    if dry_run or not chosen.agreed(question, ask=not (yes or event_ids or json)):
        _report(json, {"events": len(ids), "deliveries": count, "dry_run": True, "skipped": []})
        return
    Acts(context.client).record("replay", events=len(ids), **which.told())
    paced = chosen.paced(context.archive, ids, "replaying", rate=rate, shown=not json)
    results = [tool.run(stored) for stored in paced]
    made = sum(len(result.deliveries) for result in results)
    skipped = [{"id": result.event_id, "reason": result.reason} for result in results if result.reason]
    _report(json, {"events": len(ids), "deliveries": made, "dry_run": False, "skipped": skipped})


def _report(json: bool, shape: dict[str, object]) -> None:
    if json:
        output.json_line(shape)
        return
    did = "would be replayed" if shape["dry_run"] else "replayed"
    output.say(f"{shape['events']} events {did}: {shape['deliveries']} deliveries.")
    for one in list(shape["skipped"])[:20]:  # type: ignore[call-overload]
        output.say(f"  {one['id']}: {one['reason']}")
