"""Tries a route before it is saved: whether it matches an event, what is enriched, and what would be sent.

The trial runs in a process of its own, with the handlers and secrets that this process has.
"""

import re
from typing import Any, Final

import orjson

from receiver.console.framework.page import Done, Facts, Operation, Page, PageRequest, Shown
from receiver.core.errors import RequestRefused
from receiver.nexudus import samples
from receiver.routing.route import Route
from receiver.routing.table import RoutingTable

LONGEST: Final = 65_536
_MOST_NAMES: Final = 500
_EXAMPLE: Final = """\
name: tell-the-team
action: BookingCreate
where: data.Online == true
handler: notify
with:
  to: env/TEAMS_URL
  message: "{{ data.ResourceName }} is booked by {{ data.CoworkerFullName }}."
"""
_SECRET: Final = re.compile(
    r"""(?P<name>\b[\w-]*(?:secret|password|token|bearer|key|authorization)["']?\s*:\s+)(?!env/|file/)[^\s,}][^,}\n]*""",
    re.IGNORECASE,
)


def facts(request: PageRequest) -> Facts:
    """The form. Query: `route` to begin with one of the table, `event` or `action` to try it with."""
    table = request.services.routes.table
    begun = table.route(request.asked("route") or "") if table else None
    text = source_of(table, begun) if table and begun and request.session.identity.may_act else _EXAMPLE
    return _facts(request, text, None)


def _facts(request: PageRequest, text: str, found: dict[str, Any] | None) -> Facts:
    table = request.services.routes.table
    return {
        "text": text,
        "yaml": as_item(text),
        "event": request.asked("event") or "",
        "action": request.asked("action") or samples.names()[0],
        "actions": list(samples.names()),
        "routes": [route.name for route in table.routes][:_MOST_NAMES] if table else [],
        "found": found,
    }


def more(request: PageRequest, values: Facts) -> dict[str, Any]:
    """What is shown of the outcome, as text."""
    found = values["found"] or {}
    shown = {**(found.get("enriched") or {}), **(found.get("would_send") or {})}
    return {"parts": [(name, _text(one)) for name, one in shown.items()]}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()


def source_of(table: RoutingTable, route: Route) -> str:
    """Return a route as it stands in routes.yaml, without the literal values of options that name a secret."""
    lines = table.text.splitlines()
    begins = sorted(one.line for one in table.routes if one.line > route.line)
    own = lines[route.line - 1 : begins[0] - 1 if begins else len(lines)]
    first = re.match(r"(\s*)-(\s+)", own[0]) if own else None
    if first is None or first.end() >= len(own[0]):
        return f"name: {route.name}\n# the route does not stand in lines of its own; write it here\n"
    indent = first.end()
    text = [own[0][indent:]]
    for line in own[1:]:
        if line.strip() and not line.startswith(" " * indent):
            break
        text.append(line[indent:])
    return _SECRET.sub(r"\g<name>env/NAME", "\n".join(text).rstrip() + "\n")


def as_item(text: str) -> str:
    """Return a route that is written alone as an item of the list in routes.yaml."""
    lines = text.strip("\n").splitlines()
    if not lines or lines[0].startswith(("- ", "routes:")):
        return text
    return "".join(f"  {'- ' if at == 0 else '  '}{line}".rstrip() + "\n" for at, line in enumerate(lines))


def attempt(request: PageRequest) -> Done | Shown:
    """Show what would become of an event; nothing is sent. Form: yaml, and event or action."""
    return _shown(request, sends=False)


def send(request: PageRequest) -> Done | Shown:
    """Run the handler once, on the real target. Form: as for a trial."""
    return _shown(request, sends=True)


def _shown(request: PageRequest, *, sends: bool) -> Shown:
    text = request.form.get("yaml", "").replace("\r\n", "\n")
    if len(text) > LONGEST:
        raise RequestRefused(413, f"the route is longer than {LONGEST} characters")
    event = request.asked("event")
    asked = {"yaml": text, "event": event or "", "action": request.asked("action") or "", "send": sends}
    if sends:
        request.record("try", event_id=event, action=None if event else asked["action"], handler=_handler(text))
    elif event:
        request.record("unmask", event_id=event)  # what is rendered holds texts of its record
    return Shown(PAGE, _facts(request, text, request.services.try_route(asked)))


def _handler(text: str) -> str | None:
    found = re.search(r"^[\s-]*handler:\s*([\w.:-]{1,120})", text, re.MULTILINE)
    return found[1] if found else None


PAGE: Final = Page("/playground", "Playground", "playground.html", facts, more)
OPERATIONS: Final = (Operation("/playground", attempt), Operation("/playground/send", send))
