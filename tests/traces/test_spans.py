"""Spans over a real socket to a local collector."""

import gzip
import json
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from trimtab.config import EndpointSettings, TelemetrySettings
from trimtab.core.errors import ConfigError
from trimtab.traces import Spans

from .made import attempt, call, chat_bytes, reply_bytes

W3C = "4bf92f3577b34da6a3ce929d0e0e4736"
NEAR = EndpointSettings(name="near", url="https://api.mistral.ai/v1", models=("m",))


class Collector(BaseHTTPRequestHandler):
    """Takes OTLP/HTTP exports."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        self.server.requests.append((self.path, ExportTraceServiceRequest.FromString(body)))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Quiet."""


@pytest.fixture
def collector():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    server.requests = []
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def exported(collector, *records, **settings):
    url = f"http://127.0.0.1:{collector.server_address[1]}"
    spans = Spans(TelemetrySettings(otlp_endpoint=url, service_name="front", **settings), (NEAR,))
    for record in records:
        spans(record)
    spans.close()
    assert {path for path, _ in collector.requests} == {"/v1/traces"}
    return [
        (resource, span)
        for _, request in collector.requests
        for resource in request.resource_spans
        for scope in resource.scope_spans
        for span in scope.spans
    ]


def values(attributes):
    shown = {}
    for each in attributes:
        kind = each.value.WhichOneof("value")
        shown[each.key] = getattr(each.value, kind)
    return shown


def test_a_call_becomes_a_span_of_its_runs_trace(collector):
    record = call(
        "c1",
        run=W3C,
        workflow="w",
        step="s",
        attempts=(attempt("a1", status=200, nanodollars=5),),
        nanodollars=5,
    )
    ((resource, span),) = exported(collector, record)
    assert values(resource.resource.attributes)["service.name"] == "front"
    assert (span.name, span.trace_id.hex(), span.parent_span_id, span.kind) == ("chat m", W3C, b"", 3)
    began = 1_760_000_000_250_000_000
    assert (span.start_time_unix_nano, span.end_time_unix_nano) == (began, began + 10**9)
    assert span.status.code == 1
    assert (
        values(span.attributes).items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "mistral_ai",
            "gen_ai.request.model": "m",
            "gen_ai.usage.input_tokens": 100,
            "trimtab.cost.nanodollars": 5,
            "trimtab.step": "s",
        }.items()
    )
    (event,) = span.events
    assert (event.name, values(event.attributes)["trimtab.attempt"]) == ("trimtab.attempt", "a1")


def test_a_call_made_for_another_hangs_under_it_wherever_that_was_served(collector):
    (_, outer), (_, inner) = exported(collector, call("outer"), call("inner", parent="outer"))
    assert inner.parent_span_id == outer.span_id
    assert inner.trace_id == outer.trace_id


def test_a_call_that_failed_is_an_error(collector):
    ((_, span),) = exported(
        collector, call("c1", status="refused", code="budget_exceeded", model="", endpoint="")
    )
    assert (span.status.code, span.status.message) == (2, "budget_exceeded")
    assert values(span.attributes)["error.type"] == "budget_exceeded"


def test_what_was_said_is_told_only_where_settings_say_so(collector):
    content = {"request": chat_bytes([{"role": "user", "content": "secret"}]), "reply": reply_bytes("word")}
    ((_, span),) = exported(collector, call("c1", **content))
    assert "gen_ai.input.messages" not in values(span.attributes)
    collector.requests.clear()
    ((_, span),) = exported(collector, call("c1", **content), content=True)
    told = values(span.attributes)
    assert json.loads(told["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "secret"}]}
    ]
    assert json.loads(told["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "word"}], "finish_reason": "stop"}
    ]


def test_many_calls_come_in_batches(collector):
    assert len(exported(collector, *[call(f"c{i}") for i in range(1200)])) == 1200
    assert 2 <= len(collector.requests) < 50


def test_a_collector_that_is_away_delays_the_end_only_a_moment():
    with socket.create_server(("127.0.0.1", 0)) as reserved:
        url = f"http://127.0.0.1:{reserved.getsockname()[1]}"
    spans = Spans(TelemetrySettings(otlp_endpoint=url), ())
    for index in range(2000):
        spans(call(f"c{index}"))
    began = time.monotonic()
    spans.close()
    assert time.monotonic() - began < 8


def test_a_url_that_is_none_is_refused():
    with pytest.raises(ConfigError, match=r"telemetry.otlp_endpoint: 'localhost:4318' is no http"):
        Spans(TelemetrySettings(otlp_endpoint="localhost:4318"), ())


def test_without_opentelemetry_the_remedy_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "trimtab.traces.otlp_spans", None)
    with pytest.raises(ConfigError, match=r"pip install 'trimtab\[otel\]'"):
        Spans(TelemetrySettings(otlp_endpoint="http://127.0.0.1:4318"), ())


def test_traces_are_read_without_importing_opentelemetry():
    check = (
        "import sys, trimtab.traces; sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", check], check=False).returncode == 0
