"""What `request` reads of each surface's body, in types; whatever else stands there is passed over."""

from typing import Annotated

import msgspec

from trimtab.wire.prompt import Item, Message, Part

_Positive = Annotated[int, msgspec.Meta(ge=1, le=2**31 - 1)]
_Natural = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
_Choices = Annotated[int, msgspec.Meta(ge=1, le=128)]


class Named(msgspec.Struct, gc=False):
    name: str | None = None


class ToolNamed(msgspec.Struct, gc=False):
    type: str | None = None
    max_uses: object = None
    name: str | None = None
    function: Named | None = None
    custom: Named | None = None


class Typed(msgspec.Struct, gc=False):
    type: str | None = None


class StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class OutputConfig(msgspec.Struct, gc=False):
    format: Typed | None = None


class Asked(msgspec.Struct, gc=False):
    """Fields that chat, Messages and Responses share."""

    model: str = ""
    stream: bool | None = None
    temperature: float | None = None
    tools: list[ToolNamed] | None = None
    metadata: dict[str, object] | None = None
    user: str | None = None


class ChatAsked(Asked, gc=False):
    messages: list[Message] = []
    max_completion_tokens: _Positive | None = None
    max_tokens: _Positive | None = None
    n: _Choices | None = None
    functions: list[Named] | None = None
    response_format: Typed | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    web_search_options: object = None
    stream_options: StreamOptions | None = None


class MessagesAsked(Asked, gc=False):
    messages: list[Message] = []
    max_tokens: _Natural | None = None
    system: str | list[Part] | None = None
    output_config: OutputConfig | None = None


class ResponsesAsked(Asked, gc=False):
    input: str | list[Item] | None = None
    max_output_tokens: _Positive | None = None
    text: OutputConfig | None = None
    top_logprobs: _Natural | None = None
    include: list[str] | None = None
    previous_response_id: str | None = None
    background: bool | None = None
    conversation: object = None
    prompt: object = None


class EmbeddingsAsked(msgspec.Struct, gc=False):
    model: str = ""
    input: str | list[str | int | list[int]] | None = None
    user: str | None = None
