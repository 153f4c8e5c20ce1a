"""The list of events: newest first, filtered, page by page. The first page follows new events live."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from receiver.console.framework.page import Facts, Page, PageRequest
from receiver.console.pages import event_search
from receiver.core import timestamps
from receiver.core.events import EventStatus
from receiver.nexudus import actions
from receiver.operations import json_views
from receiver.operations.search_query import SearchQuery


def facts(request: PageRequest) -> Facts:
    """A page of events. Query: action, business, route, status, since, until, text, after (an id)."""
    return listed(request, event_search.read_query(request))


def listed(request: PageRequest, what: SearchQuery) -> Facts:
    """A page of matching events. Query: after (an id), which is the `more` of the page before."""
    found = event_search.find(request.services.archive, what, after=event_search.cursor(request))
    return {
        "events": [
            json_views.brief(stored, redact=not request.session.identity.may_act, names=request.services.names.all())
            for stored in found.events
        ],
        "more": found.more,
        "is_cut": found.is_cut,
        "looked_at": found.looked_at,
        "looked_back_to": timestamps.show(found.looked_back_to_ms),
    }


def more(request: PageRequest, values: Facts) -> Mapping[str, Any]:
    """What the form and the links need."""
    asked = {name: value for name in event_search.NAMES if (value := request.asked(name))}
    return {
        "asked": asked,
        "query": urlencode(asked),
        "after": event_search.cursor(request),
        "statuses": [str(status) for status in EventStatus],
        "actions": actions.NAMES,
        "route_names": route_names(request),
        "now_ms": request.services.store_status.now_ms(),
    }


def route_names(request: PageRequest) -> list[str]:
    """Return the names of the current routes."""
    table = request.services.routes.table
    return [route.name for route in table.routes] if table else []


PAGE: Final = Page("/events", "Events", "events.html", facts, more)
