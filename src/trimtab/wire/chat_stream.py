"""An Anthropic Messages stream told as an OpenAI chat stream, event by event.

Source: https://docs.anthropic.com/en/docs/build-with-claude/streaming
"""

from collections.abc import Iterator

import msgspec

from trimtab.wire.body import NULL
from trimtab.wire.chat_from_messages import finish_reason
from trimtab.wire.counts import chat_counts
from trimtab.wire.error import error_message, openai_error
from trimtab.wire.messages_shape import ReplyBlock
from trimtab.wire.reply import BrokenReply, decode_reply
from trimtab.wire.sse import DONE, SseEvent, encode_event
from trimtab.wire.usage import StreamUsage

_Json = dict[str, object]


class _Message(msgspec.Struct, gc=False):
    id: str = ""
    model: str = ""


class _Delta(msgspec.Struct, gc=False):
    text: str | None = None
    thinking: str | None = None
    partial_json: str | None = None
    stop_reason: str | None = None


class _Event(msgspec.Struct, gc=False):
    type: str = ""
    index: int = 0
    message: _Message | None = None
    content_block: ReplyBlock | None = None
    delta: _Delta | None = None


_EVENT = msgspec.json.Decoder(_Event)


class _Call:
    """A tool call on its way: its number in the chat reply, and whether arguments have been told."""

    def __init__(self, number: int) -> None:
        self.number, self.told = number, False


class MessagesToChatStream:
    """A Messages stream told as a chat stream, under the name `model`.

    `include_usage` adds the closing usage chunk; `created` (epoch seconds) goes into every chunk. Thinking
    is told as `reasoning_content`. An error, or an end before the reply is whole, becomes an `error` chunk;
    nothing follows it.
    """

    def __init__(self, model: str, include_usage: bool, created: int = 0) -> None:
        self._include_usage = include_usage
        self._head: _Json = {"id": "", "object": "chat.completion.chunk", "created": created, "model": model}
        self._usage = StreamUsage()
        self._calls: dict[int, _Call] = {}
        self._finished = self._ended = False

    def feed(self, event: SseEvent) -> bytes:
        """What to send the client for one event of the endpoint, b'' if nothing."""
        if self._ended:
            return b""
        if event.data == b"[DONE]":
            return self.finish()
        try:
            told = decode_reply(_EVENT, event.data)
        except BrokenReply as error:
            return self._fail(error.message)
        self._usage.feed(event.data)
        if told.type == "error":
            return self._fail(error_message(event.data) or "the endpoint broke off with an error")
        return self.finish() if told.type == "message_stop" else b"".join(self._tell(told))

    def finish(self) -> bytes:
        """The end of the stream. b'' if it is already out."""
        if self._ended:
            return b""
        if not self._finished:
            return self._fail("the endpoint's stream ended before the reply was whole")
        self._ended = True
        usage = self._usage.usage
        if usage is None or not self._include_usage:
            return DONE
        closing: _Json = {"choices": [], "usage": chat_counts(usage)}
        return encode_event(msgspec.json.encode(self._head | closing)) + DONE

    def _fail(self, message: str) -> bytes:
        self._ended = True
        return encode_event(openai_error(message, "upstream_error", "upstream_error", None))

    def _tell(self, event: _Event) -> Iterator[bytes]:
        if event.type == "message_start" and event.message is not None:
            self._head["id"] = event.message.id
            self._head["model"] = self._head["model"] or event.message.model
            yield self._chunk({"role": "assistant", "content": ""})
        elif event.type == "content_block_start" and event.content_block is not None:
            yield from self._begin(event.index, event.content_block)
        elif event.type == "content_block_delta" and event.delta is not None:
            yield from self._grow(event.index, event.delta)
        elif event.type == "content_block_stop":
            call = self._calls.get(event.index)
            if call is not None and not call.told:
                yield self._arguments(call, "{}")
        elif event.type == "message_delta" and event.delta is not None and event.delta.stop_reason:
            self._finished = True
            yield self._chunk({}, finish_reason(event.delta.stop_reason))

    def _begin(self, index: int, block: ReplyBlock) -> Iterator[bytes]:
        if block.type == "text" and block.text:
            yield self._chunk({"content": block.text})
        if block.type != "tool_use":
            return
        call = self._calls[index] = _Call(len(self._calls))
        function = {"name": block.name, "arguments": ""}
        begun = {"index": call.number, "id": block.id, "type": "function", "function": function}
        yield self._chunk({"tool_calls": [begun]})
        if block.input not in (NULL, msgspec.Raw(b"{}")):
            yield self._arguments(call, bytes(block.input).decode())

    def _grow(self, index: int, delta: _Delta) -> Iterator[bytes]:
        call = self._calls.get(index)
        if delta.text:
            yield self._chunk({"content": delta.text})
        elif delta.thinking:
            yield self._chunk({"reasoning_content": delta.thinking})
        elif delta.partial_json and call is not None:
            yield self._arguments(call, delta.partial_json)

    def _arguments(self, call: _Call, text: str) -> bytes:
        call.told = True
        return self._chunk({"tool_calls": [{"index": call.number, "function": {"arguments": text}}]})

    def _chunk(self, delta: _Json, finish: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish}
        return encode_event(msgspec.json.encode(self._head | {"choices": [choice]}))
