"""Chat replies turned into OpenAI responses, for clients that speak the Responses API. The stream translator
builds its events of the same pieces.

Source: https://platform.openai.com/docs/api-reference/responses/object
"""

import msgspec

from trimtab.wire.body import NULL
from trimtab.wire.chat_shape import ChatReply, ReplyMessage, argument_text, text_of
from trimtab.wire.counts import responses_counts
from trimtab.wire.error import error_message
from trimtab.wire.reply import BrokenReply, decode_reply
from trimtab.wire.responses_shape import RequestEcho
from trimtab.wire.usage import usage_of

_REPLY = msgspec.json.Decoder(ChatReply)
_ECHO = msgspec.json.Decoder(RequestEcho)
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
# What a request that is silent on these means by it.
_UNSAID = {"metadata": {}, "text": {"format": {"type": "text"}}, "tool_choice": "auto", "tools": []}

_Json = dict[str, object]


def responses_of_chat_reply(body: bytes, request: bytes) -> bytes:
    """The response object that says what the chat reply `body` says, to the Responses request `request`.

    Raises BrokenReply where `body` is no chat reply.
    """
    reply = decode_reply(_REPLY, body)
    if reply.error or not reply.choices:
        raise BrokenReply(error_message(body) or "a chat reply without choices")
    choice = reply.choices[0]
    status = status_of(choice.finish_reason)
    response = response_object(request, reply.id or "0", reply.model or "", int(reply.created or 0))
    usage = usage_of(body)
    response |= {
        "status": status,
        "incomplete_details": incomplete_details(choice.finish_reason),
        "output": _output(reply.id or "0", choice.message, status),
        "usage": None if usage is None else responses_counts(usage),
    }
    return msgspec.json.encode(response)


def response_object(request: bytes, id: str, model: str, created: int) -> _Json:
    """A response in progress, with what it repeats of the request."""
    try:
        echo = _ECHO.decode(request)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        echo = RequestEcho()
    repeated: _Json = {name: getattr(echo, name) for name in echo.__struct_fields__}
    repeated |= {name: value for name, value in _UNSAID.items() if repeated[name] == NULL}
    return repeated | {
        "id": f"resp_{id.removeprefix('resp_')}",
        "object": "response",
        "created_at": created,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "model": model or echo.model,
        "output": [],
        "parallel_tool_calls": echo.parallel_tool_calls is not False,
        "previous_response_id": None,
        "store": False,
        "truncation": "disabled",
        "usage": None,
    }


def status_of(finish_reason: str | None) -> str:
    """A finished response's status."""
    return "incomplete" if finish_reason in _INCOMPLETE else "completed"


def incomplete_details(finish_reason: str | None) -> _Json | None:
    """Why a response is not whole, None where it is."""
    return {"reason": _INCOMPLETE[finish_reason]} if finish_reason in _INCOMPLETE else None


def text_part(kind: str, text: str) -> _Json:
    """A content part: `kind` is output_text or refusal."""
    if kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def message_item(id: str, content: list[_Json], status: str) -> _Json:
    """An output item with the assistant's words."""
    return {"id": id, "type": "message", "role": "assistant", "status": status, "content": content}


def call_item(id: str, call_id: str, name: str, arguments: str, status: str) -> _Json:
    """An output item that calls a function."""
    return {
        "id": id,
        "type": "function_call",
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
        "status": status,
    }


def _output(id: str, message: ReplyMessage, status: str) -> list[_Json]:
    text = text_of(message.content)
    content = [text_part("output_text", text)] if text else []
    if message.refusal:
        content.append(text_part("refusal", message.refusal))
    items = [message_item(f"msg_{id}", content, status)] if content else []
    for index, call in enumerate(message.tool_calls or ()):
        arguments = argument_text(call.function.arguments)
        call_id = call.id or f"call_{id}_{index}"
        items.append(call_item(f"fc_{id}_{index}", call_id, call.function.name, arguments, "completed"))
    return items
