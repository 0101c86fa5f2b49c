"""Whose call is this: headers, then OpenAI `metadata`, then W3C trace context, else a run of one call."""

from collections.abc import Mapping

from trimtab.core import Attribution, RunSource
from trimtab.dispatch.inbound import Hints
from trimtab.tenants import KeyFacts
from trimtab.wire import RequestFacts

_MOST_CHARACTERS = 200


def attribute(hints: Hints, facts: RequestFacts, key: KeyFacts, call_id: str) -> Attribution:
    """The attribution of one call. A key's own user wins over what the client claims."""
    metadata, baggage = facts.metadata, dict(hints.baggage) if hints.baggage else {}
    run, source = _run(hints, metadata, baggage, call_id)
    return Attribution(
        tenant=key.tenant,
        run=bounded(run) or call_id,
        user=bounded(key.user or hints.user or _named(metadata, baggage, "user") or facts.user),
        key=key.id,
        workflow=bounded(hints.workflow or _named(metadata, baggage, "workflow")),
        step=bounded(hints.step or _named(metadata, baggage, "step")),
        parent_call=bounded(hints.parent_call),
        task=bounded(hints.task or _named(metadata, baggage, "task")),
        agent=bounded(hints.agent or _named(metadata, baggage, "agent")),
        source=source,
    )


def _run(
    hints: Hints, metadata: Mapping[str, str], baggage: Mapping[str, str], call_id: str
) -> tuple[str, RunSource]:
    if hints.run:
        return hints.run, hints.source
    if metadata and (run := metadata.get("trimtab_run") or metadata.get("run_id") or metadata.get("run")):
        return run, "metadata"
    if hints.trace:
        return baggage.get("trimtab.run") or hints.trace, "traceparent"
    return call_id, "single"


def _named(metadata: Mapping[str, str], baggage: Mapping[str, str], name: str) -> str:
    if not metadata and not baggage:
        return ""
    return (
        metadata.get(f"trimtab_{name}")
        or metadata.get(name)
        or baggage.get(f"trimtab.{name}")
        or baggage.get(name)
        or ""
    )


def bounded(text: str) -> str:
    """A client's name for something as it is kept: without control characters, at most 200 characters."""
    if not text.isprintable():
        text = "".join([character for character in text if character.isprintable()])
    return text if len(text) <= _MOST_CHARACTERS else text[:_MOST_CHARACTERS]
