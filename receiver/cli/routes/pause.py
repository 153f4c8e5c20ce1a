"""`pause` and `resume`: hold the deliveries of a route, and resume them."""

from typing import Annotated

from cyclopts import Parameter

from receiver.cli.context import Context
from receiver.cli.ui import output
from receiver.core.errors import UsageError
from receiver.core.suggest import hint
from receiver.storage.queue.flow_control import Gates
from receiver.storage.shared.audit_log import AuditLog, operator

Json = Annotated[bool, Parameter(help="print one object")]
RouteName = Annotated[str, Parameter(name="ROUTE", help="its name in routes.yaml")]


def pause(route: RouteName, /, *, json: Json = False) -> None:
    """Hold the deliveries of a route: they are kept and counted, and wait until the route is resumed.

    Deliveries that are running finish. A pause survives restarts and edits of routes.yaml.
    """
    context = Context()
    context.route("pause", route)
    changed = Gates(context.writable).pause(route, operator())
    if changed:
        AuditLog(context.writable).record("pause", route=route)
    _say(json, route, "paused", changed=changed)


def resume(route: RouteName, /, *, json: Json = False) -> None:
    """Resume the deliveries of a paused route, in the order of their events."""
    context = Context()
    gates = Gates(context.writable)
    paused = gates.paused()
    if route not in paused:
        # A route that is paused and gone from routes.yaml can be resumed, so that file alone does not decide.
        known = {one.name for one in context.table.routes}
        if route not in known:
            raise UsageError(f"resume: no route {route[:60]!r} is paused{hint(route, paused)}")
    changed = gates.resume(route)
    if changed:
        AuditLog(context.writable).record("resume", route=route)
    _say(json, route, "resumed", changed=changed)


def _say(json: bool, route: str, done: str, *, changed: bool) -> None:
    if json:
        output.json_line({"route": route, "paused": done == "paused", "changed": changed})
    elif changed:
        output.say(f"{route} is {done}.")
    else:
        output.say(f"{route} was {'paused already' if done == 'paused' else 'not paused'}.")
