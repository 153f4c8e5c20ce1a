"""Looks that no page has in this form: bounded by what the program asks for, and continued by a cursor."""

import re
from itertools import islice
from typing import Final

from receiver.console.framework.page import Facts, PageRequest
from receiver.console.pages import acts as acts_page
from receiver.console.pages import event, hooks
from receiver.console.selection import bulk_selection, event_search
from receiver.core import timestamps
from receiver.core.errors import UsageError
from receiver.operations import json_views

_ACT: Final = re.compile(r"\d{1,15}-\d{1,15}", re.ASCII)


def events(request: PageRequest) -> Facts:
    """A page of events. Query: as of the page, and limit."""
    what = event_search.read_query(request)
    most = request.number("limit") or event_search.ROWS
    found = event_search.find(request.services.archive, what, after=event_search.cursor(request), most=most)
    hide = not request.session.identity.may_act
    return {
        "events": [
            json_views.brief(stored, redact=hide, names=request.services.names.all()) for stored in found.events
        ],
        "more": found.more,
        "is_cut": found.is_cut,
        "looked_at": found.looked_at,
        "looked_back_to": timestamps.show(found.looked_back_to_ms),
    }


def explain_event(request: PageRequest) -> Facts:
    """Each route of the current table, and whether it matches a stored event."""
    return {"explained": event.facts(request)["explained"]}


def gaps(request: PageRequest) -> Facts:
    """A page of gaps, oldest first. Query: action, business, state, cursor (an id), limit."""
    action, business, state = request.asked("action"), request.number("business"), request.asked("state")
    most, cursor = request.number("limit") or 1, request.asked("cursor")
    found = [
        gap
        for gap in request.services.gaps.gaps()
        if action in (None, gap.action) and business in (None, gap.business_id) and state in (None, gap.state)
    ]
    if cursor is not None:
        behind = next((at for at, gap in enumerate(found, 1) if gap.id == cursor), None)
        if behind is None:
            raise UsageError("cursor: its gap is no longer in the list; begin again without it")
        del found[:behind]
    names = request.services.names.all()
    return {
        "gaps": [gap.as_json(names) for gap in found[:most]],
        "more": found[most - 1].id if len(found) > most else None,
    }


def plan(request: PageRequest) -> Facts:
    """What `apply` would change."""
    seen = hooks.facts(request)
    return {"plan": seen["plan"], "problem": seen["problem"]}


def audit(request: PageRequest) -> Facts:
    """The audit, at most half a minute old."""
    return request.services.audit.latest()


def acts(request: PageRequest) -> Facts:
    """A page of the audit log. Query: since, cursor, limit."""
    cursor, most = request.asked("cursor"), request.number("limit") or 1
    if cursor is not None and not _ACT.fullmatch(cursor):
        raise UsageError("cursor: it is not one that this list gave")
    since_ms = timestamps.parse("since", request.asked("since"))
    found = list(islice(request.services.acts.newest(since_ms, after=cursor), most + 1))
    more = found[most - 1].id if len(found) > most else None
    return {"acts": [acts_page.shape(act) for act in found[:most]], "more": more}


def task(request: PageRequest) -> Facts:
    """The progress of the task of this console."""
    return {"progress": bulk_selection.progress(request)}
