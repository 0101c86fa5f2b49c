"""OpenAI chat turned into Anthropic Messages: requests for endpoints that speak Messages, replies for clients
that do.

What Messages has no word for and the answer depends on (several choices, logprobs, audio) is refused by
name; hints (seed, penalties, tiers) are left out.

Source: https://docs.anthropic.com/en/api/messages
"""

import re

import msgspec

from trimtab.core.errors import BadRequest
from trimtab.wire.body import NULL, decode_body
from trimtab.wire.chat_shape import (
    AudioPart,
    Call,
    ChatMessage,
    ChatReply,
    ChatRequest,
    ChatTool,
    FilePart,
    ImagePart,
    Part,
    RefusalPart,
    TextPart,
    argument_text,
    text_of,
)
from trimtab.wire.counts import messages_counts
from trimtab.wire.error import error_message
from trimtab.wire.messages_shape import EMPTY_SCHEMA
from trimtab.wire.reply import BrokenReply, decode_reply
from trimtab.wire.usage import usage_of

_DATA_URL = re.compile(r"data:(?P<kind>[\w.+/-]+)(?:;[\w=.-]+)*;base64,")
_NOT_IN_IDS = re.compile(r"[^a-zA-Z0-9_-]")
_JSON_ONLY = "Reply with one JSON object and nothing else."
_STOPS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "refusal"}
_STOPS |= {"tool_calls": "tool_use", "function_call": "tool_use"}
_CHOICES: dict[str, dict[str, object]] = {
    "auto": {"type": "auto"},
    "required": {"type": "any"},
    "none": {"type": "none"},
}
_REQUEST = msgspec.json.Decoder(ChatRequest)
_REPLY = msgspec.json.Decoder(ChatReply)
_INPUT = msgspec.json.Decoder(dict[str, msgspec.Raw])

_Json = dict[str, object]


def messages_of_chat_request(body: bytes, default_max_tokens: int) -> bytes:
    """The Messages request that asks for what the chat request `body` asks for.

    System and developer messages become `system` wherever they stand, neighbours of one role are joined.
    `default_max_tokens` is the limit where the client set none. Effort becomes `output_config.effort`; of
    `json_object`, for which there is no counterpart, an instruction is made. Raises BadRequest naming what
    cannot be translated.
    """
    asked = decode_body(_REQUEST, body)
    _refuse_untranslatable(asked)
    system, messages = _conversation(asked.messages)
    if not messages:
        raise BadRequest("messages: expected at least one from the user", param="messages")
    form = asked.response_format
    if form is not None and form.type == "json_object":
        system.append(_JSON_ONLY)
    wanted: _Json = {
        "model": asked.model,
        "max_tokens": asked.max_completion_tokens or asked.max_tokens or default_max_tokens,
        "system": "\n\n".join(system) or None,
        "messages": messages,
        "temperature": None if asked.temperature is None else min(asked.temperature, 1.0),
        "top_p": asked.top_p,
        "stop_sequences": [asked.stop] if isinstance(asked.stop, str) else asked.stop or None,
        "stream": asked.stream,
        "metadata": {"user_id": asked.user} if asked.user else None,
        "tools": [_tool(tool, index) for index, tool in enumerate(asked.tools or ())] or None,
        "tool_choice": _tool_choice(asked) if asked.tools else None,
        "output_config": _output_config(asked) or None,
        "thinking": {"type": "disabled"} if asked.reasoning_effort == "none" else None,
    }
    return msgspec.json.encode({name: value for name, value in wanted.items() if value is not None})


def messages_of_chat_reply(body: bytes, model: str) -> bytes:
    """The Anthropic message that says what the chat reply `body` says, under the name `model`.

    Raises BrokenReply where `body` is no chat reply.
    """
    reply = decode_reply(_REPLY, body)
    if reply.error or not reply.choices:
        raise BrokenReply(error_message(body) or "a chat reply without choices")
    choice = reply.choices[0]
    text = text_of(choice.message.content) or choice.message.refusal
    content: list[_Json] = [{"type": "text", "text": text}] if text else []
    try:
        content += [
            _tool_use(call, f"tool_calls[{i}]") for i, call in enumerate(choice.message.tool_calls or ())
        ]
    except BadRequest as error:
        raise BrokenReply(error.message) from None
    finish = "content_filter" if choice.message.refusal else choice.finish_reason
    stop = stop_reason(finish, called=bool(choice.message.tool_calls))
    met = choice.stop_reason if isinstance(choice.stop_reason, str) and stop == "end_turn" else None
    usage = usage_of(body)
    message = {
        "id": message_id(reply.id),
        "type": "message",
        "role": "assistant",
        "model": model or reply.model or "",
        "content": content,
        "stop_reason": "stop_sequence" if met else stop,
        "stop_sequence": met,
        "usage": {"input_tokens": 0, "output_tokens": 0} if usage is None else messages_counts(usage),
    }
    return msgspec.json.encode(message)


def message_id(id: str | None) -> str:
    """An id as Anthropic's look, made of the chat reply's."""
    return id if id and id.startswith("msg_") else f"msg_{id or '0'}"


def call_id(id: str) -> str:
    """A tool call's id in the letters Anthropic allows."""
    return _NOT_IN_IDS.sub("_", id)


def stop_reason(finish_reason: str | None, *, called: bool) -> str:
    """Anthropic's word for chat's `finish_reason`. Some endpoints say `stop` though tools were `called`."""
    stop = _STOPS.get(finish_reason or "stop", "end_turn")
    return "tool_use" if called and stop == "end_turn" else stop


def _refuse_untranslatable(asked: ChatRequest) -> None:
    refused = {
        "n": asked.n is not None and asked.n > 1,
        "logprobs": asked.logprobs,
        "modalities": "audio" in (asked.modalities or ()),
        "functions": asked.functions,
        "function_call": asked.function_call,
        "logit_bias": asked.logit_bias,
        "web_search_options": asked.web_search_options is not None,
    }
    for name, value in refused.items():
        if value:
            raise _untranslatable(name)


def _untranslatable(param: str) -> BadRequest:
    message = f"{param}: the endpoint chosen speaks the Messages API, which has nothing like it"
    return BadRequest(message, code="untranslatable", param=param)


def _output_config(asked: ChatRequest) -> _Json:
    config: _Json = {}
    if asked.reasoning_effort and asked.reasoning_effort != "none":
        config["effort"] = "low" if asked.reasoning_effort == "minimal" else asked.reasoning_effort
    if asked.response_format is not None and asked.response_format.type == "json_schema":
        if asked.response_format.json_schema is None:
            raise BadRequest("response_format.json_schema: missing", param="response_format.json_schema")
        config["format"] = {"type": "json_schema", "schema": asked.response_format.json_schema.schema}
    return config


def _tool(tool: ChatTool, index: int) -> _Json:
    if tool.function is None:
        raise _untranslatable(f"tools[{index}].{tool.type}")
    function = tool.function
    described = {} if function.description is None else {"description": function.description}
    strict = {} if function.strict is None else {"strict": function.strict}
    return {"name": function.name, **described, "input_schema": _schema(function.parameters), **strict}


def _schema(parameters: msgspec.Raw) -> msgspec.Raw:
    """Chat allows a function without parameters in three ways, Messages in none of them."""
    return EMPTY_SCHEMA if parameters in (NULL, msgspec.Raw(b"{}")) else parameters


def _tool_choice(asked: ChatRequest) -> _Json | None:
    choice = asked.tool_choice
    if choice is None and asked.parallel_tool_calls is not False:
        return None
    if choice is None or isinstance(choice, str):
        chosen = dict(_CHOICES[choice or "auto"])
    elif choice.function is not None:
        chosen = {"type": "tool", "name": choice.function.name}
    else:
        raise _untranslatable(f"tool_choice.{choice.type}")
    if asked.parallel_tool_calls is False and chosen["type"] != "none":
        chosen["disable_parallel_tool_use"] = True
    return chosen


def _conversation(messages: list[ChatMessage]) -> tuple[list[str], list[_Json]]:
    """The system texts, and the turns with neighbours of one role joined."""
    system: list[str] = []
    turns: list[tuple[str, list[_Json]]] = []
    for index, message in enumerate(messages):
        place = f"messages[{index}]"
        if message.role in ("system", "developer"):
            system.append(_text(message.content))
            continue
        role = "assistant" if message.role == "assistant" else "user"
        blocks = _blocks(message, place)
        if turns and turns[-1][0] == role:
            turns[-1][1].extend(blocks)
        elif blocks:
            turns.append((role, blocks))
    return [text for text in system if text], [{"role": role, "content": blocks} for role, blocks in turns]


def _blocks(message: ChatMessage, place: str) -> list[_Json]:
    if message.audio is not None:
        raise _untranslatable(f"{place}.audio")
    if message.function_call is not None:
        raise _untranslatable(f"{place}.function_call")
    parts = [TextPart(message.content)] if isinstance(message.content, str) else message.content or []
    blocks = [_block(part, f"{place}.content[{index}]") for index, part in enumerate(parts)]
    # The Messages API refuses text blocks of nothing but white space.
    blocks = [block for block in blocks if block["type"] != "text" or str(block["text"]).strip()]
    if message.role == "tool":
        return [{"type": "tool_result", "tool_use_id": call_id(message.tool_call_id), "content": blocks}]
    if message.refusal:
        blocks.append({"type": "text", "text": message.refusal})
    calls = message.tool_calls or ()
    return blocks + [_tool_use(call, f"{place}.tool_calls[{index}]") for index, call in enumerate(calls)]


def _block(part: Part, place: str) -> _Json:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if isinstance(part, RefusalPart):
        return {"type": "text", "text": part.refusal}
    if isinstance(part, ImagePart):
        return {"type": "image", "source": _source(part.image_url.url, f"{place}.image_url.url")}
    if isinstance(part, FilePart) and part.file.file_data:
        named = {"title": part.file.filename} if part.file.filename else {}
        source = _source(part.file.file_data, f"{place}.file.file_data")
        return {"type": "document", "source": source, **named}
    raise _untranslatable(f"{place}.input_audio" if isinstance(part, AudioPart) else f"{place}.file")


def _source(url: str, place: str) -> _Json:
    inline = _DATA_URL.match(url)
    if inline:
        return {"type": "base64", "media_type": inline["kind"], "data": url[inline.end() :]}
    if url.startswith(("https://", "http://")):
        return {"type": "url", "url": url}
    raise BadRequest(f"{place}: expected a base64 data URL or a web address", param=place)


def _text(content: str | list[Part] | None) -> str:
    if isinstance(content, list):
        return "".join(part.text for part in content if isinstance(part, TextPart))
    return content or ""


def _tool_use(call: Call, place: str) -> _Json:
    arguments = argument_text(call.function.arguments).strip().encode() or b"{}"
    try:
        _INPUT.decode(arguments)
    except (msgspec.DecodeError, RecursionError):
        param = f"{place}.function.arguments"
        raise BadRequest(f"{param}: expected a JSON object as text", param=param) from None
    input = msgspec.Raw(arguments)
    return {"type": "tool_use", "id": call_id(call.id), "name": call.function.name, "input": input}
