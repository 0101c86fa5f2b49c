"""Streams between OpenAI chat and Anthropic Messages, event by event: each chunk is passed on as soon as the
other protocol allows. The gateway feeds what an endpoint sends and writes what comes back.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from collections.abc import Iterator

import msgspec

from trimtab.wire.chunk import CallDelta, CallSlots, Chunk, ChunkChoice, read_chunk
from trimtab.wire.counts import messages_counts
from trimtab.wire.error import anthropic_error
from trimtab.wire.messages_from_chat import call_id, message_id, stop_reason
from trimtab.wire.reply import BrokenReply
from trimtab.wire.sse import SseEvent, encode_event
from trimtab.wire.usage import StreamUsage

_Json = dict[str, object]


class _Block:
    """A content block that began while another was open; it waits, as Messages sends one after the other."""

    def __init__(self, slot: int | None, id: str = "", name: str = "") -> None:
        self.slot, self.id, self.name = slot, id, name
        self.pieces: list[str] = []


class ChatToMessagesStream:
    """A chat stream told as a Messages stream, under the name `model`.

    Of tool calls whose deltas come mixed, the first goes out live and the others once the stream ends.
    Input tokens are known only at the end, in `message_delta`. An error, or an end before the reply is
    whole, becomes an `error` event; nothing follows it.
    """

    def __init__(self, model: str) -> None:
        self._model = model
        self._usage = StreamUsage()
        self._slots = CallSlots()
        self._started = self._ended = self._called = self._refused = False
        self._open: _Block | None = None
        self._waiting: list[_Block] = []
        self._index = -1
        self._finish_reason: str | None = None
        self._stop_sequence: str | None = None

    def feed(self, event: SseEvent) -> bytes:
        """What to send the client for one event of the endpoint, b'' if nothing."""
        if self._ended:
            return b""
        if event.data == b"[DONE]":
            return self.finish()
        try:
            chunk = read_chunk(event.data)
        except BrokenReply as error:
            return self._fail(error.message)
        self._usage.feed(event.data)
        out = [] if self._started else [self._start(chunk)]
        for choice in chunk.choices or ():
            if not choice.index:
                out += self._choice(choice)
        return b"".join(out)

    def finish(self) -> bytes:
        """The end of the message, or of a stream that broke off. b'' if the end is already out."""
        if self._ended:
            return b""
        if self._finish_reason is None:
            return self._fail("the endpoint's stream ended before the reply was whole")
        self._ended = True
        out = [*self._close()]
        for block in self._waiting:
            out += [*self._begin(block), *self._grow("".join(block.pieces)), *self._close()]
        finish = "content_filter" if self._refused else self._finish_reason
        stop = stop_reason(finish, called=self._called)
        met = self._stop_sequence if stop == "end_turn" else None
        usage = self._usage.usage
        delta = {"stop_reason": "stop_sequence" if met else stop, "stop_sequence": met}
        counts = {"output_tokens": 0} if usage is None else messages_counts(usage)
        out += [_event("message_delta", {"delta": delta, "usage": counts}), _event("message_stop", {})]
        return b"".join(out)

    def _fail(self, message: str) -> bytes:
        self._ended = True
        return encode_event(anthropic_error(message, "api_error"), "error")

    def _start(self, chunk: Chunk) -> bytes:
        self._started = True
        message: _Json = {
            "id": message_id(chunk.id),
            "type": "message",
            "role": "assistant",
            "model": self._model or chunk.model or "",
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": {"input_tokens": 0, "output_tokens": 0},
        }
        return _event("message_start", {"message": message})

    def _choice(self, choice: ChunkChoice) -> Iterator[bytes]:
        delta = choice.delta
        if delta is not None:
            self._refused = self._refused or bool(delta.refusal)
            yield from self._text(delta.text or delta.refusal or "")
            for call in delta.tool_calls or ():
                yield from self._call(call)
        if choice.finish_reason is not None:
            self._finish_reason = choice.finish_reason
            self._stop_sequence = choice.stop_reason if isinstance(choice.stop_reason, str) else None

    def _text(self, text: str) -> Iterator[bytes]:
        if not text:
            return
        if self._open is not None and self._open.slot is not None:
            if not self._waiting or self._waiting[-1].slot is not None:
                self._waiting.append(_Block(None))
            self._waiting[-1].pieces.append(text)
            return
        if self._open is None:
            yield from self._begin(_Block(None))
        yield from self._grow(text)

    def _call(self, call: CallDelta) -> Iterator[bytes]:
        self._called = True
        slot = self._slots.slot(call.index, call.id or "")
        if self._open is not None and self._open.slot == slot:
            yield from self._grow(call.arguments)
            return
        block = next((block for block in self._waiting if block.slot == slot), None)
        if block is None and call.name and (self._open is None or self._open.slot is None):
            yield from self._close()
            yield from self._begin(_Block(slot, call.id or "", call.name))
            yield from self._grow(call.arguments)
            return
        if block is None:
            block = _Block(slot)
            self._waiting.append(block)
        block.id, block.name = block.id or call.id or "", block.name or call.name
        block.pieces.append(call.arguments)

    def _begin(self, block: _Block) -> Iterator[bytes]:
        self._index += 1
        self._open = block
        content: _Json = {"type": "text", "text": ""}
        if block.slot is not None:
            id = call_id(block.id or f"call_{block.slot}")
            content = {"type": "tool_use", "id": id, "name": block.name, "input": {}}
        yield _event("content_block_start", {"index": self._index, "content_block": content})

    def _grow(self, text: str) -> Iterator[bytes]:
        assert self._open is not None
        delta = {"type": "text_delta", "text": text}
        if self._open.slot is not None:
            delta = {"type": "input_json_delta", "partial_json": text}
        if text:
            yield _event("content_block_delta", {"index": self._index, "delta": delta})

    def _close(self) -> Iterator[bytes]:
        if self._open is not None:
            self._open = None
            yield _event("content_block_stop", {"index": self._index})


def _event(kind: str, members: _Json) -> bytes:
    return encode_event(msgspec.json.encode({"type": kind} | members), kind)
