"""What rules and rooms need to know of a request, read once at the door from the client's own bytes.

The gateway calls `read_request`; everything it does not read travels on untouched. Nothing here rejects
a field it does not know.
"""

import msgspec

from trimtab.core import Capability, Surface
from trimtab.core.errors import BadRequest
from trimtab.wire.body import decode_body
from trimtab.wire.prompt import HOSTED_TOOL_TOKENS, Item, Media, Message, media_of
from trimtab.wire.request_shape import (
    ChatAsked,
    EmbeddingsAsked,
    MessagesAsked,
    ResponsesAsked,
    ToolNamed,
    Typed,
)

MESSAGE_TOKENS = 16
TOOLS_TOKENS = 700
LONGEST_MODEL = 200
_NO_TOOLS: list[ToolNamed] = []
_HOSTED = ("web_", "code_", "file_search", "mcp")

_STATELESS = (
    "is not kept here: this gateway is stateless. Send the whole conversation as `input` items "
    "and leave this field out"
)


class RequestFacts(msgspec.Struct, frozen=True, gc=False):
    """A request as rules see it.

    `input_tokens` is never less than what the model will count: a byte-level token covers a byte or more,
    and the bytes of the JSON are never fewer than those of the text in it. `max_output_tokens` is per
    choice, None where the client set no limit. `metadata` holds string values only.

    `uncounted` names a part of which `input_tokens` is but a guess (a PDF, a file by reference, a tool that the
    endpoint runs itself); `web_searches` is how many searches it may make, None where nothing limits them.
    """

    model: str
    stream: bool
    max_output_tokens: int | None
    choices: int
    tools: tuple[str, ...]
    needs: frozenset[Capability]
    sampled: bool
    metadata: dict[str, str]
    user: str
    include_usage: bool
    logprobs: bool
    input_tokens: int
    uncounted: str = ""
    web_searches: int | None = 0


_CHAT = msgspec.json.Decoder(ChatAsked)
_MESSAGES = msgspec.json.Decoder(MessagesAsked)
_RESPONSES = msgspec.json.Decoder(ResponsesAsked)
_EMBEDDINGS = msgspec.json.Decoder(EmbeddingsAsked)
_NO_NEEDS: frozenset[Capability] = frozenset()


def read_request(surface: Surface, body: bytes) -> RequestFacts:
    """The facts of `body`, a request of `surface`. Raises BadRequest naming the field at fault."""
    return _READERS[surface](body)


def _read_chat(body: bytes) -> RequestFacts:
    asked = decode_body(_CHAT, body)
    _require_model(asked.model)
    _require_messages(asked.messages)
    media = media_of(asked.messages)
    tools = _tool_names(asked.tools)
    if asked.functions:
        tools += tuple(function.name or "function" for function in asked.functions)
    needs = _needs(tools, asked.response_format, media)
    if asked.logprobs:
        needs |= {"logprobs"}
    if asked.n is not None and asked.n > 1:
        needs |= {"n"}
    if asked.modalities and "audio" in asked.modalities:
        needs |= {"audio"}
    options = asked.stream_options
    hosted = _hosted(asked.tools) if asked.tools else _NO_TOOLS
    return RequestFacts(
        model=asked.model,
        stream=asked.stream is True,
        max_output_tokens=_limit(asked),
        choices=asked.n or 1,
        tools=tools,
        needs=needs,
        sampled=asked.temperature != 0,
        metadata=_texts(asked.metadata),
        user=asked.user or "",
        include_usage=options is not None and options.include_usage is True,
        logprobs=asked.logprobs is True,
        input_tokens=_input_tokens(body, len(asked.messages), tools, media)
        + HOSTED_TOOL_TOKENS * len(hosted),
        uncounted=_uncounted(hosted, media) if hosted or media else "",
        web_searches=_web_searches(hosted, asked.web_search_options)
        if hosted or asked.web_search_options is not None
        else 0,
    )


def _read_messages(body: bytes) -> RequestFacts:
    asked = decode_body(_MESSAGES, body)
    _require_model(asked.model)
    _require_messages(asked.messages)
    if asked.max_tokens is None:
        raise BadRequest("max_tokens: missing; expected a whole number", param="max_tokens")
    media = media_of(asked.messages)
    tools = _tool_names(asked.tools)
    metadata = _texts(asked.metadata)
    system_blocks = len(asked.system) if isinstance(asked.system, list) else 1
    config = asked.output_config
    hosted = _hosted(asked.tools) if asked.tools else _NO_TOOLS
    return RequestFacts(
        model=asked.model,
        stream=asked.stream is True,
        max_output_tokens=asked.max_tokens,
        choices=1,
        tools=tools,
        needs=_needs(tools, config.format if config else None, media),
        sampled=asked.temperature != 0,
        metadata=metadata,
        user=metadata.get("user_id", ""),
        include_usage=True,
        logprobs=False,
        input_tokens=_input_tokens(body, len(asked.messages) + system_blocks, tools, media)
        + HOSTED_TOOL_TOKENS * len(hosted),
        uncounted=_uncounted(hosted, media) if hosted or media else "",
        web_searches=_web_searches(hosted, None) if hosted else 0,
    )


def _read_responses(body: bytes) -> RequestFacts:
    asked = decode_body(_RESPONSES, body)
    _require_model(asked.model)
    if not asked.input:
        raise BadRequest("input: expected text or a list of items", param="input")
    items = asked.input if isinstance(asked.input, list) else []
    _require_stateless(asked, items)
    media = media_of(items)
    tools = _tool_names(asked.tools)
    hosted = _hosted(asked.tools) if asked.tools else _NO_TOOLS
    logprobs = bool(asked.top_logprobs) or "message.output_text.logprobs" in (asked.include or ())
    needs = _needs(tools, asked.text.format if asked.text else None, media)
    return RequestFacts(
        model=asked.model,
        stream=asked.stream is True,
        max_output_tokens=asked.max_output_tokens,
        choices=1,
        tools=tools,
        needs=needs | {"logprobs"} if logprobs else needs,
        sampled=asked.temperature != 0,
        metadata=_texts(asked.metadata),
        user=asked.user or "",
        include_usage=True,
        logprobs=logprobs,
        input_tokens=_input_tokens(body, len(items) + 2, tools, media) + HOSTED_TOOL_TOKENS * len(hosted),
        uncounted=_uncounted(hosted, media) if hosted or media else "",
        web_searches=_web_searches(hosted, None) if hosted else 0,
    )


def _read_embeddings(body: bytes) -> RequestFacts:
    asked = decode_body(_EMBEDDINGS, body)
    _require_model(asked.model)
    if not asked.input:
        raise BadRequest("input: expected text, tokens or a list of them", param="input")
    texts = len(asked.input) if isinstance(asked.input, list) and not isinstance(asked.input[0], int) else 1
    return RequestFacts(
        model=asked.model,
        stream=False,
        max_output_tokens=0,
        choices=1,
        tools=(),
        needs=frozenset(("embeddings",)),
        sampled=False,
        metadata={},
        user=asked.user or "",
        include_usage=True,
        logprobs=False,
        input_tokens=len(body) + MESSAGE_TOKENS * texts,
    )


_READERS = {
    "chat": _read_chat,
    "messages": _read_messages,
    "responses": _read_responses,
    "embeddings": _read_embeddings,
}


def _limit(asked: ChatAsked) -> int | None:
    """The limit by either of its names; endpoints differ in which they heed, so two limits are none."""
    newer, older = asked.max_completion_tokens, asked.max_tokens
    if newer is not None and older is not None and newer != older:
        message = "max_tokens: differs from max_completion_tokens; expected one of them only"
        raise BadRequest(message, param="max_tokens")
    return older if newer is None else newer


def _require_model(model: str) -> None:
    if not model or len(model) > LONGEST_MODEL or "\x00" in model:
        raise BadRequest("model: expected the name of a model", param="model")


def _require_messages(messages: list[Message]) -> None:
    if not messages:
        raise BadRequest("messages: expected a list with at least one message", param="messages")


def _require_stateless(asked: ResponsesAsked, items: list[Item]) -> None:
    field = ""
    if asked.previous_response_id:
        field = "previous_response_id"
    elif asked.conversation is not None:
        field = "conversation"
    elif asked.background:
        field = "background"
    elif asked.prompt is not None:
        field = "prompt"
    for index, item in enumerate(items):
        if item.type == "item_reference" or (item.type is None and item.role is None):
            field = f"input[{index}]"
            break
    if field:
        raise BadRequest(f"{field}: {_STATELESS}.", code="stateless_only", param=field)


def _tool_names(tools: list[ToolNamed] | None) -> tuple[str, ...]:
    if not tools:
        return ()
    names = []
    for index, tool in enumerate(tools):
        inner = tool.function or tool.custom
        name = (inner.name if inner is not None else tool.name) or tool.type
        if not name:
            raise BadRequest(f"tools[{index}]: expected a tool with a name", param=f"tools[{index}]")
        names.append(name)
    return tuple(names)


def _hosted(tools: list[ToolNamed] | None) -> list[ToolNamed]:
    """Tools that the endpoint runs itself; they put what they find into the prompt."""
    return [tool for tool in tools or () if tool.type is not None and tool.type.startswith(_HOSTED)]


def _uncounted(hosted: list[ToolNamed], media: Media | None) -> str:
    if hosted:
        return hosted[0].type or ""
    return media.uncounted if media is not None else ""


def _web_searches(hosted: list[ToolNamed], options: object) -> int | None:
    """The most web searches it may make; one where a chat model searches by itself."""
    searches = 0 if options is None else 1
    for tool in hosted:
        if (tool.type or "").startswith("web_search"):
            if not isinstance(tool.max_uses, int) or tool.max_uses < 0:
                return None
            searches += tool.max_uses
    return searches


def _needs(tools: tuple[str, ...], form: Typed | None, media: Media | None) -> frozenset[Capability]:
    needs: frozenset[Capability] = frozenset(("tools",)) if tools else _NO_NEEDS
    if form is not None and form.type == "json_schema":
        needs |= {"json_schema"}
    return needs | media.needs if media is not None else needs


def _texts(metadata: dict[str, object] | None) -> dict[str, str]:
    if not metadata:
        return {}
    return {key: value for key, value in metadata.items() if isinstance(value, str)}


def _input_tokens(body: bytes, messages: int, tools: tuple[str, ...], media: Media | None) -> int:
    tokens = len(body) + MESSAGE_TOKENS * messages + (TOOLS_TOKENS if tools else 0)
    return tokens if media is None else tokens + media.tokens - media.payload_bytes
