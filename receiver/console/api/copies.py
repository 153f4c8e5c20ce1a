"""Copies of events for `frontdesk listen`: nothing is taken from anybody, and the console remembers nothing."""

import time
from typing import Final

from receiver.console.framework.page import Facts, PageRequest
from receiver.console.pages import event_search
from receiver.core import timestamps
from receiver.core.durations import HOUR_MS
from receiver.core.errors import RequestRefused
from receiver.operations import json_views
from receiver.storage.query import event_copies
from receiver.storage.query.event_copies import Place

_RECORDED_EVERY_S: Final = 3_600.0
_recorded: dict[tuple[str, bool], float] = {}
"""When each person was last recorded as listening, by whether records were masked; people are those of the settings."""


def facts(request: PageRequest) -> Facts:
    """The next events with their records. Query: cursor (of the answer before), since, redact, and the filters."""
    redact = request.asked("redact") == "yes"
    who = request.session.identity
    if not (redact or who.may_act):
        raise RequestRefused(
            403,
            f"{who.name} may see only masked records; ask with redact (listen --redact), or use an admin's token",
        )
    query = event_search.read_query(request)
    hour = request.services.store_status.now_ms() // HOUR_MS
    place = _place(request, hour)
    _record(request, redact=redact)
    found, behind, more = event_copies.read(request.services.archive, place, hour)
    since_ms = query.wanted.since_ms
    wanted = [one for one in found if query.matches(one) and (not since_ms or one.envelope.received_ms >= since_ms)]
    return {
        "events": [
            json_views.full(one, redact=redact, names=request.services.names.all())
            for one in wanted
            if one.loss is None
        ],
        "cursor": behind.written(),
        "more": more,
    }


def _place(request: PageRequest, hour: int) -> Place:
    if cursor := request.asked("cursor"):
        return event_copies.read_place(cursor)
    since_ms = timestamps.parse("since", request.asked("since"))
    return event_copies.now(request.services.archive, hour) if since_ms is None else Place(since_ms // HOUR_MS)


def _record(request: PageRequest, *, redact: bool) -> None:
    """Record in the audit log that somebody listens, once an hour."""
    key = (request.session.identity.name, redact)
    now = time.monotonic()
    if now - _recorded.get(key, -_RECORDED_EVERY_S) >= _RECORDED_EVERY_S:
        request.record("listen", redact=redact)
        _recorded[key] = now
