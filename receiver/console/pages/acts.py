"""Who did what, for a year."""

from itertools import islice
from typing import Any, Final

from receiver.console.framework.page import Facts, Page
from receiver.console.framework.page_request import Visit
from receiver.core import timestamps
from receiver.storage.shared.audit_log import AuditEntry

_ROWS: Final = 100


def facts(visit: Visit) -> Facts:
    """The latest hundred acts. Query: `since`."""
    since_ms = timestamps.parse("since", visit.asked("since"))
    return {"acts": [shape(act) for act in islice(visit.desk.acts.newest(since_ms), _ROWS)]}


def shape(act: AuditEntry) -> dict[str, Any]:
    """One act, with the keys of `frontdesk acts --json`."""
    return {"at": timestamps.show(act.at_ms), "who": act.who, "what": act.what, "detail": act.detail}


PAGE: Final = Page("/acts", "Acts", "acts.html", facts)
