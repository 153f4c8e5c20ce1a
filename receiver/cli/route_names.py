"""A route that a command names: it is in routes.yaml, or what may be meant is said."""

import difflib
from collections.abc import Collection

from receiver.errors import UsageError
from receiver.routing.table import RoutingTable


def check(command: str, route: str, table: RoutingTable) -> None:
    """Raise UsageError unless *table* has this route."""
    known = [one.name for one in table.routes]
    if route not in known:
        raise UsageError(f"{command}: {table.file} has no route {route[:60]!r}{hint(route, known)}")


def hint(route: str, names: Collection[str]) -> str:
    """Return which of *names* may be meant, as the end of a sentence; empty when none is near."""
    near = difflib.get_close_matches(route, names, n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
