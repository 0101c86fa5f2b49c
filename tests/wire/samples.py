"""Requests, replies and streams that the tests of this room share, and ways to spoil them."""

import json
from collections.abc import Iterator

import anthropic
import httpx2
import openai
from hypothesis import strategies as st

from trimtab.wire import SseEvent, SseParser

PIXEL = "iVBORw0KGgo="
PAGE = "data:application/pdf;base64,AA=="
LOOK = {"name": "look", "description": "looks", "parameters": {"type": "object"}, "strict": True}


def chat_call(id: str, name: str, arguments: str) -> dict:
    """A whole tool call of chat."""
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


CHAT_REQUEST = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "be brief"},
        {"role": "developer", "content": [{"type": "text", "text": "be kind"}]},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
                {
                    "type": "file",
                    "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AA=="},
                },
            ],
        },
        {
            "role": "assistant",
            "content": None,
            "tool_calls": [
                chat_call("call_1", "look", '{"at": 1}'),
                chat_call("call_2", "look", ""),
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "a dot"},
        {"role": "tool", "tool_call_id": "call_2", "content": [{"type": "text", "text": "nothing"}]},
        {"role": "user", "content": "and now?"},
    ],
    "tools": [
        {
            "type": "function",
            "function": {
                "name": "look",
                "description": "looks",
                "parameters": {"type": "object"},
                "strict": True,
            },
        },
        {"type": "function", "function": {"name": "stop"}},
    ],
    "tool_choice": "required",
    "parallel_tool_calls": False,
    "max_completion_tokens": 50,
    "temperature": 1.5,
    "top_p": 0.9,
    "stop": "END",
    "stream": True,
    "user": "ann",
    "reasoning_effort": "minimal",
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": {"type": "object"}}},
}

MESSAGES_REQUEST = {
    "model": "m",
    "max_tokens": 50,
    "system": [{"type": "text", "text": "be brief", "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "what is this?"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
                {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "words"}},
            ],
        },
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "text", "text": "let me look"},
                {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "toolu_1",
                    "is_error": True,
                    "content": [
                        {"type": "text", "text": "a dot"},
                        {"type": "image", "source": {"type": "url", "url": "https://a/c.png"}},
                    ],
                },
                {"type": "text", "text": "and now?"},
            ],
        },
    ],
    "tools": [{"name": "look", "description": "looks", "input_schema": {"type": "object"}}],
    "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": True},
    "thinking": {"type": "enabled", "budget_tokens": 4096},
    "stop_sequences": ["END"],
    "temperature": 0.5,
    "stream": True,
    "metadata": {"user_id": "ann"},
    "output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}},
}

RESPONSES_REQUEST = {
    "model": "m",
    "instructions": "be brief",
    "input": [
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "what is this?"},
                {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"},
            ],
        },
        {"type": "reasoning", "id": "rs_1", "summary": []},
        {
            "type": "message",
            "id": "msg_1",
            "role": "assistant",
            "status": "completed",
            "content": [{"type": "output_text", "text": "let me look", "annotations": []}],
        },
        {"type": "function_call", "call_id": "call_1", "name": "look", "arguments": '{"at":1}'},
        {"type": "function_call", "call_id": "call_2", "name": "look", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "call_1", "output": "a dot"},
        {
            "type": "function_call_output",
            "call_id": "call_2",
            "output": [{"type": "input_text", "text": "no"}],
        },
        {"role": "user", "content": "and now?"},
    ],
    "tools": [{"type": "function", "name": "look", "parameters": {"type": "object"}, "strict": True}],
    "tool_choice": {"type": "function", "name": "look"},
    "parallel_tool_calls": False,
    "max_output_tokens": 50,
    "temperature": 0.5,
    "text": {"format": {"type": "json_schema", "name": "x", "schema": {"type": "object"}, "strict": True}},
    "reasoning": {"effort": "low"},
    "metadata": {"run": "r"},
    "store": True,
    "stream": True,
}

CHAT_REPLY = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1700000000,
    "model": "real-model",
    "choices": [
        {
            "index": 0,
            "message": {
                "role": "assistant",
                "content": "I see",
                "refusal": None,
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"at": 1}'},
                    },
                    chat_call("call_2", "stop", "{}"),
                ],
            },
            "logprobs": {"content": [{"token": "I", "logprob": -0.5, "bytes": None, "top_logprobs": []}]},
            "finish_reason": "tool_calls",
        }
    ],
    "usage": {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60},
        "completion_tokens_details": {"reasoning_tokens": 5},
    },
}

MESSAGES_REPLY = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude",
    "content": [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "text", "text": "I see"},
        {"type": "tool_use", "id": "toolu_1", "name": "look", "input": {"at": 1}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {
        "input_tokens": 10,
        "output_tokens": 20,
        "cache_read_input_tokens": 60,
        "cache_creation_input_tokens": 30,
    },
}


def chunk(delta: dict | None = None, finish: str | None = None, **more: object) -> bytes:
    """A chat stream chunk as an endpoint sends it."""
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    head = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1700000000, "model": "real"}
    return b"data: " + json.dumps(head | {"choices": choices} | more).encode() + b"\n\n"


def call(
    index: int | None = None, id: str | None = None, name: str | None = None, arguments: str = ""
) -> dict:
    """A delta with a piece of a tool call."""
    function = {"name": name, "arguments": arguments} if name else {"arguments": arguments}
    told = {"index": index, "id": id, "type": "function" if id else None, "function": function}
    return {"tool_calls": [{key: value for key, value in told.items() if value is not None}]}


CHAT_STREAM = b"".join(
    [
        chunk({"role": "assistant", "content": ""}),
        chunk({"content": "I "}),
        chunk({"content": "see"}),
        chunk(call(0, "call_1", "look")),
        chunk(call(0, arguments='{"at"')),
        chunk(call(0, arguments=": 1}")),
        chunk(call(1, "call_2", "stop", "{}")),
        chunk({}, "tool_calls"),
        chunk(usage=CHAT_REPLY["usage"]),
        b"data: [DONE]\n\n",
    ]
)


def told(kind: str, **members: object) -> bytes:
    """An event as Anthropic sends it."""
    return b"event: %s\ndata: %s\n\n" % (kind.encode(), json.dumps({"type": kind} | members).encode())


def delta(index: int, kind: str, **members: object) -> bytes:
    return told("content_block_delta", index=index, delta={"type": kind} | members)


THOUGHT = {"type": "thinking", "thinking": "", "signature": ""}
MESSAGES_STREAM = b"".join(
    [
        told(
            "message_start",
            message=MESSAGES_REPLY
            | {"content": [], "stop_reason": None, "usage": MESSAGES_REPLY["usage"] | {"output_tokens": 1}},
        ),
        told(
            "content_block_start",
            index=0,
            content_block={"type": "thinking", "thinking": "", "signature": ""},
        ),
        told("ping"),
        delta(0, "thinking_delta", thinking="hm"),
        delta(0, "signature_delta", signature="s"),
        told("content_block_stop", index=0),
        told("content_block_start", index=1, content_block={"type": "text", "text": ""}),
        delta(1, "text_delta", text="I "),
        delta(1, "text_delta", text="see"),
        told("content_block_stop", index=1),
        told(
            "content_block_start",
            index=2,
            content_block={"type": "tool_use", "id": "toolu_1", "name": "look", "input": {}},
        ),
        delta(2, "input_json_delta", partial_json=""),
        delta(2, "input_json_delta", partial_json='{"at"'),
        delta(2, "input_json_delta", partial_json=": 1}"),
        told("content_block_stop", index=2),
        told(
            "message_delta",
            delta={"stop_reason": "tool_use", "stop_sequence": None},
            usage={"output_tokens": 20},
        ),
        told("message_stop"),
    ]
)


def events_of(stream: bytes) -> list[SseEvent]:
    return SseParser().feed(stream)


def translated(translator: object, stream: bytes) -> bytes:
    """All that `translator` makes of `stream`, its end included."""
    return b"".join(translator.feed(event) for event in events_of(stream)) + translator.finish()


def answering(reply: bytes) -> httpx2.Client:
    """A client to which every request is answered with `reply`."""
    kind = "application/json" if reply.startswith(b"{") else "text/event-stream"
    response = httpx2.Response(200, content=reply, headers={"content-type": kind})
    return httpx2.Client(transport=httpx2.MockTransport(lambda _: response))


def openai_client(reply: bytes) -> openai.OpenAI:
    """The real SDK, to which every request is answered with `reply`."""
    return openai.OpenAI(api_key="k", base_url="http://t", http_client=answering(reply))


def anthropic_client(reply: bytes) -> anthropic.Anthropic:
    """As `openai_client`, for Anthropic's."""
    return anthropic.Anthropic(api_key="k", base_url="http://t", http_client=answering(reply))


def places(value: object, path: tuple = ()) -> Iterator[tuple]:
    """The path of every value inside `value`."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, each in inner:
        yield from places(each, (*path, key))


def replaced(value: object, path: tuple, by: object) -> object:
    """`value` with what stands at `path` replaced."""
    if not path:
        return by
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], by)
    return copy


WRONG = st.sampled_from(
    [None, True, 0, -1, 1.5, 10**30, "", "x", "text", [], {}, [[]], [{}], [1], {"type": "x"}, {"a": None}]
)


def spoilt(sample: dict) -> st.SearchStrategy[bytes]:
    """`sample` as JSON with one or two values in it replaced."""

    @st.composite
    def spoil(draw) -> bytes:
        value: object = sample
        for _ in range(draw(st.integers(1, 2))):
            value = replaced(value, draw(st.sampled_from(list(places(value)))), draw(WRONG))
        return json.dumps(value).encode()

    return spoil()
