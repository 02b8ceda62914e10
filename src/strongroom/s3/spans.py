"""Traces for OpenTelemetry: one span for each request, sent by OTLP over HTTP. Needs the extra `strongroom[otel]`.

On when OTEL_EXPORTER_OTLP_ENDPOINT (or …_TRACES_ENDPOINT) is set; the library reads its other variables itself. A
caller's `traceparent` becomes the parent. Nothing of it is loaded otherwise.
"""

import threading
import time
from typing import TYPE_CHECKING, Any

from strongroom import __version__
from strongroom.errors import BadSettings
from strongroom.messages import Request, Response
from strongroom.s3.handlers.call import Call

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter

CLOSE_SECONDS = 2.0
_INSTALL = "traces were asked for: pip install 'strongroom[otel]'"


class Spans:
    """Makes a span of each answered request. exporter: where they go, None for OTLP as the environment says."""

    def __init__(self, exporter: "SpanExporter | None" = None) -> None:
        """Load the library; raise BadSettings when it is not installed."""
        try:
            from opentelemetry.sdk.resources import Resource
            from opentelemetry.sdk.trace import TracerProvider
            from opentelemetry.sdk.trace.export import BatchSpanProcessor
            from opentelemetry.trace import SpanKind, Status, StatusCode
            from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

            if exporter is None:
                from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

                exporter = OTLPSpanExporter()
        except ImportError as error:
            raise BadSettings(_INSTALL) from error
        named = Resource({"service.name": "strongroom-s3", "service.version": __version__})
        self._provider: TracerProvider = TracerProvider(resource=named.merge(Resource.create()))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("strongroom.s3", __version__)
        self._kind, self._failed = SpanKind.SERVER, Status(StatusCode.ERROR)
        self._parent = TraceContextTextMapPropagator()

    def note(self, request: Request, request_id: str, call: Call | None, response: Response, seconds: float) -> None:
        """Make the span of a request that was answered just now; seconds is how long that took."""
        end = time.time_ns()
        name = f"s3.{call.operation}" if call is not None else "s3.Other"
        parent = self._parent.extract(request.headers) if "traceparent" in request.headers else None
        span = self._tracer.start_span(
            name,
            parent,
            self._kind,
            _attributes(request, request_id, call, response),
            start_time=end - int(seconds * 1e9),
        )
        if response.status >= 500:
            span.set_status(self._failed)
        span.end(end)

    def close(self) -> None:
        """Send what is waiting; a collector that does not answer is waited for CLOSE_SECONDS at most."""
        ending = threading.Thread(target=self._provider.shutdown, daemon=True)
        ending.start()
        ending.join(CLOSE_SECONDS)


def _attributes(request: Request, request_id: str, call: Call | None, response: Response) -> dict[str, Any]:
    """Return a span's attributes, by OpenTelemetry's names where it has one."""
    found: dict[str, Any] = {
        "http.request.method": request.method,
        "http.response.status_code": response.status,
        "client.address": request.peer.address,
        "aws.request_id": request_id,
    }
    if call is not None:
        found |= {"rpc.method": call.operation, "aws.s3.bucket": call.bucket, "aws.s3.key": call.key}
        if call.used is not None and call.used.kind is not None:
            found |= {"strongroom.encryption": str(call.used.kind.value), "strongroom.key": call.used.key_name}
    return {name: value for name, value in found.items() if value != ""}
