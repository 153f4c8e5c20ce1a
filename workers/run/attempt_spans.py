"""Tracing: the handler of each loaded delivery is called inside a span."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from receiver.core.events import Event, Outcome
from receiver.observation.tracing import Span, Tracing
from receiver.routing.table import RoutingTable
from receiver.storage.queue.queue import Claim
from workers import api
from workers.api import Discard
from workers.plugins.injection import CheckedTransport
from workers.run.delivery_loader import DeliveryLoader, LoadedDelivery


class TracedDeliveryLoader(DeliveryLoader):
    """Loads deliveries so that running one makes a span, a child of the span of its event's request."""

    def __init__(
        self,
        table: Callable[[], RoutingTable | None],
        environ: Mapping[str, str],
        folder: Path,
        transport: CheckedTransport | None,
        tracing: Tracing,
    ) -> None:
        super().__init__(table, environ, folder, transport)
        self._tracing = tracing

    def load(self, claim: Claim, now_ms: int | None = None) -> LoadedDelivery:
        """Return the delivery ready to run."""
        loaded = super().load(claim, now_ms)
        call = self._traced_async(loaded) if loaded.handler.is_async else self._traced(loaded)
        return loaded._replace(handler=replace(loaded.handler, call=call))

    def _traced(self, loaded: LoadedDelivery) -> Callable[[Event], Any]:
        handler = loaded.handler

        def call(event: Event) -> Any:
            with self._tracing.attempt(*_attributes(loaded)) as span, api.in_trace(span.traceparent):
                try:
                    returned = handler.call(event)
                except BaseException as error:
                    _set_outcome(span, error)
                    raise
                _set_outcome(span, None)
                return returned

        return call

    def _traced_async(self, loaded: LoadedDelivery) -> Callable[[Event], Any]:
        handler = loaded.handler

        async def call(event: Event) -> Any:
            with self._tracing.attempt(*_attributes(loaded)) as span, api.in_trace(span.traceparent):
                try:
                    returned = await handler.call(event)
                except BaseException as error:
                    _set_outcome(span, error)
                    raise
                _set_outcome(span, None)
                return returned

        return call


def _attributes(loaded: LoadedDelivery) -> tuple[str, str, dict[str, str | int]]:
    claim, event = loaded.claim, loaded.event
    facts: dict[str, str | int] = {
        "frontdesk.event_id": event.id,
        "frontdesk.delivery_id": claim.delivery_id,
        "frontdesk.route": claim.route,
        "frontdesk.action": event.action,
        "frontdesk.business_id": event.business_id,
        "frontdesk.attempt": event.attempt,
        "frontdesk.handler": loaded.handler.name,
        "messaging.destination.name": claim.queue,
    }
    return f"deliver {claim.route}", claim.envelope.trace if claim.envelope else "", facts


def _set_outcome(span: Span, error: BaseException | None) -> None:
    """Set the outcome of the span. An error shows only its class, as in the log."""
    if error is None or isinstance(error, Discard):
        outcome = Outcome.DISCARDED if error else Outcome.SUCCEEDED
        span.tell({"frontdesk.outcome": str(outcome)})
    else:
        name = type(error).__name__
        span.tell({"frontdesk.outcome": str(Outcome.FAILED), "error.type": name}, failed=name)
