"""Stored runs as OpenTelemetry traces in OTLP's JSON encoding, one run a line: run, steps, calls, attempts.

Source: https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/
"""

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from trimtab.core import AttemptRecord
from trimtab.traces import genai
from trimtab.traces.genai import Value, nanoseconds
from trimtab.traces.tree import CallNode, RunTree, StepNode

_INTERNAL, _CLIENT = 1, 3
_OK, _ERROR = 1, 2
_Json = dict[str, object]


class Tracer:
    """Writes one run's spans."""

    def __init__(self, tree: RunTree, providers: Mapping[str, str], service: str) -> None:
        self._tree, self._providers, self._service = tree, providers, service
        self._trace = genai.trace_id(tree.run.tenant, tree.run.id)
        self._root = genai.span_id("run", f"{self._trace:032x}")

    def line(self) -> bytes:
        """The run as one `TracesData` message."""
        resource = {"attributes": _attributes({"service.name": self._service})}
        spans = {"scope": {"name": "trimtab"}, "spans": [self._run(), *self._steps()]}
        return msgspec.json.encode({"resourceSpans": [{"resource": resource, "scopeSpans": [spans]}]}) + b"\n"

    def _run(self) -> _Json:
        run = self._tree.run
        shown: dict[str, Value] = {
            "gen_ai.operation.name": "invoke_workflow",
            "gen_ai.conversation.id": run.id,
            "trimtab.run": run.id,
            "trimtab.tenant": run.tenant,
            "trimtab.status": run.status,
            "trimtab.cost.nanodollars": run.nanodollars,
        }
        named = {
            "gen_ai.workflow.name": run.workflow,
            "gen_ai.agent.name": run.agent,
            "trimtab.user": run.user,
            "trimtab.task": run.task,
            "trimtab.outcome.by": run.outcome_by,
            "trimtab.outcome.reason": run.outcome_reason,
        }
        shown |= {name: value for name, value in named.items() if value}
        if run.reward is not None:
            shown["trimtab.outcome.reward"] = run.reward
        name = f"invoke_workflow {run.workflow}".strip()
        return self._span(name, self._root, None, (run.started_at, run.last_at), _INTERNAL, shown)

    def _steps(self) -> Iterator[_Json]:
        for step in self._tree.steps:
            if not step.name:
                yield from self._calls(step.calls, self._root)
            elif step.calls:
                id = genai.span_id("step", f"{self._trace:032x}", step.name)
                yield self._step(step, id)
                yield from self._calls(step.calls, id)

    def _step(self, step: StepNode, id: int) -> _Json:
        records = [node.record for node in step.calls]
        began = min(record.call.at for record in records)
        ended = max(record.call.at + record.seconds for record in records)
        shown: dict[str, Value] = {
            "trimtab.step": step.name,
            "trimtab.run": self._tree.run.id,
            "trimtab.tenant": self._tree.run.tenant,
            "trimtab.cost.nanodollars": step.nanodollars,
        }
        return self._span(f"step {step.name}", id, self._root, (began, ended), _INTERNAL, shown)

    def _calls(self, nodes: Iterable[CallNode], parent: int) -> Iterator[_Json]:
        for node in nodes:
            record = node.record
            id = genai.span_id("call", record.call.id)
            began = record.call.at
            name = f"{genai.operation(record)} {record.call.model}"
            shown = genai.call_attributes(record, self._providers)
            shown["trimtab.cost.nanodollars"] = node.nanodollars
            span = self._span(name, id, parent, (began, began + record.seconds), _CLIENT, shown)
            span["status"] = (
                {"code": _OK} if record.status == "ok" else {"code": _ERROR, "message": record.code}
            )
            if record.attempts:
                span["events"] = [self._event(attempt) for attempt in record.attempts]
            yield span
            yield from self._calls(node.nested, id)

    def _event(self, attempt: AttemptRecord) -> _Json:
        attributes = _attributes(genai.attempt_attributes(attempt, self._providers))
        moment = str(nanoseconds(attempt.at))
        return {"timeUnixNano": moment, "name": "trimtab.attempt", "attributes": attributes}

    def _span(
        self,
        name: str,
        id: int,
        parent: int | None,
        times: tuple[float, float],
        kind: int,
        attributes: Mapping[str, Value],
    ) -> _Json:
        span: _Json = {"traceId": f"{self._trace:032x}", "spanId": f"{id:016x}"}
        if parent is not None:
            span["parentSpanId"] = f"{parent:016x}"
        began, ended = times
        return span | {
            "name": name,
            "kind": kind,
            "startTimeUnixNano": str(nanoseconds(began)),
            "endTimeUnixNano": str(nanoseconds(ended)),
            "attributes": _attributes(attributes),
        }


def _attributes(values: Mapping[str, Value]) -> list[_Json]:
    return [{"key": name, "value": _value(value)} for name, value in values.items()]


def _value(value: Value) -> _Json:
    """OTLP writes 64-bit integers as text."""
    if isinstance(value, bool):
        return {"boolValue": value}
    if isinstance(value, int):
        return {"intValue": str(value)}
    return {"doubleValue": value} if isinstance(value, float) else {"stringValue": value}
