"""The OpenAI Responses API in types: what a request holds that can be translated to chat."""

from typing import Literal

import msgspec

from trimtab.wire.body import NULL


class TextPart(msgspec.Struct, tag="input_text"):
    text: str


class OutputTextPart(msgspec.Struct, tag="output_text"):
    text: str


class PlainTextPart(msgspec.Struct, tag="text"):
    text: str


class RefusalPart(msgspec.Struct, tag="refusal"):
    refusal: str


class ImagePart(msgspec.Struct, tag="input_image"):
    image_url: str | None = None
    detail: str | None = None


class FilePart(msgspec.Struct, tag="input_file"):
    file_data: str | None = None
    filename: str | None = None
    file_id: str | None = None


Part = TextPart | OutputTextPart | PlainTextPart | RefusalPart | ImagePart | FilePart


class Item(msgspec.Struct):
    """Any input item; `type` is left out by messages in short form."""

    type: str | None = None
    role: Literal["user", "assistant", "system", "developer"] | None = None
    content: str | list[msgspec.Raw] | None = None
    call_id: str | None = None
    name: str | None = None
    arguments: str = ""
    output: str | list[msgspec.Raw] | dict[str, msgspec.Raw] | None = None


class Tool(msgspec.Struct):
    type: str
    name: str | None = None
    description: str | None = None
    parameters: msgspec.Raw = NULL
    strict: bool | None = None


class AllowedTool(msgspec.Struct):
    type: str
    name: str | None = None


class ToolChoice(msgspec.Struct):
    type: str
    name: str | None = None
    mode: str = "auto"
    tools: list[AllowedTool] | None = None


class Format(msgspec.Struct):
    type: Literal["text", "json_object", "json_schema"]
    name: str = "reply"
    schema: msgspec.Raw = NULL
    description: str | None = None
    strict: bool | None = None


class TextConfig(msgspec.Struct):
    format: Format | None = None
    verbosity: str | None = None


class Reasoning(msgspec.Struct):
    effort: str | None = None


class ResponsesRequest(msgspec.Struct):
    model: str
    input: str | list[Item]
    instructions: str | None = None
    max_output_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_logprobs: int | None = None
    include: list[str] | None = None
    parallel_tool_calls: bool | None = None
    reasoning: Reasoning | None = None
    stream: bool | None = None
    text: TextConfig | None = None
    tool_choice: str | ToolChoice | None = None
    tools: list[Tool] | None = None
    user: str | None = None


class RequestEcho(msgspec.Struct):
    """The fields of a request that its response repeats, as they were written."""

    model: str = ""
    instructions: msgspec.Raw = NULL
    max_output_tokens: msgspec.Raw = NULL
    metadata: msgspec.Raw = NULL
    parallel_tool_calls: bool | None = None
    reasoning: msgspec.Raw = NULL
    temperature: msgspec.Raw = NULL
    text: msgspec.Raw = NULL
    tool_choice: msgspec.Raw = NULL
    tools: msgspec.Raw = NULL
    top_p: msgspec.Raw = NULL
    user: msgspec.Raw = NULL
