"""OpenAI Responses requests turned into chat requests, for endpoints that speak chat. Stateless: the whole
conversation comes in the request.

Tools that OpenAI runs itself and items that only it can read are refused by name; hints (truncation, caching,
tiers, storing) are left out, and so is reasoning in the history.

Source: https://platform.openai.com/docs/api-reference/responses
"""

import msgspec

from trimtab.core.errors import BadRequest
from trimtab.wire.body import NULL, decode_body
from trimtab.wire.responses_shape import (
    FilePart,
    Format,
    ImagePart,
    Item,
    Part,
    RefusalPart,
    ResponsesRequest,
    Tool,
    ToolChoice,
)

_REQUEST = msgspec.json.Decoder(ResponsesRequest)
_PART: "msgspec.json.Decoder[Part]" = msgspec.json.Decoder(Part)
_LOGPROBS = "message.output_text.logprobs"

_Json = dict[str, object]


def chat_of_responses_request(body: bytes) -> bytes:
    """The chat request that asks for what the Responses request `body` asks for.

    The limit becomes `max_completion_tokens`; a streamed request asks for usage, which a Responses stream
    always tells. Raises BadRequest naming what cannot be translated.
    """
    asked = decode_body(_REQUEST, body)
    wanted: _Json = {
        "model": asked.model,
        "messages": _messages(asked),
        "max_completion_tokens": asked.max_output_tokens,
        "temperature": asked.temperature,
        "top_p": asked.top_p,
        "parallel_tool_calls": asked.parallel_tool_calls if asked.tools else None,
        "tools": [_tool(tool, f"tools[{index}]") for index, tool in enumerate(asked.tools or ())] or None,
        "tool_choice": _tool_choice(asked.tool_choice) if asked.tools else None,
        "reasoning_effort": asked.reasoning.effort if asked.reasoning else None,
        "user": asked.user,
    }
    if asked.text is not None:
        wanted["verbosity"] = asked.text.verbosity
        wanted["response_format"] = _response_format(asked.text.format) if asked.text.format else None
    if asked.top_logprobs or _LOGPROBS in (asked.include or ()):
        wanted |= {"logprobs": True, "top_logprobs": asked.top_logprobs}
    if asked.stream:
        wanted |= {"stream": True, "stream_options": {"include_usage": True}}
    return msgspec.json.encode({name: value for name, value in wanted.items() if value is not None})


def _response_format(form: Format) -> _Json | None:
    if form.type != "json_schema":
        return None if form.type == "text" else {"type": form.type}
    if form.schema == NULL:
        raise BadRequest("text.format.schema: missing", param="text.format.schema")
    schema: _Json = {"name": form.name, "description": form.description, "strict": form.strict}
    schema = {name: value for name, value in schema.items() if value is not None}
    return {"type": "json_schema", "json_schema": schema | {"schema": form.schema}}


def _tool(tool: Tool, place: str) -> _Json:
    if tool.type != "function" or not tool.name:
        message = f"{place}: {tool.type} is no function with a name, and the chat API takes only those"
        raise BadRequest(message, code="untranslatable", param=place)
    function: _Json = {"name": tool.name, "description": tool.description, "strict": tool.strict}
    if tool.parameters != NULL:
        function["parameters"] = tool.parameters
    return {"type": "function", "function": {n: value for n, value in function.items() if value is not None}}


def _tool_choice(choice: str | ToolChoice | None) -> object:
    if choice is None or isinstance(choice, str):
        return choice
    if choice.type == "function" and choice.name:
        return {"type": "function", "function": {"name": choice.name}}
    if choice.type == "allowed_tools":
        allowed = [tool.name for tool in choice.tools or () if tool.type == "function" and tool.name]
        tools = [{"type": "function", "function": {"name": name}} for name in allowed]
        return {"type": "allowed_tools", "allowed_tools": {"mode": choice.mode, "tools": tools}}
    message = f"tool_choice: {choice.type} has no counterpart in the chat API"
    raise BadRequest(message, code="untranslatable", param="tool_choice")


def _messages(asked: ResponsesRequest) -> list[_Json]:
    messages: list[_Json] = []
    if asked.instructions:
        messages.append({"role": "system", "content": asked.instructions})
    if isinstance(asked.input, str):
        return [*messages, {"role": "user", "content": asked.input}]
    calls: list[_Json] = []
    for index, item in enumerate(asked.input):
        place = f"input[{index}]"
        kind = item.type or "message"
        if kind == "function_call":
            if not calls:
                messages.append(_caller(messages, calls))
            calls.append(_call(item, place))
            continue
        if kind == "reasoning":
            continue
        calls = []
        messages.append(_message(item, kind, place))
    return messages


def _caller(messages: list[_Json], calls: list[_Json]) -> _Json:
    """The assistant's message that makes `calls`: its last words, if it just spoke, or one of its own."""
    spoke = messages and messages[-1]["role"] == "assistant" and "tool_calls" not in messages[-1]
    message = messages.pop() if spoke else {"role": "assistant", "content": None}
    return message | {"tool_calls": calls}


def _call(item: Item, place: str) -> _Json:
    if not item.call_id or not item.name:
        raise BadRequest(f"{place}: a function call needs call_id and name", param=place)
    function = {"name": item.name, "arguments": item.arguments}
    return {"id": item.call_id, "type": "function", "function": function}


def _message(item: Item, kind: str, place: str) -> _Json:
    if kind == "message":
        if item.role is None or item.content is None:
            raise BadRequest(f"{place}: a message needs role and content", param=place)
        return {"role": item.role, "content": _content(item.content, f"{place}.content", item.role)}
    if kind != "function_call_output":
        message = f"{place}.type: {kind} has no counterpart in the chat API, which the endpoint chosen speaks"
        raise BadRequest(message, code="untranslatable", param=f"{place}.type")
    if not item.call_id or item.output is None or isinstance(item.output, dict):
        raise BadRequest(f"{place}: a function call's output needs call_id and output", param=place)
    content = _content(item.output, f"{place}.output", "tool")
    return {"role": "tool", "tool_call_id": item.call_id, "content": content}


def _content(content: str | list[msgspec.Raw], place: str, role: str) -> object:
    if isinstance(content, str):
        return content
    parts = [_part(_decoded(raw, f"{place}[{i}]"), f"{place}[{i}]", role) for i, raw in enumerate(content)]
    if role != "user" or len(parts) == 1 and parts[0]["type"] == "text":
        return "".join(str(part["text"]) for part in parts)
    return parts


def _decoded(raw: msgspec.Raw, place: str) -> Part:
    try:
        return _PART.decode(raw)
    except (msgspec.DecodeError, RecursionError) as error:
        raise BadRequest(f"{place}: {str(error).replace('`', '')}", param=place) from None


def _part(part: Part, place: str, role: str) -> _Json:
    if isinstance(part, RefusalPart):
        return {"type": "text", "text": part.refusal}
    if not isinstance(part, ImagePart | FilePart):
        return {"type": "text", "text": part.text}
    if role == "user" and isinstance(part, ImagePart) and part.image_url:
        detail = {"detail": part.detail} if part.detail else {}
        return {"type": "image_url", "image_url": {"url": part.image_url} | detail}
    if role == "user" and isinstance(part, FilePart) and (part.file_data or part.file_id):
        file = {"file_data": part.file_data, "filename": part.filename, "file_id": part.file_id}
        return {"type": "file", "file": {name: value for name, value in file.items() if value is not None}}
    message = f"{place}: such a part of a {role} message has no counterpart in the chat API"
    raise BadRequest(message, code="untranslatable", param=place)
