"""The OpenAI chat API in types: what a request and a plain reply hold that can be translated."""

from typing import Literal

import msgspec

from trimtab.wire.body import NULL


class ImageUrl(msgspec.Struct):
    url: str


class FileData(msgspec.Struct):
    file_data: str | None = None
    filename: str | None = None


class TextPart(msgspec.Struct, tag="text"):
    text: str


class RefusalPart(msgspec.Struct, tag="refusal"):
    refusal: str


class ImagePart(msgspec.Struct, tag="image_url"):
    image_url: ImageUrl


class FilePart(msgspec.Struct, tag="file"):
    file: FileData


class AudioPart(msgspec.Struct, tag="input_audio"):
    pass


Part = TextPart | RefusalPart | ImagePart | FilePart | AudioPart


class Function(msgspec.Struct):
    """A call's function. `arguments` is JSON as text; some endpoints reply with the JSON itself."""

    name: str
    arguments: str | dict[str, msgspec.Raw] = ""


class Call(msgspec.Struct):
    function: Function
    id: str = ""


class ChatMessage(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[Part] | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None
    tool_call_id: str = ""
    audio: object = None
    function_call: object = None


class FunctionTool(msgspec.Struct):
    name: str
    description: str | None = None
    parameters: msgspec.Raw = NULL
    strict: bool | None = None


class ChatTool(msgspec.Struct):
    type: str
    function: FunctionTool | None = None


class ChosenTool(msgspec.Struct):
    type: str
    function: Function | None = None


class Schema(msgspec.Struct):
    schema: msgspec.Raw


class ResponseFormat(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    json_schema: Schema | None = None


class ChatRequest(msgspec.Struct):
    model: str
    messages: list[ChatMessage]
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop: str | list[str] | None = None
    stream: bool | None = None
    user: str | None = None
    tools: list[ChatTool] | None = None
    tool_choice: Literal["none", "auto", "required"] | ChosenTool | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: str | None = None
    response_format: ResponseFormat | None = None
    n: int | None = None
    logprobs: bool | None = None
    modalities: list[str] | None = None
    functions: object = None
    function_call: object = None
    logit_bias: object = None
    web_search_options: object = None


class ReplyPart(msgspec.Struct, gc=False):
    """A piece of a reply's content where it comes as a list; only text is taken."""

    text: str | None = None


class ReplyMessage(msgspec.Struct):
    content: str | list[ReplyPart] | None = None
    refusal: str | None = None
    tool_calls: list[Call] | None = None


class ReplyChoice(msgspec.Struct):
    message: ReplyMessage
    finish_reason: str | None = None
    stop_reason: str | int | None = None


class ChatReply(msgspec.Struct):
    choices: list[ReplyChoice] | None = None
    id: str | None = None
    created: float | None = None
    model: str | None = None
    error: object = None


def text_of(content: str | list[ReplyPart] | None) -> str:
    """The text of a reply's content, whichever way it comes."""
    if isinstance(content, list):
        return "".join(part.text or "" for part in content)
    return content or ""


def argument_text(arguments: str | dict[str, msgspec.Raw]) -> str:
    """A call's arguments as JSON text, whichever way they come."""
    return arguments if isinstance(arguments, str) else msgspec.json.encode(arguments).decode()
