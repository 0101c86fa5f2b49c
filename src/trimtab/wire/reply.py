"""A chat reply as verifiers, caches and traces see it, and the way back from a plain reply to a stream."""

from typing import TypeVar

import msgspec

from trimtab.wire.body import NULL
from trimtab.wire.chat_shape import ReplyPart, argument_text, text_of
from trimtab.wire.error import error_message
from trimtab.wire.sse import DONE, encode_event

_T = TypeVar("_T")


class BrokenReply(ValueError):
    """An endpoint's reply that is none: not JSON, an error in a reply's clothes, nothing chosen."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class ToolCall(msgspec.Struct, frozen=True, gc=False):
    """A tool the model wants called. `arguments` is the model's JSON text, unchecked."""

    name: str
    arguments: str


class ReplyFacts(msgspec.Struct, frozen=True, gc=False):
    """The first choice of a reply. `mean_logprob` is in nats, None where none were given; `output_bytes`
    counts the UTF-8 of all that was generated, over all choices."""

    text: str
    tool_calls: tuple[ToolCall, ...]
    finish_reason: str
    mean_logprob: float | None
    refusal: bool
    output_bytes: int


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | dict[str, msgspec.Raw] | None = None
    input: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None
    custom: _Function | None = None


class _Message(msgspec.Struct, gc=False):
    content: str | list[ReplyPart] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None


class _Logprob(msgspec.Struct, gc=False):
    logprob: float | None = None


class _Logprobs(msgspec.Struct, gc=False):
    content: list[_Logprob] | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Reply(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    error: object = None


_REPLY = msgspec.json.Decoder(_Reply)


def decode_reply(decoder: "msgspec.json.Decoder[_T]", body: bytes) -> _T:
    """An endpoint's bytes as the decoder's type. Raises BrokenReply saying what is wrong with them."""
    try:
        # msgspec passes over the bytes of what it is not asked for, so their encoding is checked here.
        if not body.isascii():
            body.decode()
        return decoder.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BrokenReply(f"not what an endpoint replies: {error}") from None


def read_reply(body: bytes) -> ReplyFacts:
    """The facts of a plain chat reply. Raises BrokenReply where `body` is not one."""
    reply = decode_reply(_REPLY, body)
    if reply.error:
        raise BrokenReply(error_message(body) or "the endpoint answered with an error")
    if not reply.choices:
        raise BrokenReply("a chat reply without choices")
    first = reply.choices[0]
    return ReplyFacts(
        text=text_of(first.message.content),
        tool_calls=_tool_calls(first.message),
        finish_reason=first.finish_reason or "",
        mean_logprob=_mean_logprob(first.logprobs),
        refusal=bool(first.message.refusal),
        output_bytes=sum(_generated_bytes(choice.message) for choice in reply.choices),
    )


def _tool_calls(message: _Message) -> tuple[ToolCall, ...]:
    calls = [call.function or call.custom for call in message.tool_calls or ()]
    calls.append(message.function_call)
    return tuple(
        ToolCall(call.name or "", argument_text(call.arguments or call.input or "")) for call in calls if call
    )


def _mean_logprob(logprobs: _Logprobs | None) -> float | None:
    tokens = logprobs.content if logprobs is not None else None
    values = [token.logprob for token in tokens or () if token.logprob is not None]
    return sum(values) / len(values) if values else None


def _generated_bytes(message: _Message) -> int:
    texts = [text_of(message.content), message.refusal, message.reasoning_content or message.reasoning]
    for call in _tool_calls(message):
        texts += (call.name, call.arguments)
    return sum(len(text.encode()) for text in texts if text)


class _WholeChoice(msgspec.Struct, gc=False):
    message: dict[str, object]
    index: int = 0
    finish_reason: object = None
    logprobs: object = None


class _WholeReply(msgspec.Struct, gc=False):
    choices: list[_WholeChoice]
    id: str | None = None
    created: float | None = None
    model: str | None = None
    system_fingerprint: str | None = None
    usage: msgspec.Raw = NULL


_WHOLE = msgspec.json.Decoder(_WholeReply)


def stream_of_reply(body: bytes, include_usage: bool) -> bytes:
    """A plain chat reply as the complete event stream that a client asking for one expects.

    Raises BrokenReply where `body` is not a chat reply.
    """
    reply = decode_reply(_WHOLE, body)
    head: dict[str, object] = {
        "id": reply.id or "chatcmpl-0",
        "object": "chat.completion.chunk",
        "created": int(reply.created or 0),
        "model": reply.model or "",
    }
    if reply.system_fingerprint:
        head["system_fingerprint"] = reply.system_fingerprint
    tail = {"usage": None} if include_usage else {}
    chunks: list[dict[str, object]] = []
    for choice in reply.choices:
        start = {"index": choice.index, "delta": _delta(choice.message), "finish_reason": None}
        if choice.logprobs is not None:
            start["logprobs"] = choice.logprobs
        end = {"index": choice.index, "delta": {}, "finish_reason": choice.finish_reason}
        chunks += ({"choices": [start]}, {"choices": [end]})
    events = [encode_event(msgspec.json.encode(head | chunk | tail)) for chunk in chunks]
    if include_usage and reply.usage != NULL:
        events.append(encode_event(msgspec.json.encode(head | {"choices": [], "usage": reply.usage})))
    return b"".join(events) + DONE


def _delta(message: dict[str, object]) -> dict[str, object]:
    """A whole message as one delta: the same members, tool calls numbered."""
    calls = message.get("tool_calls")
    if not isinstance(calls, list):
        return {name: value for name, value in message.items() if name != "tool_calls"}
    numbered = [{"index": i} | call for i, call in enumerate(calls) if isinstance(call, dict)]
    return message | {"tool_calls": numbered}
