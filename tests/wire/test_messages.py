import json

import anthropic.types
import openai.types.chat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from trimtab.core.errors import BadRequest
from trimtab.wire import (
    BrokenReply,
    chat_of_messages_reply,
    chat_of_messages_request,
    messages_of_chat_reply,
    messages_of_chat_request,
    read_reply,
    read_request,
    usage_of,
)

from .samples import CHAT_REPLY, CHAT_REQUEST, MESSAGES_REPLY, MESSAGES_REQUEST, PIXEL, spoilt


def to_chat(**fields: object) -> dict:
    return json.loads(chat_of_messages_request(json.dumps(MESSAGES_REQUEST | fields).encode()))


def to_messages(**fields: object) -> dict:
    return json.loads(messages_of_chat_request(json.dumps(CHAT_REQUEST | fields).encode(), 999))


def user(*content: object) -> list:
    return [{"role": "user", "content": list(content)}]


def test_a_messages_request_as_chat():
    assert to_chat() == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is this?"},
                    {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PIXEL}"}},
                    {"type": "image_url", "image_url": {"url": "https://a/b.png"}},
                    {"type": "text", "text": "words"},
                ],
            },
            {
                "role": "assistant",
                "content": "let me look",
                "tool_calls": [
                    {
                        "id": "toolu_1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"at":1}'},
                    }
                ],
            },
            {"role": "tool", "tool_call_id": "toolu_1", "content": "Error: a dot\n[1 attached below]"},
            {
                "role": "user",
                "content": [
                    {"type": "image_url", "image_url": {"url": "https://a/c.png"}},
                    {"type": "text", "text": "and now?"},
                ],
            },
        ],
        "max_completion_tokens": 50,
        "temperature": 0.5,
        "stop": ["END"],
        "user": "ann",
        "reasoning_effort": "medium",
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "description": "looks", "parameters": {"type": "object"}},
            }
        ],
        "stream": True,
        "stream_options": {"include_usage": True},
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "reply", "schema": {"type": "object"}, "strict": True},
        },
    }


def test_a_chat_request_as_messages():
    assert to_messages() == {
        "model": "m",
        "max_tokens": 50,
        "system": "be brief\n\nbe kind",
        "messages": [
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is this?"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PIXEL}},
                    {"type": "image", "source": {"type": "url", "url": "https://a/b.png"}},
                    {
                        "type": "document",
                        "source": {"type": "base64", "media_type": "application/pdf", "data": "AA=="},
                        "title": "a.pdf",
                    },
                ],
            },
            {
                "role": "assistant",
                "content": [
                    {"type": "tool_use", "id": "call_1", "name": "look", "input": {"at": 1}},
                    {"type": "tool_use", "id": "call_2", "name": "look", "input": {}},
                ],
            },
            {
                "role": "user",
                "content": [
                    {
                        "type": "tool_result",
                        "tool_use_id": "call_1",
                        "content": [{"type": "text", "text": "a dot"}],
                    },
                    {
                        "type": "tool_result",
                        "tool_use_id": "call_2",
                        "content": [{"type": "text", "text": "nothing"}],
                    },
                    {"type": "text", "text": "and now?"},
                ],
            },
        ],
        "temperature": 1.0,
        "top_p": 0.9,
        "stop_sequences": ["END"],
        "stream": True,
        "metadata": {"user_id": "ann"},
        "tools": [
            {"name": "look", "description": "looks", "input_schema": {"type": "object"}, "strict": True},
            {"name": "stop", "input_schema": {"type": "object", "properties": {}}},
        ],
        "tool_choice": {"type": "any", "disable_parallel_tool_use": True},
        "output_config": {"effort": "low", "format": {"type": "json_schema", "schema": {"type": "object"}}},
    }


def test_translated_requests_are_valid_for_the_sdks_and_for_this_room():
    chat, messages = to_chat(), to_messages()
    chat_params = TypeAdapter(openai.types.chat.CompletionCreateParams)
    messages_params = TypeAdapter(anthropic.types.MessageCreateParams)
    assert chat_params.validate_python(chat)
    assert messages_params.validate_python(messages)
    assert read_request("chat", json.dumps(chat).encode()).tools == ("look",)
    assert read_request("messages", json.dumps(messages).encode()).user == "ann"


def test_a_request_survives_the_way_there_and_back():
    there = chat_of_messages_request(json.dumps(MESSAGES_REQUEST).encode())
    back = json.loads(messages_of_chat_request(there, 1))
    same = (
        "model",
        "max_tokens",
        "tools",
        "tool_choice",
        "stop_sequences",
        "temperature",
        "metadata",
        "stream",
    )
    assert [back[name] for name in same] == [MESSAGES_REQUEST[name] for name in same]
    assert back["system"] == "be brief"
    assert [message["role"] for message in back["messages"]] == ["user", "assistant", "user"]


@pytest.mark.parametrize(
    ("budget", "effort"), [(1024, "low"), (2048, "low"), (8192, "medium"), (8193, "high")]
)
def test_a_thinking_budget_becomes_an_effort(budget, effort):
    assert to_chat(thinking={"type": "enabled", "budget_tokens": budget})["reasoning_effort"] == effort


def test_a_stated_effort_goes_before_a_budget():
    assert to_chat(output_config={"effort": "max"})["reasoning_effort"] == "max"
    assert "reasoning_effort" not in to_chat(thinking={"type": "adaptive"})


@pytest.mark.parametrize(("given", "expected"), [("auto", "auto"), ("any", "required"), ("none", "none")])
def test_tool_choices_have_counterparts(given, expected):
    assert to_chat(tool_choice={"type": given})["tool_choice"] == expected
    assert to_messages(tool_choice=expected)["tool_choice"]["type"] == given


def test_the_default_limit_fills_in():
    assert to_messages(max_completion_tokens=None)["max_tokens"] == 999
    assert to_messages(max_completion_tokens=None, max_tokens=7)["max_tokens"] == 7


def test_json_object_becomes_an_instruction():
    assert "JSON object" in to_messages(response_format={"type": "json_object"})["system"]


def test_no_effort_disables_thinking():
    asked = to_messages(reasoning_effort="none", response_format=None)
    assert asked["thinking"] == {"type": "disabled"}
    assert "output_config" not in asked


def test_empty_texts_are_left_out():
    messages = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": " "}]
    assert to_messages(messages=[*messages, {"role": "user", "content": "on"}])["messages"] == [
        {"role": "user", "content": [{"type": "text", "text": "hi"}, {"type": "text", "text": "on"}]}
    ]


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"n": 2}, "n"),
        ({"logprobs": True}, "logprobs"),
        ({"modalities": ["text", "audio"]}, "modalities"),
        ({"functions": [{"name": "x"}]}, "functions"),
        ({"logit_bias": {"1": 2}}, "logit_bias"),
        ({"tools": [{"type": "custom", "custom": {"name": "x"}}]}, "tools[0].custom"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools"),
        ({"messages": [{"role": "system", "content": "x"}]}, "messages"),
        (
            {"messages": user({"type": "input_audio", "input_audio": {}})},
            "messages[0].content[0].input_audio",
        ),
        ({"messages": user({"type": "file", "file": {"file_id": "f"}})}, "messages[0].content[0].file"),
        (
            {"messages": user({"type": "image_url", "image_url": {"url": "ftp://x"}})},
            "messages[0].content[0].image_url.url",
        ),
        (
            {
                "messages": [
                    {"role": "assistant", "tool_calls": [{"function": {"name": "x", "arguments": "[]"}}]}
                ]
            },
            "messages[0].tool_calls[0].function.arguments",
        ),
        ({"messages": user({"type": "hologram"})}, "messages[0].content[0].type"),
    ],
)
def test_what_messages_cannot_say_is_refused_by_name(fields, param):
    with pytest.raises(BadRequest) as refused:
        to_messages(**fields)
    assert refused.value.param == param


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"container": "c"}, "container"),
        ({"mcp_servers": [{"url": "x"}]}, "mcp_servers"),
        ({"inference_geo": "eu"}, "inference_geo"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools[0].type"),
        (
            {"messages": user({"type": "image", "source": {"type": "file", "file_id": "f"}})},
            "messages[0].content[0].source.type",
        ),
        (
            {"messages": user({"type": "tool_use", "id": "t", "name": "x", "input": {}})},
            "messages[0].content[0]",
        ),
        ({"messages": user({"type": "server_tool_use"})}, "messages[0].content[0].type"),
        ({"max_tokens": "x"}, "max_tokens"),
    ],
)
def test_what_chat_cannot_say_is_refused_by_name(fields, param):
    with pytest.raises(BadRequest) as refused:
        to_chat(**fields)
    assert refused.value.param == param


def test_a_chat_reply_as_a_message():
    body = messages_of_chat_reply(json.dumps(CHAT_REPLY).encode(), "asked-model")
    message = anthropic.types.Message.model_validate_json(body)
    assert (message.model, message.stop_reason) == ("asked-model", "tool_use")
    assert [block.type for block in message.content] == ["text", "tool_use", "tool_use"]
    assert message.content[1].input == {"at": 1}
    assert (message.usage.input_tokens, message.usage.cache_read_input_tokens) == (40, 60)
    assert usage_of(body).input_tokens == 100


def test_a_message_as_a_chat_reply():
    body = chat_of_messages_reply(json.dumps(MESSAGES_REPLY).encode(), created=5)
    reply = openai.types.chat.ChatCompletion.model_validate_json(body)
    assert (reply.model, reply.created, reply.choices[0].finish_reason) == ("claude", 5, "tool_calls")
    facts = read_reply(body)
    assert (facts.text, facts.tool_calls[0].name) == ("I see", "look")
    assert json.loads(facts.tool_calls[0].arguments) == {"at": 1}
    assert reply.usage.prompt_tokens == 100
    assert usage_of(body).cache_write_tokens == 30


@pytest.mark.parametrize(
    ("finish", "more", "stop"),
    [
        ("stop", {}, "end_turn"),
        ("length", {}, "max_tokens"),
        ("content_filter", {}, "refusal"),
        ("stop", {"stop_reason": "END"}, "stop_sequence"),
        ("stop", {"stop_reason": 128009}, "end_turn"),
        (None, {}, "end_turn"),
    ],
)
def test_finish_reasons_have_counterparts(finish, more, stop):
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": finish} | more
    message = json.loads(messages_of_chat_reply(json.dumps({"choices": [choice]}).encode(), "m"))
    assert message["stop_reason"] == stop
    assert message["stop_sequence"] == ("END" if stop == "stop_sequence" else None)


def test_tools_called_under_another_finish_reason_are_still_tool_use():
    choice = {"message": {"tool_calls": [{"id": "a b", "function": {"name": "x", "arguments": {"a": 1}}}]}}
    body = json.dumps({"choices": [choice | {"finish_reason": "stop"}]}).encode()
    message = json.loads(messages_of_chat_reply(body, "m"))
    assert message["stop_reason"] == "tool_use"
    assert message["content"][0] == {"type": "tool_use", "id": "a_b", "name": "x", "input": {"a": 1}}


def test_a_refusal_stays_one():
    choice = {"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}
    message = json.loads(messages_of_chat_reply(json.dumps({"choices": [choice]}).encode(), "m"))
    assert (message["stop_reason"], message["content"][0]["text"]) == ("refusal", "no")


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"choices":[]}', b'{"error":{"message":"no"}}', b"\xff"]
)
def test_a_broken_reply_is_named(body):
    with pytest.raises(BrokenReply):
        messages_of_chat_reply(body, "m")
    with pytest.raises(BrokenReply):
        chat_of_messages_reply(body)


def attempt(translate, body: bytes, error: type[Exception]) -> None:
    """Translates or refuses; any other exception fails the test."""
    try:
        translation = translate(body)
    except error:
        return
    assert isinstance(json.loads(translation), dict)


@given(spoilt(MESSAGES_REQUEST) | st.binary(max_size=50))
def test_any_messages_request_is_translated_or_refused(body):
    attempt(chat_of_messages_request, body, BadRequest)


@given(spoilt(CHAT_REQUEST) | st.binary(max_size=50))
def test_any_chat_request_is_translated_or_refused(body):
    attempt(lambda body: messages_of_chat_request(body, 5), body, BadRequest)


@given(spoilt(MESSAGES_REPLY) | st.binary(max_size=50))
def test_any_message_is_translated_or_broken(body):
    attempt(chat_of_messages_reply, body, BrokenReply)


@given(spoilt(CHAT_REPLY) | st.binary(max_size=50))
def test_any_chat_reply_is_translated_or_broken(body):
    attempt(lambda body: messages_of_chat_reply(body, "m"), body, BrokenReply)
