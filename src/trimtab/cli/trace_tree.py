"""How `trimtab traces show` shows a run to people."""

from typing import TYPE_CHECKING

from trimtab.core import CallRecord, ControllerDecision, Entry, usd_text

if TYPE_CHECKING:
    from msgspec import Raw
    from rich.tree import Tree

    from trimtab.traces import CallNode, ChatLine, RunTree


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

    from trimtab.cli.tables import plain, shown_usd
    from trimtab.core import shown_time

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
