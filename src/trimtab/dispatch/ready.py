"""A controller's answer as the reply of a model: chat's shape, from which the other surfaces are translated."""

from collections.abc import Mapping

import msgspec

from trimtab.controllers import OWN_CALL, Answer
from trimtab.core import Call, Surface
from trimtab.dispatch.form import form_of
from trimtab.dispatch.visit import Visit

_encode = msgspec.json.Encoder().encode
_USAGE = {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}


class Ready(msgspec.Struct, frozen=True):
    """An answer that needs no model: for the client as it asked for it, for the trace plain; `said_bytes` is how
    much a model would have had to generate."""

    answer: Answer
    shown: bytes
    kept: bytes
    said_bytes: int


def ready_of(visit: Visit, answer: Answer, chat: bytes, said_bytes: int) -> Ready:
    """The reply `chat` in the client's shape. Raises BrokenReply where it cannot be told so."""
    shown, kept = shown_of(visit, chat)
    return Ready(answer, shown, kept, said_bytes)


def shown_of(visit: Visit, chat: bytes) -> tuple[bytes, bytes]:
    """The reply `chat` as the client asked for it, and plain. Raises BrokenReply where it cannot be told so."""
    surface: Surface = visit.call.surface
    form = form_of(surface, "openai")
    kept = form.reply(chat, visit.asked)
    if not visit.call.stream or form.stream_of_reply is None:
        return kept, kept
    return form.stream_of_reply(chat, visit.asked), kept


def calling_reply(call: Call, answer: Answer) -> tuple[bytes, int]:
    """The chat reply that makes an answer's tool calls, each under a fresh id, and the bytes of what it says."""
    calls = [
        {
            "id": f"{OWN_CALL}{call.id}{index}",
            "type": "function",
            "function": {"name": each.name, "arguments": _encode(each.arguments).decode()},
        }
        for index, each in enumerate(answer.calls)
    ]
    said = {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}
    return _chat(call, said, "tool_calls"), len(_encode([each["function"] for each in calls]))


def label_reply(call: Call, text: str) -> tuple[bytes, int]:
    """The chat reply that says `text`, and its bytes."""
    said = {"role": "assistant", "content": text, "refusal": None}
    return _chat(call, said, "stop"), len(text.encode())


def _chat(call: Call, said: Mapping[str, object], finish: str) -> bytes:
    choice = {"index": 0, "message": said, "logprobs": None, "finish_reason": finish}
    return _encode(
        {
            "id": f"chatcmpl-{call.id}",
            "object": "chat.completion",
            "created": int(call.at),
            "model": call.model,
            "choices": [choice],
            "usage": _USAGE,
        }
    )
