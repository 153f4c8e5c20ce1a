"""Loads what a claimed delivery needs to run: the current version of its route, the handler, and the event."""

import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from receiver.core.errors import HandlerError
from receiver.core.events import Business, Event
from receiver.process import logs
from receiver.routing.flow_rules import Flow
from receiver.routing.route import Route
from receiver.routing.table import RoutingTable
from receiver.storage.queue.queue import Claim
from receiver.storage.queue.route_limits import NOTHING_KNOWN, RouteRule, Runnable
from workers.plugins import loader, route_handler
from workers.plugins.injection import CheckedTransport
from workers.run import timeliness
from workers.run.execution import AttemptResult
from workers.run.timeliness import Unrunnable

_MOST_HANDLERS = 4_096
_MOST_TOLD = 1_000
_TRY_AGAIN_S = 10.0

_log = logs.get()


class NotReady(Unrunnable):
    """This worker does not know the route or cannot load its handler yet. Another worker, or a later table, may."""


class Undeliverable(Unrunnable):
    """The event cannot be passed to any handler."""


class LoadedDelivery(NamedTuple):
    """A claimed delivery that is ready to run."""

    claim: Claim
    route: Route
    handler: loader.Handler
    event: Event

    @property
    def timeout_s(self) -> float:
        """Seconds that the attempt may take."""
        return self.route.timeout_ms / 1_000


Settle = Callable[[LoadedDelivery, AttemptResult, int, int], None]
"""Called once for each attempt: the delivery, the result, Unix ms at the start and at the end."""


_IN_SHADOW = timeliness.discarding(
    "shadow", "its route is a shadow route now, where no handler runs; replay it when the route is not"
)
"""Runs for a delivery that was created before its route became a shadow route."""


def _rule(name: str, flow: Flow) -> RouteRule:
    limit = flow.limit
    return RouteRule(
        name, limit.count if limit else 0, limit.period_ms if limit else 0, flow.concurrency, flow.give_up_ms
    )


class DeliveryLoader:
    """Loads deliveries by the current routing table. A handler is loaded once for each set of options."""

    def __init__(
        self,
        table: Callable[[], RoutingTable | None],
        environ: Mapping[str, str],
        folder: Path,
        transport: CheckedTransport | None = None,
    ) -> None:
        """*transport* calls Nexudus, for handlers that ask for it."""
        self._table = table
        self._environ = environ
        self._folder = folder
        self._transport = transport
        self._handlers: dict[tuple[object, ...], loader.Handler] = {}
        self._seen: RoutingTable | None = None
        self._ready: dict[str, tuple[Route, loader.Handler]] = {}
        self._rules: tuple[RouteRule, ...] = ()
        self._runs: dict[str, bool] = {}
        self._runnable = NOTHING_KNOWN
        self._try_again_at = 0.0

    def load(self, claim: Claim, now_ms: int | None = None) -> LoadedDelivery:
        """Return the delivery ready to run. Raises NotReady or Undeliverable, and logs them; or Early.

        *now_ms*: Unix ms by the store's clock; None: by this machine's.
        """
        try:
            return self._loaded(claim, int(time.time() * 1_000) if now_ms is None else now_ms)
        except NotReady as reason:
            _log.warning("delivery.not_ready", delivery_id=claim.delivery_id, route=claim.route, reason=str(reason))
            raise
        except Undeliverable as reason:
            _log.error("delivery.impossible", delivery_id=claim.delivery_id, route=claim.route, reason=str(reason))
            raise

    def _loaded(self, claim: Claim, now_ms: int) -> LoadedDelivery:
        self._follow_table()
        found = self._ready.get(claim.route)
        if found is None:
            try:
                found = self._find(claim.route)
            except NotReady:
                self._note({claim.route: False})
                raise
        route, handler = found
        event = self._event(claim)
        return LoadedDelivery(claim, route, timeliness.untimely(route, event, now_ms) or handler, event)

    def rules(self) -> tuple[RouteRule, ...]:
        """Return the limits of the routes of the current table, for the next claim."""
        self._follow_table()
        return self._rules

    def runnable(self, asked: Iterable[str] = ()) -> Runnable:
        """Return which routes cannot be run here, and which can of those *asked* about since the table changed.

        A handler that could not be loaded is tried again every few seconds: its module may be there by then.
        """
        self._follow_table()
        if False in self._runs.values() and time.monotonic() >= self._try_again_at:
            asked = {*asked, *self._runnable.cannot}
            self._try_again_at = time.monotonic() + _TRY_AGAIN_S
        if asked:
            self._note({name: self._can_run(name) for name in asked})
        return self._runnable

    def _can_run(self, name: str) -> bool:
        try:
            return bool(self._ready.get(name) or self._find(name))
        except NotReady:
            return False

    def _note(self, runs: Mapping[str, bool]) -> None:
        """Remember whether routes can be run. The oldest entries are forgotten when there are too many."""
        self._runs = dict([*self._runs.items(), *runs.items()][-_MOST_TOLD:])
        cannot = tuple(name for name, can in self._runs.items() if not can)
        self._runnable = Runnable(cannot, tuple(name for name, can in self._runs.items() if can))

    def _follow_table(self) -> None:
        """Forget everything about the routes when the table has changed."""
        table = self._table()
        if table is not self._seen:
            self._seen = table
            self._ready = {}
            self._runs, self._runnable = {}, NOTHING_KNOWN
            routes = table.routes if table else ()
            self._rules = tuple(
                _rule(route.name, route.flow) for route in routes if route.flow and route.flow.has_rules
            )

    def _find(self, name: str) -> tuple[Route, loader.Handler]:
        route = self._seen.route(name) if self._seen else None
        if route is None:
            raise NotReady(f"unknown route: routes.yaml of this worker has no route {name!r}")
        found = self._ready[name] = (route, _IN_SHADOW if route.shadow else self._handler(route))
        return found

    def _handler(self, route: Route) -> loader.Handler:
        key = (
            *(route.handler, repr(sorted(route.options.items())), route.writes, route.timeout_ms, route.enrich),
            *([one.number.source for one in route.enrich] + [route.where_at_work and route.where_at_work.source]),
        )
        handler = self._handlers.get(key)
        if handler is None:
            try:
                handler = route_handler.load(
                    route, environ=self._environ, folder=self._folder, transport=self._transport
                )
            except HandlerError as error:
                raise NotReady(f"unknown handler: {error}") from error
            if len(self._handlers) >= _MOST_HANDLERS:
                self._handlers.clear()
            self._handlers[key] = handler
        return handler

    def _event(self, claim: Claim) -> Event:
        envelope = claim.envelope
        if envelope is None:
            raise Undeliverable("its record can no longer be read from the store")
        try:
            data = envelope.record()
        except ValueError as error:
            raise Undeliverable(f"its record is not JSON: {error}") from error
        return Event(
            id=envelope.id,
            key=f"{envelope.id}-{claim.route}",
            action=envelope.action,
            action_code=envelope.action_code,
            business_id=envelope.business_id,
            received_at=envelope.received_at,
            origin=claim.origin or envelope.origin,
            attempt=claim.attempts + 1,
            superseded=claim.superseded,
            data=data,
            business=self._seen.business(envelope.business_id) if self._seen else Business(),
        )
