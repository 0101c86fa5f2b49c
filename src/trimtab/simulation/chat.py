"""The OpenAI chat shapes as a simulated endpoint writes them and as the traffic driver reads them back.

Used by the expert, the cassette and the driver; never by the gateway, whose own shapes stand in `wire/`.
"""

from collections.abc import Iterator
from typing import Literal

import msgspec

from trimtab.core import Usage

_PIECE_CHARACTERS = 24


class FunctionCall(msgspec.Struct, frozen=True):
    """A function's name and its arguments as JSON text."""

    name: str
    arguments: str


class ToolCall(msgspec.Struct, frozen=True):
    """A tool call as the assistant writes it."""

    id: str
    function: FunctionCall
    type: Literal["function"] = "function"


class Message(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message of a request; `content` is written even where it is null."""

    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[msgspec.Raw] | None
    tool_calls: tuple[ToolCall, ...] = ()
    tool_call_id: str | None = None


class StreamOptions(msgspec.Struct, frozen=True):
    """Whether a stream ends with a usage chunk."""

    include_usage: bool = False


class ChatBody(msgspec.Struct, frozen=True, omit_defaults=True):
    """A request body. `trimtab_cassette` is a vendor field that gateways pass through."""

    model: str
    messages: tuple[Message, ...]
    tools: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    stream: bool = False
    stream_options: StreamOptions | None = None
    trimtab_cassette: str | None = None


class Reply(msgspec.Struct, frozen=True):
    """What an endpoint answered; `usage` is None where it did not say."""

    content: str | None
    tool_calls: tuple[ToolCall, ...] = ()
    usage: Usage | None = None
    finish: str = "stop"


class Stamp(msgspec.Struct, frozen=True):
    """What stands on every chunk of one reply."""

    id: str
    created: int
    model: str
    fingerprint: str


class _PromptDetails(msgspec.Struct, omit_defaults=True):
    cached_tokens: int | None = 0
    cache_write_tokens: int | None = 0


class _CompletionDetails(msgspec.Struct, omit_defaults=True):
    reasoning_tokens: int | None = 0


class _WireUsage(msgspec.Struct, omit_defaults=True):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int | None = None
    prompt_tokens_details: _PromptDetails | None = None
    completion_tokens_details: _CompletionDetails | None = None

    def known(self) -> Usage:
        """The same in the vocabulary of the house."""
        prompt = self.prompt_tokens_details or _PromptDetails()
        completion = self.completion_tokens_details or _CompletionDetails()
        return Usage(
            input_tokens=self.prompt_tokens,
            output_tokens=self.completion_tokens,
            cached_tokens=prompt.cached_tokens or 0,
            cache_write_tokens=prompt.cache_write_tokens or 0,
            reasoning_tokens=completion.reasoning_tokens or 0,
        )


class _FunctionDelta(msgspec.Struct):
    name: str | None = None
    arguments: str | None = None


class _ToolDelta(msgspec.Struct):
    index: int | None = None
    id: str | None = None
    function: _FunctionDelta = msgspec.field(default_factory=_FunctionDelta)


class _Said(msgspec.Struct):
    content: str | None = None
    tool_calls: list[_ToolDelta] | None = None


class _Choice(msgspec.Struct):
    delta: _Said = msgspec.field(default_factory=_Said)
    message: _Said = msgspec.field(default_factory=_Said)
    finish_reason: str | None = None


class _Fault(msgspec.Struct):
    message: str = ""
    code: str | int | None = None


class _Event(msgspec.Struct):
    choices: list[_Choice] = []
    usage: _WireUsage | None = None
    error: _Fault | None = None


_EVENT = msgspec.json.Decoder(_Event)


def _wire_usage(usage: Usage) -> _WireUsage:
    cached, written, reasoning = usage.cached_tokens, usage.cache_write_tokens, usage.reasoning_tokens
    return _WireUsage(
        usage.input_tokens,
        usage.output_tokens,
        usage.total_tokens,
        _PromptDetails(cached, written) if cached or written else None,
        _CompletionDetails(reasoning) if reasoning else None,
    )


def plain_body(reply: Reply, stamp: Stamp) -> bytes:
    """The JSON body of a plain reply; the `usage` field is absent where the reply has none."""
    message: dict[str, object] = {"role": "assistant", "content": reply.content}
    if reply.tool_calls:
        message["tool_calls"] = reply.tool_calls
    body: dict[str, object] = {
        "id": stamp.id,
        "object": "chat.completion",
        "created": stamp.created,
        "model": stamp.model,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": reply.finish}],
        "system_fingerprint": stamp.fingerprint,
    }
    if reply.usage is not None:
        body["usage"] = _wire_usage(reply.usage)
    return msgspec.json.encode(body)


def _deltas(reply: Reply) -> Iterator[dict[str, object]]:
    yield {"role": "assistant", "content": None if reply.content is None else ""}
    for piece in pieces(reply.content or ""):
        yield {"content": piece}
    for index, call in enumerate(reply.tool_calls):
        head = {"name": call.function.name, "arguments": ""}
        yield {"tool_calls": [{"index": index, "id": call.id, "type": "function", "function": head}]}
        for piece in pieces(call.function.arguments):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def stream_events(reply: Reply, stamp: Stamp, options: StreamOptions | None) -> list[bytes]:
    """The reply as server-sent events: role, pieces, finish, a usage chunk if asked for and known, [DONE]."""
    base: dict[str, object] = {
        "id": stamp.id,
        "object": "chat.completion.chunk",
        "created": stamp.created,
        "model": stamp.model,
        "system_fingerprint": stamp.fingerprint,
    }
    counted = options is not None and options.include_usage and reply.usage is not None
    if counted:
        base["usage"] = None
    chunks = [
        base | {"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in _deltas(reply)
    ]
    chunks.append(base | {"choices": [{"index": 0, "delta": {}, "finish_reason": reply.finish}]})
    if counted and reply.usage is not None:
        chunks.append(base | {"choices": [], "usage": _wire_usage(reply.usage)})
    return [b"data: " + msgspec.json.encode(chunk) + b"\n\n" for chunk in chunks] + [b"data: [DONE]\n\n"]


def error_body(message: str, code: str) -> bytes:
    """An error in OpenAI's shape."""
    kind = "invalid_request_error"
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": None, "code": code}})


def pieces(text: str) -> list[str]:
    """The text cut as a stream cuts it."""
    return [text[at : at + _PIECE_CHARACTERS] for at in range(0, len(text), _PIECE_CHARACTERS)]


class ReplyReader:
    """Puts a reply together from a plain body or from a stream's bytes, however they are cut."""

    def __init__(self) -> None:
        self._buffer = b""
        self._content: list[str] | None = None
        self._tools: dict[int, _ToolDelta] = {}
        self._usage: Usage | None = None
        self._finish = ""
        self.fault: str = ""

    @property
    def begun(self) -> bool:
        """Whether any content or tool call has arrived."""
        return bool(self._tools) or any(self._content or ())

    def feed(self, data: bytes) -> None:
        """Takes the next bytes of a stream. Raises msgspec.DecodeError where an event is not readable."""
        *lines, self._buffer = (self._buffer + data).split(b"\n")
        for line in lines:
            if line.startswith(b"data:") and (payload := line[5:].strip()) != b"[DONE]":
                self._take(_EVENT.decode(payload))

    def read(self, body: bytes) -> None:
        """Takes a whole plain body. Raises msgspec.DecodeError where it is not readable."""
        self._take(_EVENT.decode(body))

    def reply(self) -> Reply:
        """The reply so far; `finish` is empty where the stream broke off."""
        calls = tuple(
            ToolCall(delta.id or "", FunctionCall(delta.function.name or "", delta.function.arguments or ""))
            for _, delta in sorted(self._tools.items())
        )
        content = None if self._content is None else "".join(self._content)
        return Reply(content=content, tool_calls=calls, usage=self._usage, finish=self._finish)

    def _take(self, event: _Event) -> None:
        if event.error is not None:
            self.fault = event.error.message or "error event"
        if event.usage is not None:
            self._usage = event.usage.known()
        for choice in event.choices[:1]:
            self._finish = choice.finish_reason or self._finish
            for said in (choice.message, choice.delta):
                self._hear(said)

    def _hear(self, said: _Said) -> None:
        if said.content is not None:
            self._content = self._content if self._content is not None else []
            self._content.append(said.content)
        for place, delta in enumerate(said.tool_calls or ()):
            at = place if delta.index is None else delta.index
            known = self._tools.setdefault(at, _ToolDelta())
            known.id = known.id or delta.id
            known.function.name = known.function.name or delta.function.name
            known.function.arguments = (known.function.arguments or "") + (delta.function.arguments or "")
