"""An OpenAI chat stream told as a Responses stream, event by event.

Source: https://platform.openai.com/docs/api-reference/responses-streaming
"""

from collections.abc import Iterator

import msgspec

from trimtab.wire.chunk import CallDelta, CallSlots, Chunk, ChunkChoice, read_chunk
from trimtab.wire.counts import responses_counts
from trimtab.wire.reply import BrokenReply
from trimtab.wire.responses_from_chat import (
    call_item,
    incomplete_details,
    message_item,
    response_object,
    status_of,
    text_part,
)
from trimtab.wire.sse import SseEvent, encode_event
from trimtab.wire.usage import StreamUsage

_Json = dict[str, object]


class _Words:
    """The message being said: one part of text or refusal."""

    def __init__(self, place: int, id: str, kind: str) -> None:
        self.place, self.id, self.kind = place, id, kind
        self.pieces: list[str] = []

    def item(self, status: str) -> _Json:
        content = [] if status == "in_progress" else [text_part(self.kind, "".join(self.pieces))]
        return message_item(self.id, content, status)


class _Call:
    """A function call being made."""

    def __init__(self, place: int, id: str) -> None:
        self.place, self.id = place, id
        self.call_id = self.name = ""
        self.pieces: list[str] = []

    def item(self, status: str) -> _Json:
        arguments = "" if status == "in_progress" else "".join(self.pieces)
        return call_item(self.id, self.call_id, self.name, arguments, status)


class ChatToResponsesStream:
    """A chat stream told as the events of a response to the Responses request `request`.

    Function calls stay open until the stream ends, so their deltas may come mixed. An error, or an end
    before the reply is whole, becomes `response.failed`; nothing follows it.
    """

    def __init__(self, request: bytes) -> None:
        self._request = request
        self._usage = StreamUsage()
        self._slots = CallSlots()
        self._response: _Json = {}
        self._id = "0"
        self._number = 0
        self._words: _Words | None = None
        self._calls: list[_Call] = []
        self._items: dict[int, _Json] = {}
        self._places = 0
        self._finish_reason: str | None = None
        self._ended = False

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
        out = [] if self._response else self._start(chunk)
        for choice in chunk.choices or ():
            if not choice.index:
                out += self._choice(choice)
        return b"".join(out)

    def finish(self) -> bytes:
        """The end of the response. b'' if it is already out."""
        if self._ended:
            return b""
        if self._finish_reason is None:
            return self._fail("the endpoint's stream ended before the reply was whole")
        self._ended = True
        status = status_of(self._finish_reason)
        out = [*self._end_words(status)]
        for call in self._calls:
            out += self._end_call(call)
        usage = self._usage.usage
        ending = {
            "status": status,
            "incomplete_details": incomplete_details(self._finish_reason),
            "output": [self._items[place] for place in sorted(self._items)],
            "usage": None if usage is None else responses_counts(usage),
        }
        out.append(self._event(f"response.{status}", {"response": self._response | ending}))
        return b"".join(out)

    def _fail(self, message: str) -> bytes:
        out = [] if self._response else self._start(Chunk())
        self._ended = True
        failure = {"status": "failed", "error": {"code": "server_error", "message": message}}
        out.append(self._event("response.failed", {"response": self._response | failure}))
        return b"".join(out)

    def _start(self, chunk: Chunk) -> list[bytes]:
        self._id = chunk.id or "0"
        self._response = response_object(self._request, self._id, chunk.model or "", int(chunk.created or 0))
        kinds = ("response.created", "response.in_progress")
        return [self._event(kind, {"response": self._response}) for kind in kinds]

    def _choice(self, choice: ChunkChoice) -> Iterator[bytes]:
        if choice.delta is not None:
            if choice.delta.text:
                yield from self._say("output_text", choice.delta.text)
            if choice.delta.refusal:
                yield from self._say("refusal", choice.delta.refusal)
            for call in choice.delta.tool_calls or ():
                yield from self._call(call)
        self._finish_reason = choice.finish_reason or self._finish_reason

    def _say(self, kind: str, text: str) -> Iterator[bytes]:
        words = self._words
        if words is None or words.kind != kind:
            yield from self._end_words("completed")
            place = self._next_place()
            words = self._words = _Words(place, f"msg_{self._id}_{place}", kind)
            added = {"output_index": place, "item": words.item("in_progress")}
            yield self._event("response.output_item.added", added)
            yield self._event("response.content_part.added", _part(words) | {"part": text_part(kind, "")})
        words.pieces.append(text)
        extra: _Json = {"logprobs": []} if kind == "output_text" else {}
        yield self._event(f"response.{kind}.delta", _part(words) | {"delta": text} | extra)

    def _end_words(self, status: str) -> Iterator[bytes]:
        words, self._words = self._words, None
        if words is None:
            return
        text = "".join(words.pieces)
        said: _Json = {"refusal": text} if words.kind == "refusal" else {"text": text, "logprobs": []}
        yield self._event(f"response.{words.kind}.done", _part(words) | said)
        yield self._event("response.content_part.done", _part(words) | {"part": text_part(words.kind, text)})
        self._items[words.place] = words.item(status)
        done = {"output_index": words.place, "item": self._items[words.place]}
        yield self._event("response.output_item.done", done)

    def _call(self, delta: CallDelta) -> Iterator[bytes]:
        slot = self._slots.slot(delta.index, delta.id or "")
        if slot == len(self._calls):
            yield from self._end_words("completed")
            place = self._next_place()
            call = _Call(place, f"fc_{self._id}_{place}")
            call.call_id = delta.id or f"call_{self._id}_{place}"
            call.name = delta.name
            self._calls.append(call)
            added = {"output_index": place, "item": call.item("in_progress")}
            yield self._event("response.output_item.added", added)
        call = self._calls[slot]
        piece = delta.arguments
        if piece:
            call.pieces.append(piece)
            told = {"item_id": call.id, "output_index": call.place, "delta": piece}
            yield self._event("response.function_call_arguments.delta", told)

    def _end_call(self, call: _Call) -> Iterator[bytes]:
        arguments = "".join(call.pieces)
        told = {"item_id": call.id, "output_index": call.place, "name": call.name, "arguments": arguments}
        yield self._event("response.function_call_arguments.done", told)
        self._items[call.place] = call.item("completed")
        done = {"output_index": call.place, "item": self._items[call.place]}
        yield self._event("response.output_item.done", done)

    def _next_place(self) -> int:
        self._places += 1
        return self._places - 1

    def _event(self, kind: str, members: _Json) -> bytes:
        data = {"type": kind, "sequence_number": self._number} | members
        self._number += 1
        return encode_event(msgspec.json.encode(data), kind)


def _part(words: _Words) -> _Json:
    return {"item_id": words.id, "output_index": words.place, "content_index": 0}
