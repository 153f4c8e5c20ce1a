"""`release`: quarantined requests are checked again and become events."""

from collections.abc import Iterable
from typing import Annotated

from cyclopts import Parameter

from receiver.cli.context import Context
from receiver.cli.ui import event_options, output, terminal
from receiver.cli.ui.event_options import ANYWHERE, OriginOptions
from receiver.core.events import EventStatus
from receiver.operations.release import Release
from receiver.storage.query.stored_event import StoredEvent
from receiver.storage.shared.audit_log import AuditLog

_SHOWN = 20


def release(
    *event_ids: Annotated[str, Parameter(name="ID", help="the ids of quarantined requests")],
    which: OriginOptions = ANYWHERE,
    force: bool = False,
    dry_run: bool = False,
    yes: bool = False,
    json: Annotated[bool, Parameter(help="print one object")] = False,
) -> int:
    """Check quarantined requests again, with the current secrets. Those that pass become events and are routed.

    Without ids, checks all that --action, --business, --since and --until select. A request that does not pass stays in
    quarantine, and the reason is printed. Exits 1 when it was named by id, or when no shared secret of its location is
    set here to check its signature with.

    Parameters
    ----------
    force
        also release readable requests with a wrong signature; anybody who knows the hook's URL may have sent them
    dry_run
        only check the requests and count them
    yes
        do not ask for confirmation; needed without a terminal
    """
    context = Context()
    tool = _tool(context, force=force)
    ids = event_options.chosen(context.archive, event_ids, which.filter(status=EventStatus.QUARANTINED))
    staying, is_blind = _staying(tool, event_options.read(context.archive, ids))
    passing = len(ids) - len(staying)
    question = f"Release {passing} of {len(ids)} quarantined requests{', whatever their signatures say' * force}?"
    if dry_run or not terminal.agreed("release", question, yes=yes):
        _report(json, {"checked": len(ids), "released": passing, "dry_run": True, "events": [], "kept": staying})
        return 1 if is_blind else 0
    AuditLog(context.client).record("release", requests=len(ids), force=force or None, **which.told())
    results = [tool.run(stored) for stored in event_options.paced(context.archive, ids, "releasing", shown=not json)]
    kept = [{"id": result.event_id, "reason": result.reason} for result in results if result.reason]
    made = [event_id for result in results for event_id in result.events]
    told = {"checked": len(ids), "released": len(results) - len(kept), "dry_run": False, "events": made, "kept": kept}
    _report(json, told)
    return 1 if any(result.is_blind for result in results) or (kept and event_ids) else 0


def _staying(tool: Release, requests: Iterable[StoredEvent]) -> tuple[list[dict[str, str]], bool]:
    """Return the requests that would not pass, each with the reason, and whether one cannot be checked here."""
    found, is_blind = list[dict[str, str]](), False
    for stored in requests:
        if reason := tool.reason_to_stay(stored):
            found.append({"id": stored.envelope.id, "reason": reason})
            is_blind = is_blind or tool.is_blind_to(stored)
    return found, is_blind


def _tool(context: Context, *, force: bool) -> Release:
    return Release(
        context.writable,
        context.table,
        [(one.business_id, one.secret.get_secret_value()) for one in context.settings.webhook_secrets],
        dedup_window_ms=context.settings.dedup_window,
        force=force,
        reading=context.settings.reading,
    )


def _report(json: bool, shape: dict[str, object]) -> None:
    if json:
        output.json_line(shape)
        return
    would = "would be released" if shape["dry_run"] else "released"
    output.say(f"{shape['released']} of {shape['checked']} quarantined requests {would}.")
    kept = list(shape["kept"])  # type: ignore[call-overload]
    for one in kept[:_SHOWN]:
        output.warn(f"{one['id']} stays: {one['reason']}")
    if len(kept) > _SHOWN:
        output.warn(f"{len(kept) - _SHOWN} more stay; --json names them")
