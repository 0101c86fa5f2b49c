"""The Anthropic Messages API in types: what a request and a plain reply hold that can be translated."""

from typing import Literal

import msgspec

EMPTY_SCHEMA = msgspec.Raw(b'{"type":"object","properties":{}}')


class Source(msgspec.Struct):
    type: Literal["base64", "url", "text", "content", "file"]
    media_type: str = ""
    data: str = ""
    url: str = ""
    content: "str | list[Text | Image] | None" = None


class Text(msgspec.Struct, tag="text"):
    text: str


class Image(msgspec.Struct, tag="image"):
    source: Source


class Document(msgspec.Struct, tag="document"):
    source: Source
    title: str | None = None


class SearchResult(msgspec.Struct, tag="search_result"):
    content: list[Text]
    title: str | None = None


class ToolUse(msgspec.Struct, tag="tool_use"):
    id: str
    name: str
    input: dict[str, msgspec.Raw]


class ToolResult(msgspec.Struct, tag="tool_result"):
    tool_use_id: str
    content: str | list[Text | Image | Document | SearchResult] | None = None
    is_error: bool | None = None


class Thinking(msgspec.Struct, tag="thinking"):
    pass


class RedactedThinking(msgspec.Struct, tag="redacted_thinking"):
    pass


Content = Text | Image | Document | SearchResult
Block = Content | ToolUse | ToolResult | Thinking | RedactedThinking


class InputMessage(msgspec.Struct):
    role: Literal["user", "assistant", "system"]
    content: str | list[Block]


class Tool(msgspec.Struct):
    name: str
    type: str | None = None
    description: str | None = None
    input_schema: msgspec.Raw = EMPTY_SCHEMA
    strict: bool | None = None


class ToolChoice(msgspec.Struct):
    type: Literal["auto", "any", "tool", "none"]
    name: str = ""
    disable_parallel_tool_use: bool | None = None


class ThinkingConfig(msgspec.Struct):
    type: str
    budget_tokens: int | None = None


class Format(msgspec.Struct):
    type: Literal["json_schema"]
    schema: msgspec.Raw


class OutputConfig(msgspec.Struct):
    format: Format | None = None
    effort: str | None = None


class Metadata(msgspec.Struct):
    user_id: str | None = None


class MessagesRequest(msgspec.Struct):
    model: str
    messages: list[InputMessage]
    max_tokens: int
    system: str | list[Text] | None = None
    stream: bool | None = None
    temperature: float | None = None
    top_p: float | None = None
    stop_sequences: list[str] | None = None
    tools: list[Tool] | None = None
    tool_choice: ToolChoice | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    metadata: Metadata | None = None
    container: object = None
    mcp_servers: list[object] | None = None
    inference_geo: str | None = None


class ReplyBlock(msgspec.Struct):
    type: str
    text: str | None = None
    thinking: str | None = None
    id: str = ""
    name: str = ""
    input: msgspec.Raw = msgspec.Raw(b"{}")


class MessagesReply(msgspec.Struct):
    id: str = ""
    model: str = ""
    content: list[ReplyBlock] | None = None
    stop_reason: str | None = None
    error: object = None
