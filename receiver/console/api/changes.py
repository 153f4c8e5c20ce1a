"""Changes that pages make in two steps, or do not make: a dry run and the act in one place, and back-fill."""

import threading
from collections.abc import Callable

import orjson

from receiver.console.framework.bulk_tasks import Progress, ProgressReport
from receiver.console.framework.page import Done, Facts, PageRequest
from receiver.console.pages import quarantine, replays
from receiver.core.errors import UsageError
from receiver.core.sanitize import counted
from receiver.reconcile.backfill_request import BackfillRequest, Watcher


def replay(request: PageRequest) -> Facts:
    """Replay the events that the form selects, or count them (`dry_run`)."""
    if request.asked("dry_run"):
        return {"dry_run": True, **replays.facts(request)}
    return {"dry_run": False, **replays.start(request).facts}


def release(request: PageRequest) -> Facts:
    """Release the quarantined requests that the form selects and that pass, or count them (`dry_run`)."""
    if request.asked("dry_run"):
        found = quarantine.counting(request)
        return {"dry_run": True, "events": found["passing"], "is_cut": found["is_cut"]}
    return {"dry_run": False, "events": quarantine.release_all(request).facts["passing"]}


def backfill(request: PageRequest) -> Done:
    """Begin to fill gaps. Form: as of `BackfillRequest`, lists as JSON."""
    wanted = BackfillRequest(
        since=request.asked("since"),
        until=request.asked("until"),
        gap=_list(request, "gaps"),
        action=_list(request, "actions"),
        business=tuple(int(one) for one in _list(request, "businesses")),
        route=_list(request, "routes"),
        include=("weak",) if request.asked("weak") else (),
    )
    service, who = request.services.backfill, request.session.identity.name
    number = service.gaps(wanted)
    if not number:
        raise UsageError("gaps: none is due; list them, or give since to look at a time without one")

    def run(count: ProgressReport, stop: threading.Event) -> str:
        watcher = Watcher(begin=count.expect, advance=_steps(count), check=_check(stop))
        made = service.fill(wanted, who=who, watcher=watcher)
        return "" if made else "it made no events"

    request.services.bulk.start(Progress("backfill", who, 0), run)
    return Done(f"The back-fill of {counted(number, 'gap')} has started.", "/coverage", {"gaps": number})


def _steps(count: ProgressReport) -> Callable[[int], None]:
    def advance(number: int) -> None:
        for _ in range(number):
            count("")

    return advance


def _check(stop: threading.Event) -> Callable[[], None]:
    def check() -> None:
        if stop.is_set():
            raise UsageError("it was stopped; what it made stays, and the next back-fill makes the rest")

    return check


def _list(request: PageRequest, name: str) -> tuple[str, ...]:
    return tuple(str(one) for one in orjson.loads(request.form.get(name) or "[]"))
