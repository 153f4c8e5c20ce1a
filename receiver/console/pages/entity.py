"""The story of one record: all its events in order, what changed from one to the next, and what each delivery did."""

import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Final

from receiver.console.framework.page import Facts, Operation, Page, PageRequest, Shown
from receiver.console.pages import event_search
from receiver.core import timestamps
from receiver.core.errors import UsageError
from receiver.operations import json_views, record_diff
from receiver.operations.search_query import SearchQuery
from receiver.storage.query.stored_event import EventFilter

ROWS: Final = 25
_ENTITY: Final = re.compile(r"[A-Za-z]{1,60}:-?\d{1,19}", re.ASCII)


def facts(request: PageRequest) -> Facts:
    """A page of the events of an entity, newest first, values masked. Query: after (an id)."""
    return _facts(request, redact=True)


def _facts(request: PageRequest, *, redact: bool) -> Facts:
    entity = request.path["entity"]
    if not _ENTITY.fullmatch(entity):
        raise UsageError(f"{entity[:80]!r} is not a record; write its kind and its Id, as in Booking:123")
    what = SearchQuery(EventFilter(entity=entity))
    after = event_search.cursor(request)
    found = event_search.find(request.services.archive, what, after=after, most=ROWS)
    told = record_diff.story(_with_one_before(request, what, found), redact=redact)[: len(found.events)]
    hide = not request.session.identity.may_act
    return {
        "entity": entity,
        "events": [
            json_views.brief(stored, redact=hide, names=request.services.names.all())
            | {"changes": None if changes is None else [asdict(one) for one in changes]}
            for stored, changes in told
        ],
        "more": found.more,
        "is_cut": found.is_cut,
        "looked_at": found.looked_at,
        "looked_back_to": timestamps.show(found.looked_back_to_ms),
        "is_masked": redact,
    }


def _with_one_before(request: PageRequest, what: SearchQuery, found: event_search.SearchResult) -> list[Any]:
    """The last event of a page is compared with the first one of the next page."""
    if found.more is None or found.is_cut:
        return list(found.events)
    before = event_search.find(request.services.archive, what, after=found.more, most=1)
    return [*found.events, *before.events]


def more(request: PageRequest, values: Facts) -> Mapping[str, Any]:
    """What the links need."""
    return {
        "asked": {},
        "query": "",
        "after": event_search.cursor(request),
        "now_ms": request.services.store_status.now_ms(),
    }


def reveal(request: PageRequest) -> Shown:
    """Show the values unmasked. The audit log records first who asked, and for how many events of what kind."""
    values = _facts(request, redact=False)
    request.record("unmask", kind=values["entity"].partition(":")[0], events=len(values["events"]))
    return Shown(PAGE, values)


PAGE: Final = Page("/entities/{entity}", "Story", "entity.html", facts, more, is_listed=False)
OPERATIONS: Final = (Operation("/entities/{entity}/reveal", reveal),)
