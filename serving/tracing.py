"""A span around every request, for OpenTelemetry; off unless the settings say otherwise.

A span has the route's template, the method, the status and the request id,
and continues a caller's trace (`traceparent`); it holds no value of a call.
Where spans go is what OpenTelemetry's own variables say, such as
OTEL_EXPORTER_OTLP_ENDPOINT.
"""

from typing import TYPE_CHECKING

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from recommender.errors import UsageError
from serving.watch import route_of

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider


def provider() -> "TracerProvider":
    """What sends spans away, in the background. UsageError where the packages for it are not installed."""
    try:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ImportError as error:
        raise UsageError("serving.tracing wants OpenTelemetry: pip install 'murmeli[otel]'.") from error
    made = TracerProvider(resource=Resource.create({"service.name": "murmeli"}))
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return made


class Traced:
    """The outermost layer, where requests are traced."""

    def __init__(self, app: ASGIApp, provider: "TracerProvider") -> None:
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        self._app, self._tracer = app, provider.get_tracer("murmeli")
        self._propagator = TraceContextTextMapPropagator()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        told = {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name == b"traceparent"}
        span = self._tracer.start_span("request", context=self._propagator.extract(told))

        async def send_and_note(message: Message) -> None:
            if message["type"] == "http.response.start":
                span.set_attribute("http.response.status_code", message["status"])
                span.set_attribute("murmeli.request_id", dict(message["headers"]).get(b"x-request-id", b"").decode())
            await send(message)

        try:
            await self._app(scope, receive, send_and_note)
        finally:
            span.update_name(f"{scope['method']} {route_of(scope)}")
            span.set_attribute("http.route", route_of(scope))
            span.end()
