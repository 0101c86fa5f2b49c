"""What was said in a call, whichever surface it came through, as messages of a recorded run.

The stored bytes are the client's; nothing here fails on odd ones: `Unreadable` says why there is no telling.
"""

import hashlib
from collections.abc import Callable, Mapping

import msgspec

from trimtab.core import CallRecord, Surface
from trimtab.core.errors import BadRequest
from trimtab.traces.chat_line import LineMessage, LineToolCall
from trimtab.wire import (
    BrokenReply,
    chat_of_messages_reply,
    chat_of_messages_request,
    chat_of_responses_request,
)

_encode = msgspec.json.Encoder(order="sorted").encode
_NULL = msgspec.Raw(b"null")
_ROLES = {"developer": "system", "function": "tool"}
_SPOKEN: Mapping[Surface, tuple[str, ...]] = {
    "messages": ("model", "max_tokens", "system", "messages"),
    "responses": ("model", "instructions", "input"),
}


class Unreadable(ValueError):
    """A call of which nobody can tell what was said."""


class Exchange(msgspec.Struct, frozen=True):
    """One answered call: the messages it was sent and the reply, each with a key that says whether two are
    the same however they are written."""

    record: CallRecord
    messages: tuple[LineMessage, ...]
    keys: tuple[bytes, ...]
    reply: LineMessage
    reply_key: bytes
    tools: msgspec.Raw | None
    metadata: Mapping[str, str]


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str | dict[str, msgspec.Raw] | None = ""


class _ToolCall(msgspec.Struct):
    id: str | None = None
    function: _Function | None = None
    custom: _Function | None = None


class _Part(msgspec.Struct):
    type: str = ""
    text: str | None = None


class _Message(msgspec.Struct):
    role: str = "assistant"
    content: str | list[msgspec.Raw] | None = None
    tool_calls: list[_ToolCall] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None


class _Request(msgspec.Struct):
    messages: list[_Message]
    tools: msgspec.Raw = _NULL
    metadata: dict[str, object] | None = None


class _Choice(msgspec.Struct):
    message: _Message


class _Reply(msgspec.Struct):
    choices: list[_Choice]


class _ResponsesReply(msgspec.Struct):
    output: msgspec.Raw


def read_exchange(record: CallRecord) -> Exchange:
    """What an answered call's kept bytes say. Raises Unreadable."""
    if not record.request or not record.reply:
        raise Unreadable("its content was not kept")
    try:
        request = msgspec.json.decode(_chat_request(record), type=_Request)
        choices = msgspec.json.decode(_chat_reply(record), type=_Reply).choices
    except (BadRequest, BrokenReply, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"its content is no conversation: {error}") from error
    if not choices:
        raise Unreadable("its reply is empty")
    messages = tuple(_message(message) for message in request.messages)
    reply = _message(choices[0].message)
    metadata = {name: value for name, value in (request.metadata or {}).items() if isinstance(value, str)}
    tools = None if request.tools == _NULL else request.tools
    keys = tuple(_key(message) for message in messages)
    return Exchange(record, messages, keys, reply, _key(reply), tools, metadata)


def _chat_request(record: CallRecord) -> bytes:
    """The request in chat's shape. What chat has no word for (tools of the vendor's own) is left out."""
    convert: Mapping[Surface, Callable[[bytes], bytes]] = {
        "messages": chat_of_messages_request,
        "responses": chat_of_responses_request,
    }
    surface = record.call.surface
    if surface not in convert:
        return record.request
    try:
        return convert[surface](record.request)
    except BadRequest:
        whole = msgspec.json.decode(record.request, type=dict[str, msgspec.Raw])
        spoken = {name: whole[name] for name in _SPOKEN[surface] if name in whole}
        return convert[surface](msgspec.json.encode(spoken))


def _chat_reply(record: CallRecord) -> bytes:
    if record.call.surface == "messages":
        return chat_of_messages_reply(record.reply)
    if record.call.surface != "responses":
        return record.reply
    # What a response puts out is what the next request puts in, so the request's reader reads it.
    output = msgspec.json.decode(record.reply, type=_ResponsesReply).output
    said = chat_of_responses_request(msgspec.json.encode({"model": "", "input": output}))
    messages = msgspec.json.decode(said, type=_Request).messages
    return msgspec.json.encode({"choices": [{"message": message} for message in messages[-1:]]})


def _message(message: _Message) -> LineMessage:
    role = _ROLES.get(message.role, message.role)
    if role not in ("system", "user", "assistant", "tool"):
        raise Unreadable(f"it holds a message of role {role!r}")
    content = message.content if message.content is not None else message.refusal
    return LineMessage(
        role=role,  # type: ignore[arg-type]
        content=_content(content),
        tool_calls=tuple(_tool_call(call) for call in message.tool_calls or ()),
        tool_call_id=message.tool_call_id or None,
    )


def _content(content: str | list[msgspec.Raw] | None) -> str | list[msgspec.Raw] | None:
    """Text as text; a list only where it holds other things (images) too."""
    if not isinstance(content, list):
        return content
    try:
        parts = [msgspec.json.decode(raw, type=_Part) for raw in content]
    except msgspec.ValidationError:
        return content
    texts = [part.text for part in parts if part.type in ("text", "") and part.text is not None]
    return "".join(texts) if len(texts) == len(parts) else content


def _tool_call(call: _ToolCall) -> LineToolCall:
    function = call.function or call.custom or _Function()
    arguments = function.arguments or ""
    text = arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
    return LineToolCall(call.id or "", function.name, _object(text))


def _object(text: str) -> msgspec.Raw:
    """A model's arguments as the JSON of an object, without idle space."""
    try:
        compact = msgspec.json.format(text.encode() or b"{}", indent=-1)
        msgspec.json.decode(compact)
    except (msgspec.DecodeError, RecursionError, UnicodeError):
        compact = b""
    if not compact.startswith(b"{"):
        compact = msgspec.json.encode({"_raw": text})
    return msgspec.Raw(compact)


def _key(message: LineMessage) -> bytes:
    content = message.content
    parts = [msgspec.json.decode(raw) for raw in content] if isinstance(content, list) else content or ""
    calls = [[call.id, call.name, msgspec.json.decode(call.arguments)] for call in message.tool_calls]
    said = _encode([message.role, parts, calls, message.tool_call_id])
    return hashlib.blake2b(said, digest_size=16).digest()
