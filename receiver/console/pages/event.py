"""One event: the request, its routing with reasons, every delivery and attempt. It can be replayed and unmasked."""

from collections.abc import Mapping
from typing import Any, Final

import orjson

from receiver.console.framework.page import Done, Facts, Operation, Page, PageRequest, Shown
from receiver.core.errors import UsageError
from receiver.core.events import DeliveryStatus, EventStatus
from receiver.core.sanitize import counted
from receiver.operations import json_views
from receiver.storage.query.stored_event import StoredEvent


def facts(request: PageRequest) -> Facts:
    """One event; its record is masked, and for a viewer the errors of its handlers, too."""
    return _facts(request, request.services.archive.get(request.path["event"]), redact=True)


def _facts(
    request: PageRequest, stored: StoredEvent, *, redact: bool, draft: str | None = None, problem: str | None = None
) -> Facts:
    values = json_views.full(
        stored, redact=redact, names=request.services.names.all(), redact_errors=not request.session.identity.may_act
    )
    return values | {
        "is_masked": redact,
        "size": len(stored.envelope.body),
        "explained": _explained(request, stored),
        "table": _table(request),
        "timeline": _timeline(stored, values),
        "replayable": _replayable(request, stored),
        "draft": _draft(values["data"]) if draft is None and not redact else draft,
        "problem": problem,
    }


def _draft(data: Any) -> str | None:
    """The record as an editor shows it; None when it is no record."""
    return orjson.dumps(data, option=orjson.OPT_INDENT_2).decode() if isinstance(data, dict) else None


def _table(request: PageRequest) -> str | None:
    table = request.services.routes.table
    return table.hash if table else None


def _explained(request: PageRequest, stored: StoredEvent) -> list[dict[str, Any]]:
    """Say for each current route whether it matches the event, and why not; nothing for a quarantined event.

    A viewer does not see how a filter judged the record, because that reveals what is in it.
    """
    table = request.services.routes.table
    if table is None or stored.status == EventStatus.QUARANTINED or stored.unreadable:
        return []
    envelope = stored.envelope
    explained = table.explain(envelope.business_id, envelope.action, envelope.record())
    may_know = request.session.identity.may_act
    order = sorted(explained, key=lambda one: (not one.matched, not (one.failed and may_know)))
    return [
        {
            "route": one.route,
            "matched": one.matched,
            "why_not": one.why_not if may_know else None,
            "failed": one.failed and may_know,
            "note": one.note if may_know else "",
        }
        for one in order
    ]


def _replayable(request: PageRequest, stored: StoredEvent) -> list[str]:
    table = request.services.routes.table
    if table is None or stored.status == EventStatus.QUARANTINED:
        return []
    busy = {one.route for one in stored.deliveries if one.status == DeliveryStatus.IN_FLIGHT}
    return [route.name for route in request.services.make_replay(table).routes(stored) if route.name not in busy]


def _timeline(stored: StoredEvent, values: Facts) -> list[dict[str, Any]]:
    """Everything that happened, in order."""
    steps = _arrival(stored, values)
    for attempt in values["attempts"]:
        what = f"{attempt['route']}, attempt {attempt['number']}" if attempt["number"] else attempt["route"]
        said = f"{what}: {attempt['error']}" if attempt["error"] else what
        at = attempt["ended_at"]
        steps.append(_step(at, attempt["outcome"] or "ended", said, attempt["duration_ms"], attempt["worker"]))
    steps.sort(key=lambda step: step["at"] or "")
    ahead = [one for one in values["deliveries"] if one["status"] == "in_flight"]
    return steps + [_ahead(one) for one in ahead]


def _arrival(stored: StoredEvent, values: Facts) -> list[dict[str, Any]]:
    """The steps from the request to its routing; of an event that cannot be read only its ID is known."""
    at = values["received_at"]
    if stored.unreadable:
        return [_step(at, "received", "by its ID")]
    envelope = stored.envelope
    checked = f"the signature matched ({envelope.verified_by})" if envelope.verified_by else "no signature was checked"
    steps = [
        _step(at, "received", f"{len(envelope.body):,} bytes from {envelope.origin}"),
        _step(at, "verified", f"the token of the hook's URL is valid; {checked}"),
    ]
    if envelope.quarantine:
        return [*steps, _step(at, "quarantined", values["reason"])]
    number = sum(one.origin is None for one in stored.deliveries)
    routed = f"{counted(number, 'delivery')} by table {envelope.routes or 'unknown'}" if number else "no route matched"
    if stored.shadow:
        routed += f"; matched by shadow routes: {', '.join(stored.shadow)}"
    steps.append(_step(at, "kept", "no identical request came before it in the deduplication window"))
    return [*steps, _step(at, "routed" if number else "unrouted", routed)]


def _ahead(delivery: Mapping[str, Any]) -> dict[str, Any]:
    """What a delivery in flight does now, or waits for."""
    does = delivery["waits_for"] or "in_flight"
    known = does in ("queued", "scheduled", "running", "held", "in_flight")
    step = _step(delivery["next_attempt_at"], does if known else "waits", delivery["route"])
    return step if known else step | {"waits_for": does}


def _step(
    at: str | None, what: str, said: str, took_ms: int | None = None, worker: str | None = None
) -> dict[str, Any]:
    return {"at": at, "what": what, "said": said, "took_ms": took_ms, "worker": worker, "waits_for": None}


def more(request: PageRequest, values: Facts) -> Mapping[str, Any]:
    """What only the page needs."""
    return {"now_ms": request.services.store_status.now_ms(), "explain_query": f"event={values['id']}"}


def reveal(request: PageRequest) -> Shown:
    """Show the record unmasked. The audit log records first who asked."""
    stored = request.services.archive.get(request.path["event"])
    request.record("unmask", event_id=stored.envelope.id, action=stored.envelope.action)
    return Shown(PAGE, _facts(request, stored, redact=False))


def edit(request: PageRequest) -> Done | Shown:
    """Send an edited record as a new event. Form: record. One that does not fit is shown again, with the reason."""
    stored = request.services.archive.get(request.path["event"])
    written = request.form.get("record", "")
    tool = request.services.make_edit(request.services.table())
    try:
        checked = tool.check(stored, written.encode("utf-8", "replace"))
    except UsageError as error:
        if not request.session.id:
            raise
        request.record("unmask", event_id=stored.envelope.id, action=stored.envelope.action)
        return Shown(PAGE, _facts(request, stored, redact=False, draft=written, problem=str(error)))
    request.record("edit", event_id=stored.envelope.id, fields=len(checked.changed))
    made = tool.run(stored, checked)
    said = f"The edited record is a new event: {_deliveries(len(checked.routes))}."
    return Done(said, f"/events/{made}", {"id": made, "edited_from": stored.envelope.id})


def replay(request: PageRequest) -> Done:
    """Replay the event for one route, or for every route that matches it now. Form: route, or nothing."""
    stored = request.services.archive.get(request.path["event"])
    route = request.asked("route")
    table = request.services.table()
    if route is not None and table.route(route) is None:
        raise UsageError(f"route: the current table has no route {route!r}")
    tool = request.services.make_replay(table, route=route)
    request.record("replay", event_id=stored.envelope.id, route=route)
    done = tool.run(stored)
    said = f"Nothing was replayed: {done.reason}." if done.reason else f"Replayed: {_deliveries(len(done.deliveries))}."
    return Done(said, f"/events/{stored.envelope.id}", {"deliveries": list(done.deliveries), "reason": done.reason})


def _deliveries(number: int) -> str:
    return "one new delivery" if number == 1 else f"{number} new deliveries"


_TABLES: Final = {
    "deliveries": ("route", "status", "-attempts", "next_attempt_at", "error"),
    "explained": ("route", "-matched", "note"),
}
PAGE: Final = Page("/events/{event}", "Event", "event.html", facts, more, is_listed=False, tables=_TABLES)
OPERATIONS: Final = (
    Operation("/events/{event}/reveal", reveal),
    Operation("/events/{event}/replay", replay),
    Operation("/events/{event}/edit", edit),
)
