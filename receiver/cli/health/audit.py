"""`audit`: account for every event that was ever accepted."""

from typing import Annotated

from cyclopts import Parameter

from receiver.cli.context import Context
from receiver.cli.ui import output, terminal
from receiver.core.errors import SpoolUnavailable
from receiver.storage.accounting import data_loss
from receiver.storage.accounting.audit import Audit, AuditReport
from receiver.storage.shared.audit_log import AuditLog
from receiver.storage.spool import count, slots

_SHOWN = 20


def audit(
    *,
    full: bool = False,
    repair: bool = False,
    write_off: bool = False,
    json: Annotated[bool, Parameter(help="print one object")] = False,
) -> int:
    """Check that nothing is lost: every event and every delivery has a known state. Exits 1 otherwise.

    Parameters
    ----------
    full
        check every event, also of hours that were in order before, and every index that should list it
    repair
        create a job for each delivery that has lost its own, and delete the remains of events that were never stored
        completely, because the store failed meanwhile
    write_off
        give up events that have lost their state or their record. Events whose record survives become unrouted and can
        be replayed; the others, and all their deliveries, are counted as expired
    """
    context = Context()
    counted = Audit(context.client)
    client = context.writable if repair or write_off else context.client
    with terminal.bar("looking at events", lambda: counted.size(full=full), shown=not json) as advance:
        audited = Audit(client, looked_at=advance, on_disk=_stock(context))
        report = audited.run(full=full, repair=repair, clear=repair, write_off=write_off)
    _record(report, AuditLog(context.client), repair=repair)
    if json:
        output.json_line(report.shape())
    else:
        _print(report)
    lost = data_loss.unacknowledged(context.client)
    for loss in lost:
        output.warn(f"{loss.sentence} None of it is counted here; `frontdesk alerts --acknowledge` confirms it.")
    return 1 if report.unaccounted or lost else 0


def _stock(context: Context) -> count.SpoolCount | None:
    """Look into the spools of our own data directory, if there are any and they can be read."""
    try:
        return count.stock(slots.folder_of(context.settings.data_dir))
    except SpoolUnavailable as error:
        output.warn(f"{error}; the last report of these spools is counted instead")
        return None


def _record(report: AuditReport, acts: AuditLog, *, repair: bool) -> None:
    """Tell what was changed, now and for good."""
    if repair:
        acts.record("audit.repair", repaired=report.repaired, cleared=report.cleared or None)
        if report.repaired:
            output.warn(f"{report.repaired} deliveries had lost their jobs and have new ones now")
    if report.cleared:
        output.warn(
            f"{report.cleared} events were never kept completely, and their record is gone; their remains are "
            "deleted now, and they are listed for the last time"
        )
    if report.kept or report.written_off:
        acts.record("audit.write_off", kept=report.kept, written_off=report.written_off)
        output.warn(f"{report.kept} events had lost their state and are unrouted now; {report.written_off} are expired")


def _print(report: AuditReport) -> None:
    output.table(("events", ""), list(report.events.items()))
    output.say("")
    output.table(("deliveries", ""), [(name.replace("_", " "), number) for name, number in report.deliveries.items()])
    output.say("")
    output.say(f"{report.spooled} events are in spools; {report.duplicates} were duplicates.")
    if not report.unaccounted:
        output.say("Nothing is unaccounted for.")
        return
    output.say(
        f"{report.unaccounted} events are UNACCOUNTED FOR; `frontdesk audit --repair` repairs what it can,"
        " `--write-off` gives up the rest:"
    )
    for event_id in report.offenders[:_SHOWN]:
        output.say(f"  {event_id}")
    if len(report.offenders) > _SHOWN:
        output.say("  and more; `frontdesk audit --json` lists them all")
