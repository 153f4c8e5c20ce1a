"""Which routes get what back-fill finds. Pure."""

from dataclasses import dataclass
from typing import Any

from receiver.routing.route import Route
from receiver.routing.table import Matched, RoutingTable


@dataclass(frozen=True, slots=True)
class RouteSelection:
    """Which routes get what is found. *is_asked*: a person asks for it; *routes*: only these, empty: all."""

    table: RoutingTable
    is_asked: bool = False
    routes: frozenset[str] = frozenset()

    def takes(self, route: Route) -> bool:
        """Whether a route gets events of this back-fill."""
        if self.routes and route.name not in self.routes:
            return False
        return route.backfill == "auto" or (route.backfill == "confirm" and self.is_asked)

    def serves(self, business_id: int, action: str) -> bool:
        """Whether any route might get events of a hook."""
        return any(self.takes(route) for route in self.table.candidates(business_id, action))

    def waits(self, business_id: int, action: str) -> bool:
        """Whether a route waits for a person to ask."""
        routes = self.table.candidates(business_id, action)
        return not self.is_asked and any(route.backfill == "confirm" for route in routes)


@dataclass(slots=True)
class TableFor:
    """The table as ingest sees it: without the routes that get nothing of this."""

    selection: RouteSelection
    is_narrowed: bool = False

    @property
    def hash(self) -> str:
        return self.selection.table.hash

    def match_any(self, business_id: int, action: str) -> Matched | None:
        return None

    def match(self, business_id: int, action: str, record: dict[str, Any]) -> Matched:
        matched = self.selection.table.match(business_id, action, record)
        taken = matched.narrowed(self.selection.takes)
        self.is_narrowed = len(taken.routes) + len(taken.shadow) < len(matched.routes) + len(matched.shadow)
        return taken


def lacking(selection: RouteSelection) -> list[str]:
    """Return the routes that kept events may lack: those that a person names, and those that waited for one."""
    if not selection.is_asked:
        return []
    routes = selection.table.routes
    return [
        route.name
        for route in routes
        if route.enabled and (route.name in selection.routes or (not selection.routes and route.backfill == "confirm"))
    ]
