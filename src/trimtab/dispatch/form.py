"""Forms: how a call of one surface is put to an endpoint of one style, and how its reply comes back.

The pivot between surfaces is OpenAI's chat shape. A pair that needs no translation passes bytes untouched.
"""

from collections.abc import Callable
from typing import Protocol

import msgspec

from trimtab import wire
from trimtab.core import Surface
from trimtab.wire import SseEvent, SseParser


class StreamTranslator(Protocol):
    """Turns an endpoint's events into the client's."""

    def feed(self, event: SseEvent) -> bytes:
        """Client bytes for one event; b'' for none."""
        ...

    def finish(self) -> bytes:
        """Client bytes when the endpoint's stream is over."""
        ...


class Collector(Protocol):
    """Gathers a stream into the plain reply it stands for."""

    def feed(self, data: bytes) -> None:
        """One event's data."""
        ...

    def reply(self) -> bytes:
        """The plain reply."""
        ...

    @property
    def output_bytes(self) -> int:
        """Bytes generated so far."""
        ...

    @property
    def shows_reasoning(self) -> bool:
        """Whether there is a sign of reasoning in them."""
        ...


class Asked(msgspec.Struct, frozen=True):
    """What forms need to know of the client's request."""

    body: bytes
    model: str
    include_usage: bool
    default_max_tokens: int


class Form(msgspec.Struct, frozen=True):
    """`path` behind the endpoint's base URL; `speaks` is the shape of the endpoint's replies."""

    path: str
    speaks: Surface
    request: Callable[[Asked], bytes]
    reply: Callable[[bytes, Asked], bytes]
    to_chat: Callable[[bytes], bytes]
    translator: Callable[[Asked], StreamTranslator] | None = None
    stream_of_reply: Callable[[bytes, Asked], bytes] | None = None

    def collector(self) -> Collector:
        """A collector for the endpoint's events."""
        return wire.MessagesCollector() if self.speaks == "messages" else wire.ReplyCollector()


class _Chained:
    """Two translators one behind the other."""

    def __init__(self, first: StreamTranslator, second: StreamTranslator) -> None:
        self._first, self._second, self._parser = first, second, SseParser()

    def feed(self, event: SseEvent) -> bytes:
        return self._through(self._first.feed(event))

    def finish(self) -> bytes:
        return self._through(self._first.finish()) + self._second.finish()

    def _through(self, middle: bytes) -> bytes:
        return b"".join([self._second.feed(event) for event in self._parser.feed(middle)]) if middle else b""


def _same_request(asked: Asked) -> bytes:
    return asked.body


def _same_reply(body: bytes, _: Asked) -> bytes:
    return body


def _same(body: bytes) -> bytes:
    return body


def _events(body: bytes, translator: StreamTranslator) -> bytes:
    parser = SseParser()
    pieces = [translator.feed(event) for event in parser.feed(wire.stream_of_reply(body, True))]
    return b"".join(pieces) + translator.finish()


def _chat_stream(body: bytes, asked: Asked) -> bytes:
    return wire.stream_of_reply(body, asked.include_usage)


def _messages_stream(body: bytes, asked: Asked) -> bytes:
    return _events(body, wire.ChatToMessagesStream(asked.model))


def _responses_stream(body: bytes, asked: Asked) -> bytes:
    return _events(body, wire.ChatToResponsesStream(asked.body))


def _of_message(tell: Callable[[bytes, Asked], bytes]) -> Callable[[bytes, Asked], bytes]:
    """The same for an endpoint that sent a whole Anthropic message."""
    return lambda body, asked: tell(wire.chat_of_messages_reply(body), asked)


CHAT_OPENAI = Form("/chat/completions", "chat", _same_request, _same_reply, _same, None, _chat_stream)
CHAT_ANTHROPIC = Form(
    "/messages",
    "messages",
    lambda asked: wire.messages_of_chat_request(asked.body, asked.default_max_tokens),
    lambda body, _: wire.chat_of_messages_reply(body),
    wire.chat_of_messages_reply,
    lambda asked: wire.MessagesToChatStream(asked.model, asked.include_usage),
    _of_message(_chat_stream),
)
MESSAGES_ANTHROPIC = Form(
    "/messages",
    "messages",
    _same_request,
    _same_reply,
    wire.chat_of_messages_reply,
    None,
    _of_message(_messages_stream),
)
MESSAGES_OPENAI = Form(
    "/chat/completions",
    "chat",
    lambda asked: wire.chat_of_messages_request(asked.body),
    lambda body, asked: wire.messages_of_chat_reply(body, asked.model),
    _same,
    lambda asked: wire.ChatToMessagesStream(asked.model),
    _messages_stream,
)
RESPONSES_OPENAI = Form(
    "/chat/completions",
    "chat",
    lambda asked: wire.chat_of_responses_request(asked.body),
    lambda body, asked: wire.responses_of_chat_reply(body, asked.body),
    _same,
    lambda asked: wire.ChatToResponsesStream(asked.body),
    _responses_stream,
)
RESPONSES_ANTHROPIC = Form(
    "/messages",
    "messages",
    lambda asked: wire.messages_of_chat_request(
        wire.chat_of_responses_request(asked.body), asked.default_max_tokens
    ),
    lambda body, asked: wire.responses_of_chat_reply(wire.chat_of_messages_reply(body), asked.body),
    wire.chat_of_messages_reply,
    lambda asked: _Chained(
        wire.MessagesToChatStream(asked.model, True), wire.ChatToResponsesStream(asked.body)
    ),
    _of_message(_responses_stream),
)
EMBEDDINGS_OPENAI = Form("/embeddings", "embeddings", _same_request, _same_reply, _same)

_FORMS: dict[tuple[str, str], Form] = {
    ("chat", "openai"): CHAT_OPENAI,
    ("chat", "anthropic"): CHAT_ANTHROPIC,
    ("messages", "anthropic"): MESSAGES_ANTHROPIC,
    ("messages", "openai"): MESSAGES_OPENAI,
    ("responses", "openai"): RESPONSES_OPENAI,
    ("responses", "anthropic"): RESPONSES_ANTHROPIC,
    ("embeddings", "openai"): EMBEDDINGS_OPENAI,
}


def form_of(surface: Surface, style: str) -> Form:
    """The form for a surface at an endpoint of a style. Another gateway of ours speaks OpenAI's shapes."""
    return _FORMS[surface, "openai" if style == "trimtab" else style]
