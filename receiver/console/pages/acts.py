"""The audit log: who changed what, for a year."""

from itertools import islice
from typing import Any, Final

from receiver.console.framework.page import Facts, Page, PageRequest
from receiver.core import timestamps
from receiver.storage.shared.audit_log import AuditEntry

_ROWS: Final = 100


def facts(request: PageRequest) -> Facts:
    """The latest hundred entries. Query: `since`."""
    since_ms = timestamps.parse("since", request.asked("since"))
    return {"acts": [shape(act) for act in islice(request.services.acts.newest(since_ms, at_once=_ROWS), _ROWS)]}


def shape(act: AuditEntry) -> dict[str, Any]:
    """One entry, with the keys of `frontdesk acts --json`."""
    return {"at": timestamps.show(act.at_ms), "who": act.who, "what": act.what, "detail": act.detail}


PAGE: Final = Page("/acts", "Audit log", "acts.html", facts, tables={"acts": ("-at", "who", "what")})
