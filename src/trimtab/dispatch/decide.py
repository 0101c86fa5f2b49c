"""Stage 4: controllers decide what the model need not. A step's next tool calls and a label are answered outright;
a route's label and a gate's word steer the call; whatever goes wrong with a controller is an abstention.
"""

from collections.abc import Mapping

import msgspec

from trimtab.config import Settings, WorkflowSettings
from trimtab.controllers import Answer, Crew, Decided, Host, Question, Roster, Terms, last_said
from trimtab.core import ControllerDecision, ControllerKind, Verifier
from trimtab.core.errors import Forbidden
from trimtab.dispatch.asking import Asking, read_asking
from trimtab.dispatch.ready import Ready, calling_reply, label_reply, ready_of
from trimtab.dispatch.visit import Visit
from trimtab.routing import Verifiers, read_context
from trimtab.wire import BrokenReply, read_reply

_PLAIN = WorkflowSettings()
_CALLS_FIT = Verifier("tool_calls")
REFUSE, ESCALATE = "refuse", "escalate"


class Decider:
    """Constructed by `app/`. Costs nothing where no controller works for a call's workflow."""

    def __init__(self, settings: Settings, roster: Roster, verifiers: Verifiers) -> None:
        self._workflows: Mapping[str, WorkflowSettings] = settings.workflow
        self._roster, self._verifiers = roster, verifiers

    async def steer(self, visit: Visit) -> tuple[str, ...]:
        """Let the gate and the route controller see the call. The models it must go to; () leaves that open.

        The route's label stands in `visit.call.route` from then on. Raises Forbidden (code `gate_refused`).
        """
        name = visit.call.who.workflow
        crew, settings = self._roster.crew(name), self._workflows.get(name, _PLAIN)
        if not crew.serving:
            return ()
        if (gate := _allowed(crew, settings, "gate")) is not None:
            escalated = await self._gate(visit, gate, settings)
            if escalated:
                return (escalated,)
        if (route := _allowed(crew, settings, "route")) is not None:
            answer = await self._label(visit, route, settings)
            if answer is not None:
                visit.call = msgspec.structs.replace(visit.call, route=answer.option)
                return settings.routes.get(answer.option, ())
        return ()

    async def answer(self, visit: Visit) -> Ready | None:
        """The reply that needs no model; None where a model is asked."""
        name = visit.call.who.workflow
        crew, settings = self._roster.crew(name), self._workflows.get(name, _PLAIN)
        classify, step = _allowed(crew, settings, "classify"), _allowed(crew, settings, "step")
        if classify is None and step is None:
            return None
        asking = asking_of(visit, settings)
        if asking is None or not asking.plain:
            return None
        if classify is not None and classifies(visit, asking, settings):
            return await self._classify(visit, asking, classify, settings)
        if step is not None and may_call(asking):
            return await self._step(visit, asking, step, settings)
        return None

    async def _gate(self, visit: Visit, gate: Host, settings: WorkflowSettings) -> str:
        answer = await self._label(visit, gate, settings)
        if answer is None:
            return ""
        if answer.option == REFUSE:
            raise Forbidden(f"the controller {gate.title} does not let this call in", code="gate_refused")
        return settings.escalate_to if answer.option == ESCALATE else ""

    async def _label(self, visit: Visit, host: Host, settings: WorkflowSettings) -> Answer | None:
        asking = asking_of(visit, settings)
        if asking is None:
            return None
        decided = await self._ask(host, asking, settings, visit.call.who.agent)
        visit.controllers.append(decision_of(host, decided, visit))
        return None if decided.answer.abstained else decided.answer

    async def _classify(
        self, visit: Visit, asking: Asking, host: Host, settings: WorkflowSettings
    ) -> Ready | None:
        decided = await self._ask(host, asking, settings, visit.call.who.agent)
        answer = decided.answer
        visit.controllers.append(decision_of(host, decided, visit))
        if answer.abstained:
            return None
        chat, said = label_reply(visit.call, label_text(settings, answer.option))
        return ready_of(visit, answer, chat, said)

    async def _step(
        self, visit: Visit, asking: Asking, host: Host, settings: WorkflowSettings
    ) -> Ready | None:
        decided = await self._ask(host, asking, settings, visit.call.who.agent)
        answer, ready, fault = decided.answer, None, ""
        if not answer.abstained:
            ready, fault = self._calling(visit, asking, answer)
        visit.controllers.append(decision_of(host, decided, visit, fault))
        return ready

    def _calling(self, visit: Visit, asking: Asking, answer: Answer) -> tuple[Ready | None, str]:
        """The reply that makes the calls, or why the request does not allow them."""
        chat, said = calling_reply(visit.call, answer)
        if asking.must_call and any(call.name != asking.must_call for call in answer.calls):
            return None, f"the call asks for {asking.must_call!r} alone"
        verdict = self._verifiers.verify(_CALLS_FIT, read_reply(chat), read_context(asking.chat))
        if not verdict.accepted:
            return None, verdict.reason
        try:
            return ready_of(visit, answer, chat, said), ""
        except BrokenReply as error:
            return None, error.message

    async def _ask(self, host: Host, asking: Asking, settings: WorkflowSettings, agent: str) -> Decided:
        # A gate judges what it can read: a picture beside it must not let a text slip through.
        if asking.unread and host.manifest.kind != "gate":
            return host.pass_over(asking.unread)
        question = question_of(host.manifest.kind, asking, settings, agent)
        decided = await host.ask(question, settings.latency_milliseconds / 1000)
        self._roster.tally.decided(host, "served", decided)
        return decided


def asking_of(visit: Visit, settings: WorkflowSettings) -> Asking | None:
    """The call as controllers see it, read once."""
    if visit.asking is None and not visit.is_asking_read:
        visit.is_asking_read = True
        visit.asking = read_asking(visit.call.surface, visit.inbound.body, settings.tools)
    return visit.asking


def question_of(
    kind: ControllerKind, asking: Asking, settings: WorkflowSettings, agent: str = ""
) -> Question:
    """What a controller of a kind is asked of a call."""
    terms = Terms(
        writes_allowed=frozenset(settings.tools.write_allowed),
        threshold=settings.thresholds.get(kind, 0.0),
        eager=settings.eager,
        most_in_a_row=settings.most_in_a_row,
        one_call=asking.one_call,
    )
    text = "" if kind == "step" else last_said(asking.conversation)
    return Question(asking.conversation, text, agent, terms)


def may_call(asking: Asking) -> bool:
    """Whether a reply that calls tools is welcome."""
    return asking.tool_choice != "none" and bool(asking.conversation.tools)


def classifies(visit: Visit, asking: Asking, settings: WorkflowSettings) -> bool:
    """Whether the call asks for nothing but a label: only a step that the settings name does, and nothing with
    tools or a schema of its own."""
    if asking.conversation.tools or visit.call.who.step not in settings.classify.steps:
        return False
    turns = asking.conversation.turns
    if "json_schema" in visit.call.needs or not turns or turns[-1].speaker != "user":
        return False
    return asking.free_text or _is_json(settings.classify.reply)


def label_text(settings: WorkflowSettings, label: str) -> str:
    """A label as the settings want it said; inside JSON it is escaped."""
    reply = settings.classify.reply
    said = msgspec.json.encode(label).decode()[1:-1] if _is_json(reply) else label
    return reply.replace("{label}", said)


def _is_json(reply: str) -> bool:
    """Whether the settings write a label into an object, not just the label."""
    return reply.replace("{label}", "").lstrip().startswith("{")


def decision_of(host: Host, decided: Decided, visit: Visit, fault: str = "") -> ControllerDecision:
    """What is recorded of a decision; `fault` says why it was not followed."""
    answer, manifest = decided.answer, host.manifest
    return ControllerDecision(
        controller=manifest.name,
        version=manifest.version,
        kind=manifest.kind,
        option=answer.option,
        confidence=answer.confidence,
        followed=not answer.abstained and not fault,
        inputs=decided.inputs,
        said=decided.said,
        seconds=decided.seconds,
        reasons=(*answer.reasons, fault) if fault else answer.reasons,
        agent=visit.call.who.agent,
    )


def _allowed(crew: Crew, settings: WorkflowSettings, kind: ControllerKind) -> Host | None:
    if settings.controllers is not None and kind not in settings.controllers:
        return None
    return crew.serving.get(kind)
