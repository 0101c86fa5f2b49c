"""One chunk of a chat stream in types, and which tool call a delta in it belongs to. Serves the translators
of streams and the collector."""

import msgspec

from trimtab.wire.chat_shape import ReplyPart, argument_text, text_of
from trimtab.wire.error import error_message
from trimtab.wire.reply import BrokenReply, decode_reply


class FunctionDelta(msgspec.Struct, gc=False):
    """The next piece of a call's function."""

    name: str | None = None
    arguments: str | dict[str, msgspec.Raw] | None = None


class CallDelta(msgspec.Struct, gc=False):
    """The next piece of a tool call."""

    index: int | None = None
    id: str | None = None
    function: FunctionDelta | None = None

    @property
    def name(self) -> str:
        """The function's name, '' where this delta does not tell."""
        return self.function.name or "" if self.function else ""

    @property
    def arguments(self) -> str:
        """The next piece of the arguments' JSON text."""
        return argument_text(self.function.arguments or "") if self.function else ""


class Delta(msgspec.Struct, gc=False):
    """The next piece of a message."""

    content: str | list[ReplyPart] | None = None
    refusal: str | None = None
    tool_calls: list[CallDelta] | None = None

    @property
    def text(self) -> str:
        """The text in `content`."""
        return text_of(self.content)


class ChunkChoice(msgspec.Struct, gc=False):
    """One choice's part of a chunk. `stop_reason`: the stop text met, where the endpoint tells (vLLM)."""

    index: int | None = None
    delta: Delta | None = None
    finish_reason: str | None = None
    stop_reason: str | int | None = None


class Chunk(msgspec.Struct, gc=False):
    """A chat completion chunk."""

    id: str | None = None
    created: float | None = None
    model: str | None = None
    choices: list[ChunkChoice] | None = None
    error: object = None


_CHUNK = msgspec.json.Decoder(Chunk)


def read_chunk(data: bytes) -> Chunk:
    """The chunk in `data`. Raises BrokenReply where it is none, or an error in a chunk's clothes."""
    chunk = decode_reply(_CHUNK, data)
    if chunk.error:
        raise BrokenReply(error_message(data) or "the endpoint broke off with an error")
    return chunk


class CallSlots:
    """Numbers the tool calls of one message in the order they begin.

    Deltas name their call by index. Some endpoints leave it out, and some give every call the same one with
    another id.
    """

    def __init__(self) -> None:
        self._known: list[tuple[object, str]] = []

    def slot(self, index: object, id: str) -> int:
        """The number of the call that a delta with this `index` and `id` ('' if none) belongs to."""
        for slot in range(len(self._known) - 1, -1, -1):
            known_index, known_id = self._known[slot]
            if index is not None and known_index != index:
                continue
            if not id or not known_id or known_id == id:
                self._known[slot] = (known_index, known_id or id)
                return slot
        self._known.append((index, id))
        return len(self._known) - 1
