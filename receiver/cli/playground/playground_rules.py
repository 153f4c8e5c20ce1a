"""What a route of the playground may say. Whoever signs in to the console can write any, and could not before.

The saved routes.yaml stays what decides over files, modules and inner addresses: a route of the playground may use them
as a saved route does. The settings of Frontdesk itself cannot be named at all.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from receiver.core.errors import FileProblem, RoutesError, UsageError
from receiver.core.settings import PREFIX
from receiver.nexudus.actions import CODES
from receiver.routing import file
from receiver.routing.route import Route
from receiver.routing.table import RoutingTable

FILE: Final = "the route"
LONGEST: Final = 65_536
"""Characters of a route."""

_GUARDED: Final = frozenset({"allow_private", "path", "proxy"})
"""Options that lead to places which the console's machine can reach, and its reader cannot."""

_REFERENCE: Final = re.compile(r"(env|file)/")


def read_route(text: str) -> tuple[RoutingTable, Route]:
    """Return the one route that *text* describes, alone or as a list or file of one. Raises RoutesError, UsageError."""
    if len(text) > LONGEST:
        raise UsageError(f"the route is longer than {LONGEST} characters")
    document, shift = _document(text)
    try:
        table = file.parse(document, file=FILE, known_actions=CODES)
    except RoutesError as error:
        moved = (FileProblem(one.file, max(one.line - shift, 0), one.message) for one in error.problems)
        raise RoutesError(tuple(moved)) from None
    if len(table.routes) != 1:
        raise UsageError(f"there are {len(table.routes)} routes; the playground takes one")
    return table, table.routes[0]


def _document(text: str) -> tuple[str, int]:
    """Return *text* as a routing file, and how many lines now stand before it."""
    first = next((line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")), "")
    if first.lstrip().startswith("- "):
        return f"routes:\n{text}", 1
    if re.match(r"(routes|defaults|locations|businesses|queues|reconcile)\s*:", first):
        return text, 0
    return "routes:\n-\n" + "".join(f"  {line}" for line in text.splitlines(keepends=True)), 2


def refuse_forbidden(route: Route, saved: RoutingTable | None, *, sends: bool) -> None:
    """Raise UsageError for what a route of the playground may not say; *sends*: it is to reach its target."""
    routes = saved.routes if saved else ()
    if ":" in route.handler and route.handler not in {one.handler for one in routes}:
        raise UsageError(f"handler: {route.handler!r} is in no saved route; the playground runs no other module")
    known = {reference for one in routes for reference in _references(one.options)}
    for reference in _references(route.options):
        if reference.startswith(f"env/{PREFIX}"):
            raise UsageError(f"{reference}: the playground cannot use settings of Frontdesk")
        if reference.startswith("file/") and reference not in known:
            raise UsageError(f"{reference}: no saved route uses this file, so the playground cannot")
    if sends:
        _refuse_other_places(route, [one for one in routes if one.handler == route.handler])


def _refuse_other_places(route: Route, alike: list[Route]) -> None:
    guarded = _GUARDED | ({"url"} if route.handler == "sql" else set())
    for name in guarded & route.options.keys():
        if not any(one.options.get(name) == route.options[name] for one in alike):
            raise UsageError(
                f"{name}: no saved route with the handler {route.handler} has this value, so nothing is sent from "
                "here; save the route, and use frontdesk try"
            )


def _references(value: Any) -> Iterator[str]:
    if isinstance(value, str) and _REFERENCE.match(value):
        yield value
    elif isinstance(value, dict | list):
        for one in value.values() if isinstance(value, dict) else value:
            yield from _references(one)
