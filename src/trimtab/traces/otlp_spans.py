"""Call records on their way to an OTLP/HTTP collector. Imports OpenTelemetry's SDK: only `spans` imports it.

The watcher hands over the record as it is; it becomes a span in the SDK's own thread, off the event loop.
"""

from collections.abc import Mapping, Sequence
from threading import Timer

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

from trimtab.core import CallRecord
from trimtab.traces import genai

_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_SOME_CONTEXT = SpanContext(1, 1, is_remote=False, trace_flags=_SAMPLED)
_NOWHERE = Resource({})
_SCOPE = InstrumentationScope("trimtab")
_QUEUE, _BATCH = 8192, 512
_DELAY_MILLISECONDS = 1000
_TIMEOUT_SECONDS = 5
_PATIENCE_SECONDS = 3.0


class Pending(ReadableSpan):
    """A record that waits to become a span."""

    def __init__(self, record: CallRecord) -> None:
        # Without a resource the SDK would look for one, with threads, for every span.
        super().__init__("", _SOME_CONTEXT, resource=_NOWHERE)
        self.record = record


class CallExporter(SpanExporter):
    """Makes spans of records and hands them on."""

    def __init__(
        self, inner: SpanExporter, service: str, providers: Mapping[str, str], with_content: bool
    ) -> None:
        self._inner, self._providers, self._with_content = inner, providers, with_content
        self._resource = Resource.create({"service.name": service})
        self._given_up = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Export a batch."""
        if self._given_up:
            return SpanExportResult.FAILURE
        return self._inner.export([self._span(span.record) for span in spans if isinstance(span, Pending)])

    def shutdown(self) -> None:
        """Close; what is not exported by now is lost."""
        self._given_up = True
        self._inner.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return self._inner.force_flush(timeout_millis)

    def _span(self, record: CallRecord) -> ReadableSpan:
        who, began = record.call.who, record.call.at
        attributes = genai.call_attributes(record, self._providers)
        if self._with_content:
            attributes |= genai.content_attributes(record)
        trace = genai.trace_id(who.tenant, who.run)
        served = who.parent_call
        failed = record.status != "ok"
        return ReadableSpan(
            name=f"{genai.operation(record)} {record.call.model}",
            context=_context(trace, record.call.id),
            parent=_context(trace, served) if served else None,
            resource=self._resource,
            attributes=attributes,
            events=[
                Event(
                    "trimtab.attempt",
                    genai.attempt_attributes(each, self._providers),
                    genai.nanoseconds(each.at),
                )
                for each in record.attempts
            ],
            kind=SpanKind.CLIENT,
            status=Status(StatusCode.ERROR, record.code) if failed else Status(StatusCode.OK),
            start_time=genai.nanoseconds(began),
            end_time=genai.nanoseconds(began + record.seconds),
            instrumentation_scope=_SCOPE,
        )


def _context(trace: int, call: str) -> SpanContext:
    return SpanContext(trace, genai.span_id("call", call), is_remote=False, trace_flags=_SAMPLED)


class Batches(BatchSpanProcessor):
    """Sends batches to a collector's URL every second. While it is away the oldest spans are dropped."""

    def __init__(
        self, endpoint: str, service: str, providers: Mapping[str, str], *, with_content: bool
    ) -> None:
        url = endpoint.rstrip("/")
        url = url if url.endswith("/v1/traces") else f"{url}/v1/traces"
        inner = OTLPSpanExporter(endpoint=url, timeout=_TIMEOUT_SECONDS)
        self._calls = CallExporter(inner, service, providers, with_content)
        super().__init__(
            self._calls,
            max_queue_size=_QUEUE,
            schedule_delay_millis=_DELAY_MILLISECONDS,
            max_export_batch_size=_BATCH,
        )

    def add(self, record: CallRecord) -> None:
        """Queue one finished call."""
        self.on_end(Pending(record))

    def close(self) -> None:
        """Send what waits; a collector that is away is waited for only a moment."""
        timer = Timer(_PATIENCE_SECONDS, self._calls.shutdown)
        timer.start()
        self.shutdown()  # type: ignore[no-untyped-call]
        timer.cancel()
