"""`acts`: the audit log, who did what."""

from typing import Annotated

from cyclopts import Parameter

from receiver.cli.context import Context
from receiver.cli.ui import output
from receiver.core import timestamps
from receiver.storage.shared.audit_log import AuditEntry, AuditLog


def acts(
    *,
    since: str | None = None,
    json: Annotated[bool, Parameter(help="one JSON object per line")] = False,
) -> None:
    """List what people did in the last year, newest first.

    Replays, releases, repairs, changes at Nexudus, records seen.

    Parameters
    ----------
    since
        a time (2026-05-01T12:00:00Z) or an age (2h)
    """
    found = AuditLog(Context().client).newest(timestamps.parse("--since", since))
    if json:
        for act in found:
            output.json_line({"at": timestamps.show(act.at_ms), "who": act.who, "what": act.what, "detail": act.detail})
        return
    rows = [_row(act) for act in found]
    if not rows:
        output.say("The audit log is empty." if since is None else "The audit log has nothing since then.")
        return
    output.table(("at", "who", "what", "detail"), rows)


def _row(act: AuditEntry) -> tuple[str, ...]:
    detail = ", ".join(f"{name}={value}" for name, value in act.detail.items())
    return ((timestamps.show(act.at_ms) or "")[:19].replace("T", " "), act.who, act.what, detail)
