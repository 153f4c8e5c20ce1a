"""Events with a dead delivery: what failed. They can be replayed one by one or all that match."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlencode

from receiver.console.framework.page import Facts, Page, PageRequest
from receiver.console.pages import events
from receiver.console.selection import bulk_selection, event_search
from receiver.core.errors import UsageError
from receiver.core.events import EventStatus
from receiver.operations.search_query import SearchQuery


def facts(request: PageRequest) -> Facts:
    """A page of dead events. Query: action, business, route, since, until, text, after (an id)."""
    return listed(request, EventStatus.DEAD) | {"progress": bulk_selection.progress(request)}


def listed(request: PageRequest, status: EventStatus) -> Facts:
    """A page of the events with *status*, and their total."""
    if (request.asked("status") or status) != status:
        raise UsageError(f"status: this page is about {status} events")
    return {"total": request.services.store_status.standing()[status]} | events.listed(
        request, query_for(request, status)
    )


def query_for(request: PageRequest, status: EventStatus) -> SearchQuery:
    """Return the search of the request, limited to the events with *status*."""
    asked = event_search.read_query(request)
    return SearchQuery(replace(asked.wanted, status=status), asked.text)


def more(request: PageRequest, values: Facts) -> Mapping[str, Any]:
    """What the form and the links need."""
    asked = {name: value for name in event_search.NAMES if name != "status" and (value := request.asked(name))}
    return {
        "asked": asked,
        "query": urlencode(asked),
        "after": event_search.cursor(request),
        "route_names": events.route_names(request),
        "now_ms": request.services.store_status.now_ms(),
    }


PAGE: Final = Page("/dead", "Dead", "dead.html", facts, more, tables=events.TABLES)
