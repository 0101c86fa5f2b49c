"""Streams put together again: chunks in, at the end the plain reply they stand for. For traces, caches and
verifiers. Feeding only keeps the bytes; the work is done when the reply is asked for.
"""

from typing import Any

import msgspec

from trimtab.wire.chunk import CallSlots
from trimtab.wire.reasoning import shows_reasoning

_ANY = msgspec.json.Decoder()
_NAMED_ONCE = ("role", "type", "id", "index", "name")


class _Function(msgspec.Struct, gc=False):
    arguments: str | None = None
    name: str | None = None
    input: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    function: _Function | None = None
    custom: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    refusal: str | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: list[_ToolCall] | None = None
    function_call: _Function | None = None


class _Choice(msgspec.Struct, gc=False):
    delta: _Delta | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None


_CHUNK = msgspec.json.Decoder(_Chunk)


class ReplyCollector:
    """Gathers a chat stream. Chunks that are not JSON objects are passed over."""

    def __init__(self) -> None:
        self._chunks: list[bytes] = []
        self._counted = 0
        self._bytes = 0

    def feed(self, data: bytes) -> None:
        """Takes the data of one event; `[DONE]` may be among them."""
        self._chunks.append(data)

    @property
    def output_bytes(self) -> int:
        """UTF-8 bytes of text and arguments so far, over all choices."""
        for data in self._chunks[self._counted :]:
            self._bytes += _chunk_bytes(data)
        self._counted = len(self._chunks)
        return self._bytes

    @property
    def shows_reasoning(self) -> bool:
        """Whether there is a sign of reasoning in what came so far."""
        return any(map(shows_reasoning, self._chunks))

    def reply(self) -> bytes:
        """The plain chat completion. One without choices where no chunk had any; with the stream's own
        `error` member where it had one."""
        whole: dict[str, Any] = {"id": "", "object": "chat.completion", "created": 0, "model": ""}
        choices: dict[int, _ChoiceParts] = {}
        for data in self._chunks:
            chunk = object_of(data)
            for part in _objects(chunk.pop("choices", None)):
                index = part.get("index")
                key = index if isinstance(index, int) else 0
                choices.setdefault(key, _ChoiceParts(key)).add(part)
            chunk.pop("object", None)
            whole.update((name, value) for name, value in chunk.items() if value is not None)
        whole["choices"] = [choices[key].whole() for key in sorted(choices)]
        return encode_whole(whole)


class _ChoiceParts:
    """What is known of one choice: members of its own, and those of its message in pieces."""

    def __init__(self, index: int) -> None:
        self._own: dict[str, Any] = {"index": index, "finish_reason": None}
        self._message = _Pieces()
        self._slots = CallSlots()
        self._calls: list[_CallParts] = []
        self._logprobs: dict[str, list[Any]] = {}

    def add(self, part: dict[str, Any]) -> None:
        delta, logprobs = part.pop("delta", None), part.pop("logprobs", None)
        part.pop("index", None)
        self._own.update((name, value) for name, value in part.items() if value is not None)
        if isinstance(logprobs, dict):
            for name, tokens in logprobs.items():
                if isinstance(tokens, list):
                    self._logprobs.setdefault(name, []).extend(tokens)
        if isinstance(delta, dict):
            for call in _objects(delta.pop("tool_calls", None)):
                self._add_call(call)
            self._message.add(delta)

    def _add_call(self, call: dict[str, Any]) -> None:
        id = call.get("id")
        slot = self._slots.slot(call.pop("index", None), id if isinstance(id, str) else "")
        if slot == len(self._calls):
            self._calls.append(_CallParts())
        self._calls[slot].add(call)

    def whole(self) -> dict[str, Any]:
        message = {"role": "assistant", "content": None} | self._message.whole()
        if self._calls:
            message["tool_calls"] = [call.whole() for call in self._calls]
        return self._own | {"message": message, "logprobs": self._logprobs or None}


class _CallParts:
    """One tool call in pieces."""

    def __init__(self) -> None:
        self._own = _Pieces()
        self._inner: dict[str, _Pieces] = {}

    def add(self, call: dict[str, Any]) -> None:
        for name in ("function", "custom"):
            inner = call.pop(name, None)
            if isinstance(inner, dict):
                self._inner.setdefault(name, _Pieces()).add(inner)
        self._own.add(call)

    def whole(self) -> dict[str, Any]:
        call: dict[str, Any] = {"id": "", "type": "function"} | self._own.whole()
        for name, pieces in self._inner.items():
            inner = {"name": ""} | pieces.whole()
            call[name] = {"arguments": ""} | inner if name == "function" else inner
        return call


class _Pieces:
    """Members of which texts and lists grow from delta to delta, while all others are told once or anew.

    So do those of an object inside (streamed audio), but not of one inside that.
    """

    def __init__(self, *, nested: bool = False) -> None:
        self._nested = nested
        self._texts: dict[str, list[str]] = {}
        self._lists: dict[str, list[Any]] = {}
        self._others: dict[str, Any] = {}

    def add(self, delta: dict[str, Any]) -> None:
        for name, value in delta.items():
            if value is None or (name in _NAMED_ONCE and self._others.get(name)):
                continue
            if name in _NAMED_ONCE:
                self._others[name] = value
            elif isinstance(value, str):
                self._texts.setdefault(name, []).append(value)
            elif isinstance(value, list):
                self._lists.setdefault(name, []).extend(value)
            else:
                self._add_other(name, value)

    def _add_other(self, name: str, value: object) -> None:
        if not isinstance(value, dict) or self._nested:
            self._others[name] = value
            return
        if not isinstance(self._others.get(name), _Pieces):
            self._others[name] = _Pieces(nested=True)
        self._others[name].add(value)

    def whole(self) -> dict[str, Any]:
        texts = {name: "".join(pieces) for name, pieces in self._texts.items()}
        others = {n: v.whole() if isinstance(v, _Pieces) else v for n, v in self._others.items()}
        return others | self._lists | texts


def encode_whole(whole: dict[str, Any]) -> bytes:
    """`whole` as JSON, or an error in its place where putting it together made it too deep to write."""
    try:
        return msgspec.json.encode(whole)
    except RecursionError:
        return msgspec.json.encode({"error": {"message": "the stream is nested too deeply"}})


def object_of(data: bytes) -> dict[str, Any]:
    """The JSON object in `data`, {} where it is none."""
    try:
        value = _ANY.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _chunk_bytes(data: bytes) -> int:
    try:
        chunk = _CHUNK.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return 0
    return sum(_delta_bytes(choice.delta) for choice in chunk.choices or () if choice.delta is not None)


def _delta_bytes(delta: _Delta) -> int:
    texts = [delta.content, delta.refusal, delta.reasoning_content or delta.reasoning]
    functions = [call.function or call.custom for call in delta.tool_calls or ()]
    for function in (*functions, delta.function_call):
        if function is not None:
            texts += (function.name, function.arguments, function.input)
    return sum(len(text.encode()) for text in texts if text)


def _objects(value: object) -> list[dict[str, Any]]:
    return [inner for inner in value if isinstance(inner, dict)] if isinstance(value, list) else []
