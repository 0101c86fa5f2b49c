"""How `trimtab traces show` shows a run: as a tree for people, as JSON for programs."""

from typing import TYPE_CHECKING

from trimtab.core import CallRecord, ControllerDecision, Entry, usd_text

if TYPE_CHECKING:
    from msgspec import Raw
    from rich.tree import Tree

    from trimtab.traces import CallNode, ChatLine, RunTree, StepNode

_Json = dict[str, object]


def tree_json(tree: "RunTree") -> _Json:
    """A run's tree as plain values; requests and replies as text where the tree has them."""
    import msgspec

    run: _Json = msgspec.to_builtins(tree.run)
    return run | {"usd": usd_text(tree.run.nanodollars), "steps": [_step_json(step) for step in tree.steps]}


def _step_json(step: "StepNode") -> _Json:
    return {
        "name": step.name,
        "nanodollars": step.nanodollars,
        "usd": usd_text(step.nanodollars),
        "calls": [_call_json(node) for node in step.calls],
        "entries": [_entry_json(entry) for entry in step.entries],
    }


def _call_json(node: "CallNode") -> _Json:
    import msgspec

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
        "usage": record.usage,
        "nanodollars": node.nanodollars,
        "usd": usd_text(node.nanodollars),
        "upstream_nanodollars": node.upstream_nanodollars,
        "decision": _decision_json(record),
        "controllers": record.controllers,
        "attempts": record.attempts,
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
    import msgspec

    plain: _Json = msgspec.to_builtins(entry)
    shown = {name: value for name, value in plain.items() if name not in ("type", "charges")}
    return shown | {"usd": usd_text(entry.nanodollars)}


def conversation_of(line: "ChatLine") -> "Tree":
    """A thread for people: who said what, what it cost."""
    from rich.tree import Tree

    from trimtab.cli.tables import plain

    root = Tree(f"[bold]conversation {line.thread or 0}[/bold] {plain(line.note)}")
    for message in line.messages:
        cost = "" if message.cost_usd is None else f"  ${message.cost_usd:f}"
        said = message.content if isinstance(message.content, str) else _parts(message.content)
        here = root.add(f"[bold]{message.role}[/bold]{cost}  {plain(said)}")
        for call in message.tool_calls:
            here.add(plain(f"{call.name} {_text(bytes(call.arguments))}"))
    return root


def _parts(content: "list[Raw] | None") -> str:
    return "\n".join(_text(bytes(part)) for part in content or ())


def _text(content: bytes) -> str:
    return content.decode("utf-8", "replace")


def tree_of(tree: "RunTree") -> "Tree":
    """A run's tree for people."""
    from rich.tree import Tree

    from trimtab.cli.moments import shown_time
    from trimtab.cli.tables import plain, shown_usd

    run = tree.run
    named = {"workflow": run.workflow, "tenant": run.tenant, "user": run.user, "task": run.task}
    about = "  ".join(f"{name} {value}" for name, value in named.items() if value)
    root = Tree(f"[bold]run {plain(run.id)}[/bold]  {plain(about)}")
    lasted = run.last_at - run.started_at
    root.add(f"began {shown_time(run.started_at)} UTC, lasted {lasted:,.1f} s, {run.calls:,} calls")
    root.add(plain(_outcome(tree)))
    root.add(f"cost {shown_usd(run.nanodollars, run.unpriced)}{_upstream(run.upstream_nanodollars)}")
    for step in tree.steps:
        branch = root.add(
            f"[bold]step {plain(step.name or '(unnamed)')}[/bold]  {shown_usd(step.nanodollars)}"
        )
        for node in step.calls:
            _add_call(branch, node)
        for entry in step.entries:
            branch.add(plain(_entry(entry)))
    return root


def _outcome(tree: "RunTree") -> str:
    run = tree.run
    if run.reward is None:
        return f"outcome {run.status}"
    by = f", says {run.outcome_by}" if run.outcome_by else ""
    reason = f": {run.outcome_reason}" if run.outcome_reason else ""
    return f"outcome {run.status}, reward {run.reward:g}{by}{reason}"


def _upstream(nanodollars: int) -> str:
    return f" (and ${usd_text(nanodollars)} charged by other gateways)" if nanodollars else ""


def _add_call(branch: "Tree", node: "CallNode") -> None:
    from trimtab.cli.tables import plain

    record = node.record
    colour = "green" if record.status == "ok" else "red"
    here = branch.add(f"[{colour}]{record.status}[/{colour}] {plain(_call(node))}")
    for said in record.controllers:
        here.add(plain(_controller(said)))
    if record.decision is not None:
        here.add(plain(_decision(record)))
    for attempt in record.attempts:
        here.add(
            plain(
                f"attempt {attempt.outcome}: {attempt.model}@{attempt.endpoint}, {attempt.seconds:,.3f} s, "
                f"{attempt.usage.input_tokens:,} in {attempt.usage.output_tokens:,} out, "
                f"${usd_text(attempt.nanodollars)}" + (f", {attempt.error}" if attempt.error else "")
            )
        )
    for entry in node.entries:
        if entry.kind != "model" or entry.certainty != "exact" or entry.saved_nanodollars:
            here.add(plain(_entry(entry)))
    for inner in node.nested:
        _add_call(here, inner)


def _call(node: "CallNode") -> str:
    record = node.record
    first = (
        "" if record.first_token_seconds is None else f" (first token {record.first_token_seconds:,.3f} s)"
    )
    source = f"@{record.endpoint}" if record.endpoint else f" by {record.answered_by}"
    code = f", {record.code}" if record.code else ""
    model = record.model or record.call.model
    return (
        f"call {record.call.id}: {model}{source}, {record.seconds:,.3f} s{first}, "
        f"{record.usage.input_tokens:,} in {record.usage.output_tokens:,} out, "
        f"${usd_text(node.nanodollars)}{_upstream(node.upstream_nanodollars)}{code}"
    )


def _decision(record: CallRecord) -> str:
    decision = record.decision
    assert decision is not None
    rule = f", rule {decision.rule}" if decision.rule else ""
    chosen = ", then ".join(f"{planned.model}@{planned.endpoint}" for planned in decision.plan.attempts)
    reasons = f" ({'; '.join(decision.reasons)})" if decision.reasons else ""
    return f"policy {decision.policy}{rule}, of {len(decision.offers)} offers: {chosen or 'none'}{reasons}"


def _controller(said: ControllerDecision) -> str:
    did = said.option if said.followed else f"left to the model ({'; '.join(said.reasons) or 'not sure'})"
    return f"controller {said.controller}@{said.version}: {did}, confidence {said.confidence:.4f}"


def _entry(entry: Entry) -> str:
    reason = f", {entry.reason}" if entry.reason else ""
    saved = f", saved about ${usd_text(entry.saved_nanodollars)}" if entry.saved_nanodollars else ""
    return f"{entry.kind} {entry.model}: ${usd_text(entry.nanodollars)} {entry.certainty}{reason}{saved}"
