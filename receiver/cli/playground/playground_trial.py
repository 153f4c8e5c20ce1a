"""One trial of the playground, in a process of its own: what to try comes on standard input, the outcome goes out.

Both are JSON. Whatever a plugin does when it is imported, and however long a template takes, it ends with this process,
which limits its own time and memory.
"""

import contextlib
import os
import sys
import time
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from receiver.cli.context import Context
from receiver.cli.playground import playground_rules
from receiver.cli.routes import dry_run_report, trial_events, try_handler
from receiver.core.errors import FrontdeskError, HandlerError, RoutesError, UsageError
from receiver.core.events import Business, Event
from receiver.nexudus import samples
from receiver.routing.route import Route
from receiver.routing.table import RoutingTable
from receiver.storage.queue.checkpoints import Steps
from workers.once import remember_in
from workers.plugins.loader import Handler
from workers.run import execution

LARGEST: Final = 1_048_576
"""Bytes of what comes in, and of what goes out."""

_CPU_S: Final = 15
_MEMORY: Final = 2 * 1024**3
_LONGEST_SEND_S: Final = 20.0


def main() -> None:
    """Try what standard input describes, and print what came of it."""
    _limit()
    asked = orjson.loads(sys.stdin.buffer.read(LARGEST))
    with contextlib.redirect_stdout(sys.stderr):  # what a plugin prints is no answer of ours
        answer = orjson.dumps(_answer(asked), default=str)
    if len(answer) > LARGEST:
        answer = orjson.dumps({"problems": [{"line": 0, "message": f"the outcome is larger than {LARGEST} bytes"}]})
    sys.stdout.buffer.write(answer)
    sys.stdout.buffer.flush()
    os._exit(0)  # a handler that does not come back keeps its thread


def _limit() -> None:
    with contextlib.suppress(ImportError, OSError, ValueError):
        import resource

        resource.setrlimit(resource.RLIMIT_CPU, (_CPU_S, _CPU_S))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


def _answer(asked: dict[str, Any]) -> dict[str, Any]:
    try:
        return tried(asked)
    except RoutesError as error:
        return {"problems": [{"line": one.line, "message": one.message} for one in error.problems]}
    except FrontdeskError as error:
        return {"problems": [{"line": 0, "message": str(error)}]}


def tried(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what would become of an event on a route that is written in `yaml`, and with `send` what became of it.

    The event is the kept one of `event`, else a sample of `action`. Raises RoutesError, UsageError and what the store
    raises.
    """
    context = Context()
    saved = _saved(context)
    table, route = playground_rules.read_route(asked["yaml"])
    playground_rules.refuse_forbidden(route, saved, sends=asked["send"])
    event = _event(context, route, table, saved, asked)
    found: dict[str, Any] = {"problems": [], "sent": None}
    name = context.names.get(event.business_id)
    why_not = try_handler.why_not_matched(table, route, event)
    try:
        handler = try_handler.load_handler(route, context)
    except HandlerError as error:
        found |= {"route": route.name, "handler": route.handler, "event_id": event.id, "action": event.action}
        found |= {"business_id": event.business_id, "business": name, "enriched": {}, "would_send": None}
        return found | {"why_not": why_not, "error": str(error)}
    if asked["send"]:
        if asked["event"]:
            remember_in(Steps(context.client))  # what was done for a kept event is done
        found["sent"] = _sent(route, handler, event)
    return found | dry_run_report.told(route, event, handler, why_not, name=name)


def _saved(context: Context) -> RoutingTable | None:
    try:
        return context.table
    except RoutesError:
        return None


def _event(
    context: Context, route: Route, table: RoutingTable, saved: RoutingTable | None, asked: dict[str, Any]
) -> Event:
    if asked["event"]:
        event = trial_events.stored_event(context, route, asked["event"])
    elif asked["action"] in samples.names():
        now = datetime.now(UTC)
        record = samples.record(asked["action"], now=now, number=int(now.timestamp()))
        event = trial_events.new_event(route, asked["action"], trial_events.first_business(table, route), record)
    else:
        raise UsageError("choose a sample, or the id of a kept event")
    known = table.locations.get(event.business_id) or (saved.business(event.business_id) if saved else Business())
    return trial_events.at_business(event, known)


def _sent(route: Route, handler: Handler, event: Event) -> dict[str, Any]:
    started = time.monotonic()
    result = execution.run_alone(handler, event, min(route.timeout_ms / 1_000, _LONGEST_SEND_S))
    took_ms = round((time.monotonic() - started) * 1_000)
    return {"outcome": str(result.outcome), "error": result.error, "duration_ms": took_ms}


if __name__ == "__main__":
    main()
