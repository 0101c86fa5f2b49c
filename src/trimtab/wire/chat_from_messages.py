"""Anthropic Messages turned into OpenAI chat: requests for endpoints that speak it, replies for its clients.

What chat has no word for and the answer depends on is refused by name; hints (caching, tiers, top_k) are
left out.

Source: https://docs.anthropic.com/en/api/messages
"""

import msgspec

from trimtab.core.errors import BadRequest
from trimtab.wire.body import NULL, decode_body
from trimtab.wire.counts import chat_counts
from trimtab.wire.error import error_message
from trimtab.wire.messages_shape import (
    EMPTY_SCHEMA,
    Block,
    Content,
    Document,
    Image,
    MessagesReply,
    MessagesRequest,
    RedactedThinking,
    SearchResult,
    Text,
    Thinking,
    Tool,
    ToolChoice,
    ToolResult,
    ToolUse,
)
from trimtab.wire.reply import BrokenReply, decode_reply
from trimtab.wire.usage import usage_of

_LOW_BUDGET, _MEDIUM_BUDGET = 2048, 8192
_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "pause_turn": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "tool_use": "tool_calls",
    "refusal": "content_filter",
}
_REQUEST = msgspec.json.Decoder(MessagesRequest)
_REPLY = msgspec.json.Decoder(MessagesReply)


def chat_of_messages_request(body: bytes) -> bytes:
    """The chat request that asks for what the Messages request `body` asks for.

    The limit becomes `max_completion_tokens`; a streamed request asks for usage, which a Messages stream
    always tells. Thinking in the history is left out. Raises BadRequest naming what cannot be translated.
    """
    asked = decode_body(_REQUEST, body)
    _refuse_untranslatable(asked)
    chat: dict[str, object] = {"model": asked.model, "messages": _messages(asked)}
    chat["max_completion_tokens"] = asked.max_tokens
    options: dict[str, object] = {
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "stop": asked.stop_sequences or None,
        "user": asked.metadata.user_id if asked.metadata else None,
        "reasoning_effort": _effort(asked),
        "tools": [_tool(tool, index) for index, tool in enumerate(asked.tools or ())] or None,
    }
    if asked.stream:
        options |= {"stream": True, "stream_options": {"include_usage": True}}
    if asked.tool_choice is not None:
        options |= _tool_choice(asked.tool_choice)
    if asked.output_config is not None and asked.output_config.format is not None:
        schema = {"name": "reply", "schema": asked.output_config.format.schema, "strict": True}
        options["response_format"] = {"type": "json_schema", "json_schema": schema}
    chat.update((name, value) for name, value in options.items() if value is not None)
    return msgspec.json.encode(chat)


def chat_of_messages_reply(body: bytes, created: int = 0) -> bytes:
    """The chat completion that says what the Anthropic message `body` says. `created` is in epoch seconds.

    Raises BrokenReply where `body` is no message.
    """
    reply = decode_reply(_REPLY, body)
    if reply.error is not None or reply.content is None:
        raise BrokenReply(error_message(body) or "a message without content")
    texts = [block.text or "" for block in reply.content if block.type == "text"]
    thoughts = [block.thinking or "" for block in reply.content if block.type == "thinking"]
    calls = [
        {"id": b.id, "type": "function", "function": {"name": b.name, "arguments": bytes(b.input).decode()}}
        for b in reply.content
        if b.type == "tool_use"
    ]
    message: dict[str, object] = {"role": "assistant", "content": "".join(texts) if texts else None}
    if thoughts:
        message["reasoning_content"] = "".join(thoughts)
    if calls:
        message["tool_calls"] = calls
    usage = usage_of(body)
    chat: dict[str, object] = {
        "id": reply.id,
        "object": "chat.completion",
        "created": created,
        "model": reply.model,
        "choices": [{"index": 0, "message": message, "finish_reason": finish_reason(reply.stop_reason)}],
    }
    if usage is not None:
        chat["usage"] = chat_counts(usage)
    return msgspec.json.encode(chat)


def finish_reason(stop_reason: str | None) -> str | None:
    """Chat's word for Anthropic's `stop_reason`."""
    return None if stop_reason is None else _FINISHES.get(stop_reason, "stop")


def _refuse_untranslatable(asked: MessagesRequest) -> None:
    refused = {
        "container": asked.container,
        "mcp_servers": asked.mcp_servers or None,
        "inference_geo": asked.inference_geo,
    }
    for name, value in refused.items():
        if value is not None:
            message = f"{name}: the endpoint chosen speaks the chat API, which has nothing like it"
            raise BadRequest(message, code="untranslatable", param=name)


def _effort(asked: MessagesRequest) -> str | None:
    if asked.output_config is not None and asked.output_config.effort:
        return asked.output_config.effort
    if asked.thinking is None or asked.thinking.type != "enabled" or asked.thinking.budget_tokens is None:
        return None
    if asked.thinking.budget_tokens <= _LOW_BUDGET:
        return "low"
    return "medium" if asked.thinking.budget_tokens <= _MEDIUM_BUDGET else "high"


def _tool(tool: Tool, index: int) -> dict[str, object]:
    if tool.type not in (None, "custom"):
        param = f"tools[{index}].type"
        message = f"{param}: {tool.type} runs at Anthropic only; the endpoint chosen speaks the chat API"
        raise BadRequest(message, code="untranslatable", param=param)
    schema = EMPTY_SCHEMA if tool.input_schema == NULL else tool.input_schema
    function: dict[str, object] = {"name": tool.name, "parameters": schema}
    if tool.description is not None:
        function["description"] = tool.description
    if tool.strict is not None:
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _tool_choice(choice: ToolChoice) -> dict[str, object]:
    chosen: object = {"any": "required"}.get(choice.type, choice.type)
    if choice.type == "tool":
        chosen = {"type": "function", "function": {"name": choice.name}}
    parallel = {"parallel_tool_calls": False} if choice.disable_parallel_tool_use else {}
    return {"tool_choice": chosen} | parallel


def _messages(asked: MessagesRequest) -> list[dict[str, object]]:
    messages: list[dict[str, object]] = []
    if asked.system:
        messages.append({"role": "system", "content": _joined(asked.system)})
    for index, message in enumerate(asked.messages):
        place = f"messages[{index}].content"
        if isinstance(message.content, str):
            messages.append({"role": message.role, "content": message.content})
        elif message.role == "assistant":
            messages += _assistant(message.content, place)
        else:
            messages += _user(message.role, message.content, place)
    return messages


def _joined(text: str | list[Text]) -> str:
    return text if isinstance(text, str) else "\n\n".join(block.text for block in text)


def _assistant(blocks: list[Block], place: str) -> list[dict[str, object]]:
    texts: list[str] = []
    calls: list[dict[str, object]] = []
    for index, block in enumerate(blocks):
        if isinstance(block, Text):
            texts.append(block.text)
        elif isinstance(block, ToolUse):
            arguments = msgspec.json.encode(block.input).decode()
            function = {"name": block.name, "arguments": arguments}
            calls.append({"id": block.id, "type": "function", "function": function})
        elif not isinstance(block, Thinking | RedactedThinking):
            raise _misplaced(block, "an assistant", f"{place}[{index}]")
    if not texts and not calls:
        return []
    message: dict[str, object] = {"role": "assistant", "content": "".join(texts) if texts else None}
    return [message | {"tool_calls": calls} if calls else message]


def _user(role: str, blocks: list[Block], place: str) -> list[dict[str, object]]:
    """Tool results become messages of their own; their images follow in the user's, where chat takes them."""
    results: list[dict[str, object]] = []
    parts: list[dict[str, object]] = []
    for index, block in enumerate(blocks):
        where = f"{place}[{index}]"
        if isinstance(block, ToolResult):
            text, images = _tool_result(block, where)
            results.append({"role": "tool", "tool_call_id": block.tool_use_id, "content": text})
            parts += images
        elif isinstance(block, Text | Image | Document | SearchResult):
            parts += _parts(block, where)
        else:
            raise _misplaced(block, "a user", where)
    if not parts:
        return results
    only_text = len(parts) == 1 and parts[0]["type"] == "text"
    return [*results, {"role": role, "content": parts[0]["text"] if only_text else parts}]


def _tool_result(block: ToolResult, place: str) -> tuple[str, list[dict[str, object]]]:
    content = [Text(block.content)] if isinstance(block.content, str) else block.content or []
    parts = [part for inner in content for part in _parts(inner, place)]
    text = "\n".join(str(part["text"]) for part in parts if part["type"] == "text")
    media = [part for part in parts if part["type"] != "text"]
    if media:
        text += f"\n[{len(media)} attached below]" if text else f"[{len(media)} attached below]"
    return ("Error: " + text if block.is_error else text), media


def _parts(block: Content, place: str) -> list[dict[str, object]]:
    if isinstance(block, Text):
        return [{"type": "text", "text": block.text}]
    if isinstance(block, SearchResult):
        texts = [block.title or "", *(text.text for text in block.content)]
        return [{"type": "text", "text": "\n".join(texts).strip()}]
    source = block.source
    if isinstance(block, Image):
        url = source.url if source.type == "url" else f"data:{source.media_type};base64,{source.data}"
        if source.type in ("url", "base64"):
            return [{"type": "image_url", "image_url": {"url": url}}]
    elif source.type == "base64":
        data = f"data:{source.media_type or 'application/pdf'};base64,{source.data}"
        return [{"type": "file", "file": {"filename": block.title or "document.pdf", "file_data": data}}]
    elif source.type == "text":
        return [{"type": "text", "text": source.data}]
    elif source.type == "content" and source.content:
        content = [Text(source.content)] if isinstance(source.content, str) else source.content
        return [part for inner in content for part in _parts(inner, place)]
    message = (
        f"{place}.source.type: the endpoint chosen speaks the chat API, which takes no {source.type} here"
    )
    raise BadRequest(message, code="untranslatable", param=f"{place}.source.type")


def _misplaced(block: Block, whose: str, place: str) -> BadRequest:
    kind = type(block).__struct_config__.tag
    return BadRequest(f"{place}: a {kind} block has no place in {whose} message", param=place)
