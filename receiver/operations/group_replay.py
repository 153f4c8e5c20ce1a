"""Replays a group of failures: of each of its events only the dead deliveries of the route that failed."""

from collections.abc import Callable, Iterable
from typing import Final

from receiver.core.errors import EventUnknown
from receiver.failures.failure_groups import Failure
from receiver.operations.replay import Replay, Replayed
from receiver.routing.route import Route
from receiver.storage.query.stored_event import StoredEvent

MOST: Final = 100_000
"""Events of one replay; what is left takes another."""


class GroupReplay:
    """Replays events for the routes on which they failed. What is tried again by itself is left alone."""

    def __init__(self, failures: Iterable[Failure], make: Callable[[str], Replay]) -> None:
        """*make* returns what replays the dead deliveries of a route."""
        self._make = make
        self._tools: dict[str, Replay] = {}
        self._routes: dict[str, list[str]] = {}
        for one in failures:
            if one.is_dead and (one.event_id in self._routes or len(self._routes) < MOST):
                self._routes.setdefault(one.event_id, []).append(one.route)

    @property
    def event_ids(self) -> list[str]:
        """The events, the oldest first."""
        return sorted(self._routes)

    def routes(self, stored: StoredEvent) -> tuple[Route, ...]:
        """The routes that would get a delivery of this event, as far as can be known before it is tried."""
        return tuple(route for tool in self._of(stored) for route in tool.routes(stored))

    def run(self, stored: StoredEvent) -> Replayed:
        """Make the deliveries. Raises StorageUnavailable; an event whose time is over comes to nothing."""
        event_id = stored.envelope.id
        made: list[str] = []
        reason: str | None = None
        for tool in self._of(stored):
            try:
                done = tool.run(stored)
            except EventUnknown as error:
                return Replayed(event_id, tuple(made), str(error))
            made += done.deliveries
            reason = reason or done.reason
        return Replayed(event_id, tuple(made), reason)

    def _of(self, stored: StoredEvent) -> Iterable[Replay]:
        for route in dict.fromkeys(self._routes.get(stored.envelope.id, ())):
            tool = self._tools.get(route)
            if tool is None:
                tool = self._tools[route] = self._make(route)
            yield tool
