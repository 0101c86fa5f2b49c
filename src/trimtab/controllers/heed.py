"""What keeps an answer from being followed, whatever the controller thought: tools that changed, tools that write,
confidence below the settings', calls that were made before, too many turns in a row. Pure.
"""

from collections.abc import Iterable, Mapping

import msgspec

from trimtab.controllers.answer import Answer
from trimtab.controllers.conversation import Conversation, ToolCall
from trimtab.controllers.manifest import Manifest, tool_digest
from trimtab.controllers.question import Question, Terms, is_own


def heeded(answer: Answer, question: Question, manifest: Manifest) -> Answer:
    """The answer as it may be followed, or the abstention it becomes, with the reason."""
    if answer.abstained:
        return answer
    reason = _against(answer, question, manifest)
    if reason:
        return abstention(answer, reason)
    if manifest.kind != "step":
        return answer
    calls = _fresh(answer.calls, question)
    if not calls:
        return abstention(answer, "it would call what was called already")
    if len(calls) < len(answer.calls) and not question.terms.eager:
        return abstention(answer, "a part of it was called already")
    option = " + ".join(dict.fromkeys(call.name for call in calls))
    return msgspec.structs.replace(answer, calls=calls, option=option)


def abstention(answer: Answer, reason: str) -> Answer:
    """The same without its say; what it would have chosen stays to be seen."""
    return msgspec.structs.replace(answer, abstained=True, calls=(), reasons=(*answer.reasons, reason))


def turns_in_a_row(conversation: Conversation) -> int:
    """How many of the last replies, without a break, were a controller's."""
    count = 0
    for turn in reversed(conversation.turns):
        if turn.speaker == "tool":
            continue
        if turn.speaker != "assistant" or not _own(turn.calls):
            return count
        count += 1
    return count


def _own(calls: tuple[ToolCall, ...]) -> bool:
    return bool(calls) and all(is_own(call) for call in calls)


def _against(answer: Answer, question: Question, manifest: Manifest) -> str:
    terms = question.terms
    if answer.confidence < terms.threshold:
        return f"confidence {answer.confidence:.4f} is below the settings' {terms.threshold:g}"
    if manifest.kind != "step":
        return (
            "" if answer.option in manifest.labels or not manifest.labels else "its label is not in its set"
        )
    if not answer.calls:
        return "it chose no call"
    row = turns_in_a_row(question.conversation)
    if row >= terms.most_in_a_row:
        return f"{row} turns in a row were answered without the model"
    if terms.one_call and len(answer.calls) > 1 and not terms.eager:
        return "the call allows one tool call a turn"
    return _tool_fault(answer.calls, question.conversation, terms, manifest.tools)


def _tool_fault(
    calls: Iterable[ToolCall], conversation: Conversation, terms: Terms, known: Mapping[str, str]
) -> str:
    for call in calls:
        tool = conversation.tool(call.name)
        if tool is None:
            return f"the tool {call.name!r} is not declared"
        if known and known.get(call.name) != tool_digest(tool):
            return f"the tool {call.name!r} is not the one it was trained with; learn the workflow again"
        if not tool.read_only and call.name not in terms.writes_allowed:
            return f"the tool {call.name!r} may write; [workflow.NAME.tools] allows only what it names"
    return ""


def _fresh(calls: tuple[ToolCall, ...], question: Question) -> tuple[ToolCall, ...]:
    """Without what the conversation shows to have been called, and without repetitions; one where one is asked for."""
    made = {call.key for turn in question.conversation.turns for call in turn.calls}
    fresh = {call.key: call for call in calls if call.key not in made}
    listed = tuple(fresh.values())
    return listed[:1] if question.terms.one_call else listed
