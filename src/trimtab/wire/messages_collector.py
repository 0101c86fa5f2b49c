"""An Anthropic stream put together again: events in, at the end the plain message they stand for."""

from typing import Any

import msgspec

from trimtab.wire.collector import encode_whole, object_of
from trimtab.wire.reasoning import shows_reasoning

_FIELDS = msgspec.json.Decoder(dict[str, msgspec.Raw])
# Member of the delta, member of the block it grows.
_GROWING = {"text": "text", "thinking": "thinking", "signature": "signature", "partial_json": "input"}


class MessagesCollector:
    """Gathers a Messages stream. Events that are not JSON objects are passed over."""

    def __init__(self) -> None:
        self._events: list[bytes] = []
        self._counted = 0
        self._bytes = 0

    def feed(self, data: bytes) -> None:
        """Takes the data of one event."""
        self._events.append(data)

    @property
    def output_bytes(self) -> int:
        """UTF-8 bytes of text, thinking and tool input so far."""
        for data in self._events[self._counted :]:
            if b"_delta" in data or b"tool_use" in data:
                self._bytes += _event_bytes(object_of(data))
        self._counted = len(self._events)
        return self._bytes

    @property
    def shows_reasoning(self) -> bool:
        """Whether there is a sign of thinking in what came so far."""
        return any(map(shows_reasoning, self._events))

    def reply(self) -> bytes:
        """The plain message; the stream's own `error` member is kept where it had one."""
        message: dict[str, Any] = {"id": "", "type": "message", "role": "assistant", "model": ""}
        blocks: dict[int, _BlockParts] = {}
        usage: dict[str, Any] = {}
        for data in self._events:
            event = object_of(data)
            _gather(event, message, blocks)
            started = event.get("message")
            counts = started.get("usage") if isinstance(started, dict) else event.get("usage")
            if isinstance(counts, dict):
                usage.update((name, value) for name, value in counts.items() if value is not None)
        message = {"stop_reason": None, "stop_sequence": None} | message
        message["content"] = [blocks[index].whole() for index in sorted(blocks)]
        message["usage"] = {"input_tokens": 0, "output_tokens": 0} | usage
        return encode_whole(message)


class _BlockParts:
    """One content block: as it started, and the pieces since."""

    def __init__(self, start: dict[str, Any]) -> None:
        self._start = start
        self._pieces: dict[str, list[str]] = {}
        self._citations: list[Any] = []

    def add(self, delta: dict[str, Any]) -> None:
        for name, member in _GROWING.items():
            piece = delta.get(name)
            if isinstance(piece, str):
                self._pieces.setdefault(member, []).append(piece)
        if "citation" in delta:
            self._citations.append(delta["citation"])

    def whole(self) -> dict[str, Any]:
        block = dict(self._start)
        for member, pieces in self._pieces.items():
            text = "".join(pieces)
            if member == "input":
                block[member] = _input(text)
            else:
                begun = block.get(member)
                block[member] = (begun if isinstance(begun, str) else "") + text
        if self._citations:
            block["citations"] = self._citations
        return block


def _gather(event: dict[str, Any], message: dict[str, Any], blocks: dict[int, _BlockParts]) -> None:
    kind, index = event.get("type"), event.get("index")
    if kind == "message_start" and isinstance(event.get("message"), dict):
        message.update(event["message"])
    elif kind == "content_block_start" and isinstance(event.get("content_block"), dict):
        if isinstance(index, int):
            blocks[index] = _BlockParts(event["content_block"])
    elif kind == "content_block_delta" and isinstance(event.get("delta"), dict):
        if isinstance(index, int) and index in blocks:
            blocks[index].add(event["delta"])
    elif kind == "message_delta" and isinstance(event.get("delta"), dict):
        message.update((name, value) for name, value in event["delta"].items() if value is not None)
    elif kind == "error":
        message["error"] = event.get("error")


def _input(text: str) -> object:
    """A tool's input; {} where it is empty or was cut short."""
    try:
        _FIELDS.decode(text.encode())
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        return {}
    return msgspec.Raw(text.encode())


def _event_bytes(event: dict[str, Any]) -> int:
    delta, block = event.get("delta"), event.get("content_block")
    texts: list[object] = []
    if isinstance(delta, dict):
        texts += [delta.get("text"), delta.get("thinking"), delta.get("partial_json")]
    if isinstance(block, dict):
        texts += [block.get("text"), block.get("thinking"), block.get("name")]
    return sum(len(text.encode()) for text in texts if isinstance(text, str))
