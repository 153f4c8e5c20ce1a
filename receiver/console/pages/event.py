"""One event: what came, what was made of it and why, every delivery and attempt; and putting it right."""

from collections.abc import Mapping
from typing import Any, Final

from receiver.console.framework.page import Act, Done, Facts, Page, Shown
from receiver.console.framework.page_request import Visit
from receiver.core.errors import UsageError
from receiver.core.events import DeliveryStatus, EventStatus
from receiver.core.sanitize import counted
from receiver.operations import json_views
from receiver.storage.query.stored_event import StoredEvent


def facts(visit: Visit) -> Facts:
    """One event; its record is masked, and for a viewer the errors of its handlers, too."""
    return _facts(visit, visit.desk.archive.get(visit.path["event"]), redact=True)


def _facts(visit: Visit, stored: StoredEvent, *, redact: bool) -> Facts:
    told = json_views.full(stored, redact=redact, redact_errors=not visit.session.identity.may_act)
    return told | {
        "is_masked": redact,
        "size": len(stored.envelope.body),
        "explained": _explained(visit, stored),
        "table": _table(visit),
        "timeline": _timeline(stored, told),
        "replayable": _replayable(visit, stored),
    }


def _table(visit: Visit) -> str | None:
    table = visit.desk.routes.table
    return table.hash if table else None


def _explained(visit: Visit, stored: StoredEvent) -> list[dict[str, Any]]:
    """Say of each of today's routes whether it wants the event, and why not; nothing of a quarantined one.

    A viewer is not told what a filter made of the record, because that says what is in it.
    """
    table = visit.desk.routes.table
    if table is None or stored.status == EventStatus.QUARANTINED or stored.unreadable:
        return []
    envelope = stored.envelope
    explained = table.explain(envelope.business_id, envelope.action, envelope.record())
    may_know = visit.session.identity.may_act
    order = sorted(explained, key=lambda one: (not one.matched, not (one.failed and may_know)))
    return [
        {
            "route": one.route,
            "matched": one.matched,
            "why_not": one.why_not if may_know else None,
            "failed": one.failed and may_know,
        }
        for one in order
    ]


def _replayable(visit: Visit, stored: StoredEvent) -> list[str]:
    table = visit.desk.routes.table
    if table is None or stored.status == EventStatus.QUARANTINED:
        return []
    busy = {one.route for one in stored.deliveries if one.status == DeliveryStatus.IN_FLIGHT}
    return [route.name for route in visit.desk.make_replay(table).routes(stored) if route.name not in busy]


def _timeline(stored: StoredEvent, told: Facts) -> list[dict[str, Any]]:
    """Everything that happened, in the order in which it did."""
    steps = _arrival(stored, told)
    for attempt in told["attempts"]:
        what = f"{attempt['route']}, attempt {attempt['number']}" if attempt["number"] else attempt["route"]
        said = f"{what}: {attempt['error']}" if attempt["error"] else what
        at = attempt["ended_at"]
        steps.append(_step(at, attempt["outcome"] or "ended", said, attempt["duration_ms"], attempt["worker"]))
    steps.sort(key=lambda step: step["at"] or "")
    ahead = [one for one in told["deliveries"] if one["status"] == "in_flight"]
    return steps + [_ahead(one) for one in ahead]


def _arrival(stored: StoredEvent, told: Facts) -> list[dict[str, Any]]:
    """What was done with the request, down to who wanted its event; of one that cannot be read only its id is known."""
    at = told["received_at"]
    if stored.unreadable:
        return [_step(at, "received", "as its id tells")]
    envelope = stored.envelope
    checked = f"the signature matched ({envelope.verified_by})" if envelope.verified_by else "no signature was checked"
    steps = [
        _step(at, "received", f"{len(envelope.body)} bytes from {envelope.origin}"),
        _step(at, "verified", f"the hook's own address; {checked}"),
    ]
    if envelope.quarantine:
        return [*steps, _step(at, "quarantined", told["reason"])]
    number = sum(one.origin is None for one in stored.deliveries)
    routed = (
        f"{counted(number, 'delivery')} by table {envelope.routes or 'unknown'}" if number else "no route wanted it"
    )
    if stored.shadow:
        routed += f"; in the shadow: {', '.join(stored.shadow)}"
    steps.append(_step(at, "kept", "as new: nothing identical came before it in its window"))
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


def more(visit: Visit, told: Facts) -> Mapping[str, Any]:
    """What only the page needs."""
    return {"now_ms": visit.desk.pulse.now_ms(), "explain_query": f"event={told['id']}"}


def reveal(visit: Visit) -> Shown:
    """Show the record as it came. Who asked is recorded first."""
    stored = visit.desk.archive.get(visit.path["event"])
    visit.record("unmask", event_id=stored.envelope.id, action=stored.envelope.action)
    return Shown(PAGE, _facts(visit, stored, redact=False))


def replay(visit: Visit) -> Done:
    """Replay the event: for one route, or for every route that wants it today. Form: route, or nothing."""
    stored = visit.desk.archive.get(visit.path["event"])
    route = visit.asked("route")
    table = visit.desk.table()
    if route is not None and table.route(route) is None:
        raise UsageError(f"route: today's table has no route {route!r}")
    tool = visit.desk.make_replay(table, route=route)
    visit.record("replay", event_id=stored.envelope.id, route=route)
    done = tool.run(stored)
    said = f"Nothing was replayed: {done.reason}." if done.reason else f"Replayed: {_deliveries(len(done.deliveries))}."
    return Done(said, f"/events/{stored.envelope.id}", {"deliveries": list(done.deliveries), "reason": done.reason})


def _deliveries(number: int) -> str:
    return "one new delivery" if number == 1 else f"{number} new deliveries"


PAGE: Final = Page("/events/{event}", "Event", "event.html", facts, more, is_listed=False)
ACTS: Final = (Act("/events/{event}/reveal", reveal), Act("/events/{event}/replay", replay))
