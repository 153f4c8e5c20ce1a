"""The event that a trial runs a handler on: a kept one, one of a file, or a sample."""

import re
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from receiver.cli.context import Context
from receiver.cli.routes import route_tests
from receiver.cli.ui import output
from receiver.core import ids
from receiver.core.errors import UsageError
from receiver.core.events import Business, Event, EventStatus, Origin
from receiver.nexudus import actions, samples
from receiver.routing.route import Route, matches
from receiver.routing.table import RoutingTable
from receiver.storage.queue.checkpoints import Steps
from receiver.storage.shared.audit_log import AuditLog
from workers.once import remember_in

_EVENT_ID = re.compile(r"[0-9a-z]{20,32}")
_NO_BUSINESS = 1
"""The location of a trial when neither the command nor the routes name one."""


def check_business(business: int | None) -> None:
    """Raise UsageError for what cannot be a location."""
    if business is not None and business < 1:
        raise UsageError(f"try: --business {business} is not a location; ids begin at 1")


def _first_action(route: Route) -> str:
    """Return the first action that the route wants, of a wildcard the first known one that it stands for."""
    for pattern in route.actions:
        if "*" not in pattern:
            return pattern
        found = next((name for name in samples.names() if matches((pattern,), name)), None)
        if found is not None:
            return found
    raise UsageError(f"try: route {route.name} lists no known action; choose one with --action")


def first_business(table: RoutingTable, route: Route) -> int:
    """Return a location whose events the route wants."""
    if route.businesses:
        return min(route.businesses)
    return table.businesses[0] if table.businesses and table.businesses != "all" else _NO_BUSINESS


def event_of(
    context: Context,
    table: RoutingTable,
    route: Route,
    source: str | None,
    action: str | None,
    business: int | None,
    *,
    runs: bool,
) -> Event:
    """Return the event of a trial, of a file, a kept event or a sample. *runs*: its handler does what it does."""
    if source is not None and not Path(source).exists():
        event = stored_event(context, route, source)
        if runs:
            AuditLog(context.client).record("try", route=route.name, event_id=event.id)  # the handler does what it does
            remember_in(Steps(context.client))  # what was done for a kept event is done
        event = replace(event, action=action or event.action, business_id=business or event.business_id)
        return replace(event, action_code=actions.code_of(event.action))
    action = action or _first_action(route)
    business = business or first_business(table, route)
    if source is None:
        now = datetime.now(UTC)
        if action not in samples.names():
            raise UsageError(f"try: there is no sample of {output.plain(action)[:80]!r}; give a file or an event id")
        record = samples.record(action, now=now, number=int(now.timestamp()))
        return new_event(route, action, business, record)
    return new_event(route, action, business, _read(Path(source), context.settings.max_body))


def at_business(event: Event, business: Business) -> Event:
    """Return *event* with what is said of its location."""
    return replace(event, business=business)


def _read(file: Path, most: int) -> dict[str, Any]:
    try:
        return dict(route_tests.read(file, most))
    except UsageError as error:
        raise UsageError(f"try: {error}") from None


def new_event(route: Route, action: str, business: int, record: dict[str, Any]) -> Event:
    """Return an event that has just come, as the handler of a route gets it."""
    identifier = ids.IdGenerator()()
    return _as_event(route, identifier, action, business, datetime.now(UTC), "simulated", record)


def stored_event(context: Context, route: Route, event_id: str) -> Event:
    """Return a kept event as the handler of a route gets it. Raises UsageError, EventUnknown, StorageUnavailable."""
    if not _EVENT_ID.fullmatch(event_id):
        raise UsageError(f"try: {output.plain(event_id)[:200]!r} is neither a file nor the id of an event")
    stored = context.archive.get(event_id)
    envelope = stored.envelope
    try:
        record = envelope.record()
    except ValueError:
        record = None
    if not isinstance(record, dict) or stored.status == EventStatus.QUARANTINED:  # whatever it holds may be forged
        reason = stored.unreadable or envelope.quarantine
        raise UsageError(f"try: event {event_id} holds no record for a handler: {reason}")
    received_at, origin = envelope.received_at, envelope.origin
    return _as_event(route, envelope.id, envelope.action, envelope.business_id, received_at, origin, record)


def _as_event(
    route: Route,
    identifier: str,
    action: str,
    business: int,
    received_at: datetime,
    origin: Origin,
    record: dict[str, Any],
) -> Event:
    return Event(
        id=identifier,
        key=f"{identifier}-{route.name}",
        action=action,
        action_code=actions.code_of(action),
        business_id=business,
        received_at=received_at,
        origin=origin,
        attempt=1,
        superseded=False,
        data=record,
    )
