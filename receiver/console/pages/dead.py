"""Events with a dead delivery: what failed, and trying it again, one by one or all of a kind."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from receiver.console.framework.page import Facts, Page
from receiver.console.framework.page_request import Visit
from receiver.console.pages import bulk_selection, events, search
from receiver.console.pages.search import Sought
from receiver.core.errors import UsageError
from receiver.core.events import EventStatus


def facts(visit: Visit) -> Facts:
    """A page of dead events. Query: action, business, route, since, until, text, after (an id)."""
    return listed(visit, EventStatus.DEAD) | {"progress": bulk_selection.progress(visit)}


def listed(visit: Visit, status: EventStatus) -> Facts:
    """A page of the events that stand aside as *status*, and how many do in all."""
    if (visit.asked("status") or status) != status:
        raise UsageError(f"status: this page is about {status} events")
    return {"total": visit.desk.pulse.standing()[status]} | events.listed(visit, aside(visit, status))


def aside(visit: Visit, status: EventStatus) -> Sought:
    """Return what is asked for of the events that stand aside as *status*."""
    asked = search.sought(visit)
    return Sought(replace(asked.wanted, status=status), asked.text)


def more(visit: Visit, told: Facts) -> Mapping[str, Any]:
    """What the form and the links need."""
    asked = {name: value for name in search.NAMES if name != "status" and (value := visit.asked(name))}
    return {
        "asked": asked,
        "query": urlencode(asked),
        "after": search.cursor(visit),
        "route_names": events.route_names(visit),
        "now_ms": visit.desk.pulse.now_ms(),
    }


PAGE: Final = Page("/dead", "Dead", "dead.html", facts, more)
