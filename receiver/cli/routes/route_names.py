"""A route that a command names: it is in routes.yaml, or what may be meant is said."""

from receiver.core.errors import UsageError
from receiver.core.suggest import hint
from receiver.routing.table import RoutingTable


def check(command: str, route: str, table: RoutingTable) -> None:
    """Raise UsageError unless *table* has this route."""
    known = [one.name for one in table.routes]
    if route not in known:
        raise UsageError(f"{command}: {table.file} has no route {route[:60]!r}{hint(route, known)}")
