"""A real OTLP/HTTP collector that keeps the spans it receives."""

import gzip
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.support.http_server import LocalServer, SilentHandler


@dataclass(frozen=True, slots=True)
class Received:
    """One span."""

    name: str
    service: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: int
    failed: str
    attributes: dict[str, Any]


class Collector(LocalServer):
    """Listens at *url*."""

    def __init__(self) -> None:
        self.spans: list[Received] = []
        self.paths: set[str] = set()
        self.raw = b""
        super().__init__(_Export)

    @property
    def url(self) -> str:
        """As FRONTDESK_TRACES_URL has it."""
        return f"http://127.0.0.1:{self.server_address[1]}"

    def named(self, name: str) -> list[Received]:
        """Return the spans of that name."""
        return [span for span in self.spans if span.name == name]


class _Export(SilentHandler):
    server: Collector

    def do_POST(self) -> None:  # noqa: N802 - its name
        """Keep the spans and answer."""
        body = self.body()
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.paths.add(self.path)
        self.server.raw += body
        request = ExportTraceServiceRequest.FromString(body)
        for resource in request.resource_spans:
            service = _values(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.server.spans += [_received(span, service) for span in scope.spans]
        self.answer(200)


def _received(span: Any, service: str) -> Received:
    return Received(
        span.name,
        service,
        span.trace_id.hex(),
        span.span_id.hex(),
        span.parent_span_id.hex(),
        span.kind,
        span.status.message if span.status.code == 2 else "",
        _values(span.attributes),
    )


def _values(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, str(one.value.WhichOneof("value"))) for one in attributes}
