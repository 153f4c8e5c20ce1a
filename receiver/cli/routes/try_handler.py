"""`frontdesk try`: run one handler here, on one event; nothing is recorded or retried."""

import os
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any

import cyclopts

from receiver.cli.context import Context
from receiver.cli.routes import dry_run_report, trial_events
from receiver.cli.ui import output
from receiver.cli.up import demo
from receiver.core.durations import show
from receiver.core.events import Event, Outcome
from receiver.routing.explanation import explain
from receiver.routing.route import Route
from receiver.routing.table import RoutingTable
from receiver.storage.shared.business_names import place
from workers.nexudus.nexudus_transport import NexudusTransport
from workers.plugins import loader, route_handler
from workers.run import execution
from workers.run.execution import AttemptResult


def trial(
    route: Annotated[str, cyclopts.Parameter(show_default=False)],
    source: Annotated[str | None, cyclopts.Parameter(name="FILE|EVENT_ID", show_default=False)] = None,
    /,
    *,
    business: int | None = None,
    action: str | None = None,
    dry_run: bool = False,
    json: bool = False,
) -> int:
    """Run a route's handler once, here, whether or not the route matches the event. Exits 1 when it fails.

    Parameters
    ----------
    route
        The route's name in routes.yaml.
    source
        A file with a record as Nexudus sends it, or the id of a kept event. Default: a sample of the route's action.
    business
        The location of the event. Default: the event's own, or the first that the routes name.
    action
        The action of the event. Default: the event's own, or the first that the route lists.
    dry_run
        Send nothing: print what the handler would send. Exits 1 when that cannot be made of the event.
    json
        Print one JSON object.
    """
    trial_events.check_business(business)
    context = Context()
    table, chosen = context.table, context.route("try", route)
    handler = load_handler(chosen, context)
    event = trial_events.event_of(context, table, chosen, source, action, business, runs=not dry_run)
    event = replace(event, business=table.business(event.business_id))
    why_not = why_not_matched(table, chosen, event)
    if not json and why_not is None:
        _say_when_it_starts(chosen, event)
    if dry_run:
        told = dry_run_report.told(chosen, event, handler, why_not, name=context.names.get(event.business_id))
        return dry_run_report.report(told, json=json)
    return _run(chosen, event, handler, why_not, names=context.names, json=json)


def _say_when_it_starts(route: Route, event: Event) -> None:
    if route.is_timed:
        starts = explain(route, event.business_id, event.action, event.data)
        output.say(f"note: for a worker, {starts.note}")


def _run(
    route: Route, event: Event, handler: loader.Handler, why_not: str | None, *, names: Mapping[int, str], json: bool
) -> int:
    started = time.monotonic()
    result = execution.run_alone(handler, event, route.timeout_ms / 1_000)
    duration_ms = round((time.monotonic() - started) * 1_000)
    if json:
        told = {"business": names.get(event.business_id)}
        output.json_line(_as_json(route, event, why_not, result, duration_ms) | told)
    else:
        _say(route, event, why_not, result, duration_ms, names)
    return 0 if result.outcome in {Outcome.SUCCEEDED, Outcome.DISCARDED} else 1


def load_handler(route: Route, context: Context) -> loader.Handler:
    """Return the handler of a route, as workers run it. Raises HandlerError."""
    folder = context.settings.routes.resolve().parent
    transport = NexudusTransport(demo.completed(context.settings))
    return route_handler.load(route, environ=os.environ, folder=folder, transport=transport)


def why_not_matched(table: RoutingTable, route: Route, event: Event) -> str | None:
    """Return why a route of *table* does not match an event, as far as the event tells; None: it does."""
    found = table.explain(event.business_id, event.action, event.data)
    return next((one.why_not for one in found if one.route == route.name and not one.matched), None)


def _as_json(
    route: Route, event: Event, why_not: str | None, result: AttemptResult, duration_ms: int
) -> dict[str, Any]:
    return {
        "route": route.name,
        "handler": route.handler,
        "event_id": event.id,
        "action": event.action,
        "business_id": event.business_id,
        "origin": event.origin,
        "why_not": why_not,
        "outcome": str(result.outcome),
        "error": result.error,
        "retry_after_ms": result.retry_after_ms,
        "uncharged": result.uncharged,
        "duration_ms": duration_ms,
    }


def _say(
    route: Route,
    event: Event,
    why_not: str | None,
    result: AttemptResult,
    duration_ms: int,
    names: Mapping[int, str],
) -> None:
    what = f"{event.action} at business {place(event.business_id, names)}, event {event.id} ({event.origin})"
    output.say(f"{what} -> route {route.name}, handler {route.handler}")
    if why_not:
        output.say(f"note: the route does not match this event: {why_not}")
    error = f": {result.error}" if result.error else ""
    output.say(f"{result.outcome} in {duration_ms} ms{error}")
    if result.outcome in {Outcome.FAILED, Outcome.TIMED_OUT}:
        output.say(f"a worker would {_next_step(route, result)}")


def _next_step(route: Route, result: AttemptResult) -> str:
    if result.uncharged and result.retry_after_ms is not None:
        return f"wait {show(result.retry_after_ms)}, as the target asks, without counting the attempt"
    if result.final or not route.retry_ms:
        return "not retry: the delivery is dead"
    delay = route.retry_ms[0] if result.retry_after_ms is None else result.retry_after_ms
    return f"retry in {show(delay)}"
