"""The list of events: newest first, filtered, page by page, and live while nothing older is looked at."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from receiver.console.framework.page import Facts, Page
from receiver.console.framework.page_request import Visit
from receiver.console.pages import search
from receiver.console.pages.search import Sought
from receiver.core import timestamps
from receiver.core.events import EventStatus
from receiver.nexudus import actions
from receiver.operations import json_views


def facts(visit: Visit) -> Facts:
    """A page of events. Query: action, business, route, status, since, until, text, after (an id)."""
    return listed(visit, search.sought(visit))


def listed(visit: Visit, what: Sought) -> Facts:
    """A page of those asked for. Query: after (an id), which is the `more` of the page before."""
    found = search.find(visit.desk.archive, what, after=search.cursor(visit))
    return {
        "events": [json_views.brief(stored, redact=not visit.session.identity.may_act) for stored in found.events],
        "more": found.more,
        "is_cut": found.is_cut,
        "looked_at": found.looked_at,
        "looked_back_to": timestamps.show(found.looked_back_to_ms),
    }


def more(visit: Visit, told: Facts) -> Mapping[str, Any]:
    """What the form and the links need."""
    asked = {name: value for name in search.NAMES if (value := visit.asked(name))}
    return {
        "asked": asked,
        "query": urlencode(asked),
        "after": search.cursor(visit),
        "statuses": [str(status) for status in EventStatus],
        "actions": actions.NAMES,
        "route_names": route_names(visit),
        "now_ms": visit.desk.pulse.now_ms(),
    }


def route_names(visit: Visit) -> list[str]:
    """Return the names of today's routes."""
    table = visit.desk.routes.table
    return [route.name for route in table.routes] if table else []


PAGE: Final = Page("/events", "Events", "events.html", facts, more)
