"""Routes that changed after a gap began: its events go by the routes of now, and the log says so."""

from collections.abc import Iterable

import redis
import structlog

from receiver.failures import route_versions
from receiver.reconcile.route_selection import RouteSelection
from receiver.storage.shared.gap_ledger import Gap


def tell(client: redis.Redis, selection: RouteSelection, gaps: Iterable[Gap]) -> None:
    """Log each route of *gaps* of which workers got another version since the gap began. Raises StorageUnavailable."""
    began: dict[str, int] = {}
    for gap in gaps:
        for route in filter(selection.takes, selection.table.candidates(*gap.pair)):
            began[route.name] = min(gap.from_ms, began.get(route.name, gap.from_ms))
    for name, from_ms in sorted(began.items()):
        found = [what for at_ms, what in route_versions.changes(client, name) if at_ms >= from_ms]
        if found:
            reason = f"{found[0]} after the gap began; what was missed goes to the route as it is now"
            structlog.get_logger().warning("route.changed", route=name, reason=reason)
