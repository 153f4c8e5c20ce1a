"""Tracing of requests: each request gets a span, whose context is stored with its events."""

from collections.abc import Callable

from receiver.core.errors import RequestRefused
from receiver.ingest.ingest import IngestResult
from receiver.ingest.request_evaluation import Request
from receiver.observation.tracing import Tracing
from receiver.web.hook_endpoint import Accepting


class TracedIngest:
    """Accepts requests as *ingest* does, each inside a span."""

    def __init__(self, ingest: Accepting, tracing: Tracing) -> None:
        self._ingest = ingest
        self._tracing = tracing

    def accept(self, request: Request, done: Callable[[IngestResult], None]) -> None:
        """Do what `Ingest.accept` does, inside a span."""
        facts: dict[str, str | int] = {
            "http.request.method": "POST",
            "http.route": "/hooks/{business_id}/{action}/{token}",
            "frontdesk.action": request.action,
            "frontdesk.business_id": request.business_id,
            "http.request.body.size": len(request.body),
        }
        span = self._tracing.begin(f"receive {request.action}", facts)

        def told(accepted: IngestResult) -> None:
            if isinstance(accepted, list):
                events: dict[str, str | int] = {
                    "http.response.status_code": 202,
                    "frontdesk.event_id": ",".join(receipt.id for receipt in accepted),
                    "frontdesk.status": ",".join(sorted({receipt.status for receipt in accepted})),
                }
                span.tell(events)
            else:
                status = accepted.status if isinstance(accepted, RequestRefused) else 503
                span.tell({"http.response.status_code": status}, failed=type(accepted).__name__)
            span.end()
            done(accepted)

        self._ingest.accept(request._replace(trace=span.traceparent), told)
