"""`replay`: new deliveries of events that are kept."""

import sys
import time
from collections.abc import Iterable
from itertools import islice
from typing import Annotated

from cyclopts import Parameter
from rich.progress import track

from receiver.cli import output
from receiver.cli.context import Context
from receiver.cli.events import filtered
from receiver.errors import UsageError
from receiver.events import EventStatus
from receiver.nexudus.actions import CODES
from receiver.replay import Replay
from receiver.routing import file
from receiver.storage.acts import Acts
from receiver.storage.archive import Archive, Filter, Stored

_MOST = 1_000_000


def replay(
    *event_ids: Annotated[str, Parameter(name="ID")],
    action: str | None = None,
    business: int | None = None,
    route: str | None = None,
    status: str | None = None,
    since: str | None = None,
    until: str | None = None,
    rate: float = 200.0,
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
    """
    wanted = filtered(action, business, route, status, since, until)
    context = Context()
    tool = Replay(
        context.client,
        file.read(context.settings.routes, known_actions=CODES),
        route=route,
        only_dead=wanted.status == EventStatus.DEAD,
    )
    chosen = _choose(context.archive, event_ids, wanted)
    count = sum(len(tool.routes(stored)) for stored in chosen)
    if dry_run or not _agreed(len(chosen), count, ask=not (yes or event_ids or json)):
        _report(json, {"events": len(chosen), "deliveries": count, "dry_run": True, "skipped": []})
        return
    Acts(context.client).record(
        "replay",
        events=len(chosen),
        route=route,
        status=status,
        since=since,
        until=until,
        action=action,
        business=business,
    )
    results = [tool.run(stored) for stored in _paced(chosen, rate, show=not json)]
    made = sum(len(result.deliveries) for result in results)
    skipped = [{"id": result.event_id, "reason": result.reason} for result in results if result.reason]
    _report(json, {"events": len(chosen), "deliveries": made, "dry_run": False, "skipped": skipped})


def _choose(archive: Archive, event_ids: tuple[str, ...], wanted: Filter) -> list[Stored]:
    if event_ids:
        return [archive.get(event_id) for event_id in event_ids]
    if wanted.since_ms is None and wanted.status is None:
        raise UsageError("replay: say which events: ids, or --since with a time, or --status")
    # Oldest first: what happened first is handled first again.
    return list(islice(archive.newest(wanted), _MOST))[::-1]


def _agreed(events: int, deliveries: int, *, ask: bool) -> bool:
    if not ask or not sys.stdin.isatty():
        return True
    answer = input(f"Replay {events} events, which makes {deliveries} deliveries? [y/N] ")
    return answer.strip().lower() in ("y", "yes")


def _paced(chosen: list[Stored], rate: float, *, show: bool) -> Iterable[Stored]:
    """Yield at most *rate* a second, under a progress bar on a terminal."""
    began = time.monotonic()
    bar = show and sys.stderr.isatty() and len(chosen) > 1
    for number, stored in enumerate(track(chosen, "replaying") if bar else chosen):
        early = began + number / rate - time.monotonic()
        if early > 0:
            time.sleep(early)
        yield stored


def _report(json: bool, shape: dict[str, object]) -> None:
    if json:
        output.json_line(shape)
        return
    did = "would be replayed" if shape["dry_run"] else "replayed"
    output.say(f"{shape['events']} events {did}: {shape['deliveries']} deliveries.")
    for one in list(shape["skipped"])[:20]:  # type: ignore[call-overload]
        output.say(f"  {one['id']}: {one['reason']}")
