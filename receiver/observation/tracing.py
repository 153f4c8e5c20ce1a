"""Traces, through OpenTelemetry: one for each request, from the receiver through the queue to the handler and beyond.

No other module imports OpenTelemetry, which is an extra (`frontdesk[otel]`), imported only when FRONTDESK_TRACES_URL
says where spans go. A trace begins at the receiver: the trace context of a request is ignored, because Nexudus sends
none and no one else may decide what is recorded.

No span holds anything of a payload, nor the message of a handler's error, only its class.
"""

import contextlib
import re
import threading
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any, Final

from receiver import __version__
from receiver.core.errors import SettingsError
from receiver.core.settings import Settings

_END_WITHIN_S: Final = 2.0
_SEND_EVERY_MS: Final = 1_000
_TRACEPARENT: Final = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")

Facts = Mapping[str, str | int]


class Tracing:
    """Makes spans and sends them to a collector, in a thread of its own; what cannot be sent is dropped."""

    def __init__(self, url: str, *, service: str, share: float) -> None:
        """*url*: of an OTLP/HTTP collector. *share*: of all traces, 0 to 1. Raises SettingsError without the extra."""
        try:
            self._trace: Any = import_module("opentelemetry.trace")
            sdk: Any = import_module("opentelemetry.sdk.trace")
            export: Any = import_module("opentelemetry.sdk.trace.export")
            sampling: Any = import_module("opentelemetry.sdk.trace.sampling")
            resources: Any = import_module("opentelemetry.sdk.resources")
            otlp: Any = import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
        except ImportError:
            raise SettingsError(
                "FRONTDESK_TRACES_URL: traces need OpenTelemetry; install it: pip install 'frontdesk[otel]'"
            ) from None
        endpoint = url if url.endswith("/v1/traces") else f"{url}/v1/traces"
        resource = resources.Resource.create({"service.name": service, "service.version": __version__})
        self._provider = sdk.TracerProvider(
            resource=resource, sampler=sampling.ParentBased(sampling.TraceIdRatioBased(share)), shutdown_on_exit=False
        )
        self._provider.add_span_processor(
            export.BatchSpanProcessor(otlp.OTLPSpanExporter(endpoint=endpoint), schedule_delay_millis=_SEND_EVERY_MS)
        )
        self._tracer = self._provider.get_tracer("frontdesk", __version__)

    def begin(self, name: str, facts: Facts) -> "Span":
        """Begin a trace with the span of a request."""
        context: Any = import_module("opentelemetry.context").Context()
        return Span(
            self._trace,
            self._tracer.start_span(name, context, kind=self._trace.SpanKind.SERVER, attributes=facts),
        )

    @contextlib.contextmanager
    def attempt(self, name: str, parent: str, facts: Facts) -> Iterator["Span"]:
        """Be in the span of an attempt, a child of *parent* (a traceparent; any other text: of nobody).

        It is OpenTelemetry's current span meanwhile, so that what a handler traces by itself belongs to it.
        """
        with self._tracer.start_as_current_span(
            name,
            self._context(parent),
            kind=self._trace.SpanKind.CONSUMER,
            attributes=facts,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            yield Span(self._trace, span)

    def close(self) -> None:
        """Send what waits, for two seconds at most."""
        ending = threading.Thread(target=self._provider.shutdown, name="traces", daemon=True)
        ending.start()
        ending.join(_END_WITHIN_S)

    def _context(self, parent: str) -> Any:
        context: Any = import_module("opentelemetry.context").Context()
        found = _TRACEPARENT.fullmatch(parent)
        if found is None or not int(found[1], 16) or not int(found[2], 16):
            return context
        flags = self._trace.TraceFlags(int(found[3], 16) & 1)
        known = self._trace.SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=flags)
        return self._trace.set_span_in_context(self._trace.NonRecordingSpan(known), context)


class Span:
    """A span that has begun."""

    def __init__(self, trace: Any, span: Any) -> None:
        self._trace = trace
        self._span = span

    @property
    def traceparent(self) -> str:
        """What a child is told, in the W3C's form."""
        context = self._span.get_span_context()
        return f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"

    def tell(self, facts: Facts, *, failed: str | None = None) -> None:
        """Add facts; *failed* marks an error, by a word that quotes nobody."""
        self._span.set_attributes(facts)
        if failed is not None:
            self._span.set_status(self._trace.Status(self._trace.StatusCode.ERROR, failed))

    def end(self) -> None:
        """End it."""
        self._span.end()


def opened(read: Settings, service: str) -> Tracing | None:
    """Return what the settings ask for; None: no traces. Raises SettingsError when OpenTelemetry is not installed."""
    if read.traces_url is None:
        return None
    return Tracing(read.traces_url, service=service, share=read.traces_sample)
