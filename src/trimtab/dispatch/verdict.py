"""Stage 7's judgement of replies: runs a planned attempt's verifiers on what the endpoint said."""

import msgspec

from trimtab.core import Verdict, Verifier
from trimtab.routing import DeclaredTool, Verifiers, VerifyContext
from trimtab.wire import BrokenReply, ReplyFacts, read_reply


class _Function(msgspec.Struct, frozen=True):
    name: str = ""
    parameters: msgspec.Raw = msgspec.Raw(b"")


class _Tool(msgspec.Struct, frozen=True):
    function: _Function = _Function()


class _Schema(msgspec.Struct, frozen=True):
    schema: msgspec.Raw = msgspec.Raw(b"")


class _Format(msgspec.Struct, frozen=True):
    type: str = "text"
    json_schema: _Schema = _Schema()


class _Choice(msgspec.Struct, frozen=True):
    function: _Function = _Function()


class _Request(msgspec.Struct, frozen=True):
    tools: tuple[_Tool, ...] = ()
    response_format: _Format | None = None
    tool_choice: str | _Choice | None = None


class _Judged(msgspec.Struct, frozen=True):
    """A reply as verifiers unpack it."""

    text: str
    tool_calls: tuple[tuple[str, str], ...]
    finish_reason: str
    mean_logprob: float | None
    refusal: str


def context_of(chat_request: bytes) -> VerifyContext:
    """What the request (in chat shape) declared; nothing where it cannot be read."""
    try:
        asked = msgspec.json.decode(chat_request, type=_Request)
    except msgspec.DecodeError:
        return VerifyContext()
    shape = asked.response_format or _Format()
    kind = shape.type if shape.type in ("json_object", "json_schema") else "text"
    choice = asked.tool_choice
    return VerifyContext(
        response_format=kind,  # type: ignore[arg-type]
        schema=bytes(shape.json_schema.schema),
        tools=tuple(DeclaredTool(t.function.name, bytes(t.function.parameters)) for t in asked.tools),
        tool_choice=choice.function.name if isinstance(choice, _Choice) else (choice or "auto"),
    )


def judge(
    verifiers: Verifiers, checks: tuple[Verifier, ...], chat_reply: bytes, context: VerifyContext
) -> Verdict | None:
    """The first verdict that rejects, None where all accept."""
    try:
        facts = read_reply(chat_reply)
    except BrokenReply as error:
        return Verdict(False, "shape", error.message)
    reply = _judged(facts)
    for check in checks:
        verdict = verifiers.verify(check, reply, context)
        if not verdict.accepted:
            return verdict
    return None


def _judged(facts: ReplyFacts) -> _Judged:
    calls = tuple((call.name, call.arguments) for call in facts.tool_calls)
    refusal = facts.text or "refused" if facts.refusal else ""
    return _Judged(facts.text, calls, facts.finish_reason, facts.mean_logprob, refusal)
