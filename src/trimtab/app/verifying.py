"""Verify controllers as verifiers of a cascade: is this reply good enough, or is the next model asked."""

from collections.abc import Callable
from functools import partial

from trimtab.config import Settings, WorkflowSettings
from trimtab.controllers import Conversation, Question, Roster, Terms, Turn, verify_text
from trimtab.routing import VerifyContext
from trimtab.wire import ReplyFacts

ACCEPT = "accept"


def verify_controllers(settings: Settings, roster: Roster) -> dict[str, Callable[..., object]]:
    """A function for every controller that a cascade names, by `controller:WORKFLOW/verify`."""
    named = {
        verifier.value
        for policy in settings.policy.values()
        for verifier in policy.verifiers
        if verifier.kind == "controller"
    }
    return {f"controller:{name}": partial(_verdict, settings, roster, name) for name in sorted(named)}


def _verdict(
    settings: Settings, roster: Roster, name: str, reply: ReplyFacts, request: VerifyContext
) -> tuple[bool, str]:
    """Runs in a thread of its own. What is not surely good enough is not accepted."""
    workflow = name.removesuffix("/verify")
    host = roster.crew(workflow).serving.get("verify")
    if host is None:
        return False, f"no controller {name} is enabled"
    known = settings.workflow.get(workflow, WorkflowSettings())
    calls = [(call.name, call.arguments) for call in reply.tool_calls]
    question = Question(
        Conversation((Turn("user", request.question), Turn("assistant", reply.text))),
        verify_text(request.question, reply.text, calls),
        terms=Terms(threshold=known.thresholds.get("verify", 0.0)),
    )
    decided = host.ask_from_thread(question, known.latency_milliseconds / 1000)
    roster.tally.decided(host, "served", decided)
    answer = decided.answer
    if answer.abstained:
        return False, f"{host.title} abstained: {'; '.join(answer.reasons) or 'it is not sure'}"
    said = f"{host.title} says {answer.option!r} at {answer.confidence:.3f}"
    return (True, "") if answer.option == ACCEPT else (False, said)
