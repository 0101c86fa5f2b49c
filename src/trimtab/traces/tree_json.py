"""A run's tree as plain values: what `trimtab traces show --json` and `GET /v1/runs/{id}` tell of it."""

import msgspec
from msgspec.structs import asdict

from trimtab.core import AttemptRecord, CallRecord, Entry, usd_text
from trimtab.traces.tree import CallNode, RunTree, StepNode

_Json = dict[str, object]


def tree_json(tree: RunTree) -> _Json:
    """A run's tree as plain values; requests and replies as text where the tree has them."""
    run: _Json = msgspec.to_builtins(tree.run)
    return run | {"usd": usd_text(tree.run.nanodollars), "steps": [_step_json(step) for step in tree.steps]}


def _step_json(step: StepNode) -> _Json:
    return {
        "name": step.name,
        "nanodollars": step.nanodollars,
        "usd": usd_text(step.nanodollars),
        "calls": [_call_json(node) for node in step.calls],
        "entries": [_entry_json(entry) for entry in step.entries],
    }


def _call_json(node: CallNode) -> _Json:
    record, call = node.record, node.record.call
    shown: _Json = {
        "id": call.id,
        "at": call.at,
        "step": call.who.step,
        "surface": call.surface,
        "asked_model": call.model,
        "model": record.model,
        "endpoint": record.endpoint,
        "stream": call.stream,
        "status": record.status,
        "code": record.code,
        "seconds": record.seconds,
        "first_token_seconds": record.first_token_seconds,
        "answered_by": record.answered_by,
        "usage": asdict(record.usage),
        "nanodollars": node.nanodollars,
        "usd": usd_text(node.nanodollars),
        "upstream_nanodollars": node.upstream_nanodollars,
        "decision": _decision_json(record),
        "controllers": record.controllers,
        "attempts": [_with_usage(attempt) for attempt in record.attempts],
        "entries": [_entry_json(entry) for entry in node.entries],
        "nested": [_call_json(inner) for inner in node.nested],
    }
    if record.request or record.reply:
        shown |= {"request": _text(record.request), "reply": _text(record.reply)}
    plain: _Json = msgspec.to_builtins(shown)
    return plain


def _decision_json(record: CallRecord) -> _Json | None:
    decision = record.decision
    if decision is None:
        return None
    return {
        "policy": decision.policy,
        "rule": decision.rule,
        "chosen": [f"{planned.model}@{planned.endpoint}" for planned in decision.plan.attempts],
        "hedge": decision.plan.hedge,
        "offers": len(decision.offers),
        "reasons": decision.reasons,
    }


def _entry_json(entry: Entry) -> _Json:
    shown = {name: value for name, value in _with_usage(entry).items() if name != "charges"}
    return shown | {"usd": usd_text(entry.nanodollars)}


def _with_usage(paid: AttemptRecord | Entry) -> _Json:
    """All fields: encoded as they are, these structs would leave out what is at its default."""
    return asdict(paid) | {"usage": asdict(paid.usage)}


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")
