"""Runs as OpenTelemetry traces: valid OTLP, whole, with parents that are there."""

import json

from google.protobuf.json_format import ParseDict
from opentelemetry.proto.trace.v1.trace_pb2 import TracesData

from trimtab.config import EndpointSettings
from trimtab.store import Selection, Standing
from trimtab.traces import Exporter, providers_of

from .made import attempt, call, entry, keep, outcome, paid

W3C = "4bf92f3577b34da6a3ce929d0e0e4736"


def traces(database, providers=None):
    exporter = Exporter(database, Standing(), providers or {}, "front")
    return [json.loads(line) for line in exporter.lines(Selection(), "otel")]


def spans(database, providers=None):
    return [
        s
        for trace in traces(database, providers)
        for s in trace["resourceSpans"][0]["scopeSpans"][0]["spans"]
    ]


def values(span):
    return {each["key"]: next(iter(each["value"].values())) for each in span["attributes"]}


def a_run(database, run=W3C):
    plan = call("c1", run=run, workflow="w", step="plan", agent="bot", attempts=(attempt("a1", status=200),))
    answer = call("c2", run=run, workflow="w", at=2, step="answer", status="failed", code="upstream_error")
    inner = call("c3", run=run, at=0.1, step="plan", parent="c1")
    alone = call("c4", run=run, at=5)
    keep(database, plan, paid(plan, 12), answer, inner, paid(inner, 30), alone, outcome(1.0, run=run))
    keep(database, entry("t", 3, run=run, kind="tool", step="plan"))


def test_a_run_is_a_trace_of_run_steps_and_calls(database):
    a_run(database)
    found = {span["name"] + values(span).get("trimtab.call", ""): span for span in spans(database)}
    root = found["invoke_workflow w"]
    assert "parentSpanId" not in root
    parents = {name: span.get("parentSpanId") for name, span in found.items()}
    assert parents["step plan"] == parents["step answer"] == parents["chat mc4"] == root["spanId"]
    assert parents["chat mc1"] == found["step plan"]["spanId"]
    assert parents["chat mc3"] == found["chat mc1"]["spanId"]
    assert {span["traceId"] for span in found.values()} == {W3C}
    assert (found["step plan"]["startTimeUnixNano"], root["kind"]) == ("1760000000250000000", 1)


def test_a_calls_span_speaks_the_conventions_for_generative_ai(database):
    a_run(database)
    endpoint = EndpointSettings(name="near", url="https://api.openai.com/v1", models=("m",))
    (span,) = [s for s in spans(database, providers_of((endpoint,))) if values(s).get("trimtab.call") == "c1"]
    assert span["kind"] == 3
    assert span["status"] == {"code": 1}
    assert (
        values(span).items()
        >= {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "openai",
            "gen_ai.request.model": "m",
            "gen_ai.response.model": "m",
            "gen_ai.usage.input_tokens": "100",
            "gen_ai.usage.output_tokens": "10",
            "gen_ai.conversation.id": W3C,
            "trimtab.cost.nanodollars": "12",
            "trimtab.workflow": "w",
            "trimtab.step": "plan",
            "trimtab.tenant": "acme",
        }.items()
    )
    (event,) = span["events"]
    assert (event["name"], values(event)["trimtab.outcome"]) == ("trimtab.attempt", "answered")


def test_a_failed_call_is_an_error(database):
    a_run(database)
    (span,) = [s for s in spans(database) if values(s).get("trimtab.call") == "c2"]
    assert span["status"] == {"code": 2, "message": "upstream_error"}
    assert values(span)["error.type"] == "upstream_error"


def test_every_field_is_one_that_otlp_knows(database):
    a_run(database)
    a_run_without_a_trace_id = "named by a client"
    keep(database, call("x1", run=a_run_without_a_trace_id))
    lines = traces(database)
    assert len(lines) == 2
    for line in lines:
        parsed = ParseDict(line, TracesData())
        assert parsed.resource_spans[0].resource.attributes[0].value.string_value == "front"


def test_run_ids_that_are_no_trace_ids_become_one_each(database):
    keep(database, call("c1", run="r"), call("c2", run="r", tenant="other"), call("c3", run="0" * 32))
    ids = {span["traceId"] for span in spans(database)}
    assert len(ids) == 3
    assert all(len(id) == 32 and int(id, 16) for id in ids)


def test_providers_are_told_by_host_else_by_what_the_endpoint_speaks():
    def provider(url, style="openai"):
        return providers_of((EndpointSettings(name="e", url=url, models=("m",), style=style),))["e"]

    assert provider("https://x.openai.azure.com/openai") == "azure.ai.openai"
    assert provider("https://api.anthropic.com/v1", "anthropic") == "anthropic"
    assert provider("https://bedrock-runtime.eu-west-1.amazonaws.com") == "aws.bedrock"
    assert provider("http://127.0.0.1:8000/v1") == "openai"
    assert provider("https://notopenai.com/v1", "trimtab") == "trimtab"
