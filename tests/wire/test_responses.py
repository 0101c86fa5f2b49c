import json

import openai.types.chat
import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response
from pydantic import TypeAdapter

from trimtab.core.errors import BadRequest
from trimtab.wire import BrokenReply, chat_of_responses_request, responses_of_chat_reply, usage_of

from .samples import CHAT_REPLY, RESPONSES_REQUEST, chat_call, openai_client, spoilt
from .test_messages import attempt

REQUEST = json.dumps(RESPONSES_REQUEST).encode()


def to_chat(**fields: object) -> dict:
    return json.loads(chat_of_responses_request(json.dumps(RESPONSES_REQUEST | fields).encode()))


def to_response(reply: dict, request: bytes = REQUEST) -> Response:
    return Response.model_validate_json(responses_of_chat_reply(json.dumps(reply).encode(), request))


def test_a_responses_request_as_chat():
    assert to_chat() == {
        "model": "m",
        "messages": [
            {"role": "system", "content": "be brief"},
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "what is this?"},
                    {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
                ],
            },
            {
                "role": "assistant",
                "content": "let me look",
                "tool_calls": [
                    {
                        "id": "call_1",
                        "type": "function",
                        "function": {"name": "look", "arguments": '{"at":1}'},
                    },
                    chat_call("call_2", "look", "{}"),
                ],
            },
            {"role": "tool", "tool_call_id": "call_1", "content": "a dot"},
            {"role": "tool", "tool_call_id": "call_2", "content": "no"},
            {"role": "user", "content": "and now?"},
        ],
        "max_completion_tokens": 50,
        "temperature": 0.5,
        "parallel_tool_calls": False,
        "tools": [
            {
                "type": "function",
                "function": {"name": "look", "strict": True, "parameters": {"type": "object"}},
            }
        ],
        "tool_choice": {"type": "function", "function": {"name": "look"}},
        "reasoning_effort": "low",
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "x", "strict": True, "schema": {"type": "object"}},
        },
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def test_a_translated_request_is_valid_for_the_sdk():
    assert TypeAdapter(openai.types.chat.CompletionCreateParams).validate_python(to_chat())


def test_plain_text_is_one_message():
    assert to_chat(input="hi", instructions=None)["messages"] == [{"role": "user", "content": "hi"}]


def test_a_call_after_a_tools_output_is_a_new_message():
    output = {"type": "function_call_output", "call_id": "a", "output": "x"}
    calls = [{"type": "function_call", "call_id": id, "name": "f", "arguments": "{}"} for id in ("a", "b")]
    messages = to_chat(input=[calls[0], output, calls[1]], instructions=None)["messages"]
    assert [message["role"] for message in messages] == ["assistant", "tool", "assistant"]
    assert [len(messages[at]["tool_calls"]) for at in (0, 2)] == [1, 1]


def test_logprobs_are_asked_for():
    assert to_chat(top_logprobs=2)["top_logprobs"] == 2
    assert to_chat(include=["message.output_text.logprobs"])["logprobs"] is True


def test_allowed_tools_are_passed_on():
    choice = {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "look"}]}
    assert to_chat(tool_choice=choice)["tool_choice"]["allowed_tools"]["mode"] == "auto"


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"tools": [{"type": "web_search"}]}, "tools[0]"),
        ({"tools": [{"type": "custom", "name": "x"}]}, "tools[0]"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
        ({"text": {"format": {"type": "json_schema", "name": "x"}}}, "text.format.schema"),
        ({"input": [{"type": "web_search_call", "id": "w"}]}, "input[0].type"),
        ({"input": [{"type": "function_call", "name": "x"}]}, "input[0]"),
        ({"input": [{"type": "function_call_output", "call_id": "x"}]}, "input[0]"),
        ({"input": [{"role": "user"}]}, "input[0]"),
        ({"input": [{"role": "user", "content": [{"type": "hologram"}]}]}, "input[0].content[0]"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0]",
        ),
        ({"input": 5}, "input"),
    ],
)
def test_what_chat_cannot_say_is_refused_by_name(fields, param):
    with pytest.raises(BadRequest) as refused:
        to_chat(**fields)
    assert refused.value.param == param


def test_a_hosted_tool_is_named():
    with pytest.raises(BadRequest, match="web_search"):
        to_chat(tools=[{"type": "web_search"}])


def test_a_chat_reply_as_a_response():
    response = to_response(CHAT_REPLY)
    assert (response.status, response.model, response.created_at) == ("completed", "real-model", 1700000000)
    assert response.output_text == "I see"
    assert [item.type for item in response.output] == ["message", "function_call", "function_call"]
    assert response.output[1].call_id == "call_1"
    assert (response.usage.input_tokens, response.usage.input_tokens_details.cached_tokens) == (100, 60)
    assert usage_of(response.model_dump_json().encode()).reasoning_tokens == 5


def test_a_response_repeats_the_request():
    response = to_response(CHAT_REPLY)
    assert (response.instructions, response.metadata, response.max_output_tokens) == (
        "be brief",
        {"run": "r"},
        50,
    )
    assert (response.tools[0].name, response.tool_choice.name) == ("look", "look")
    assert not response.parallel_tool_calls
    plain = to_response(CHAT_REPLY, b'{"model":"m","input":"x","tools":null}')
    assert (plain.tools, plain.tool_choice, plain.parallel_tool_calls) == ([], "auto", True)


def test_the_sdk_reads_a_response():
    client = openai_client(responses_of_chat_reply(json.dumps(CHAT_REPLY).encode(), REQUEST))
    assert client.responses.create(model="m", input="x").output_text == "I see"


@pytest.mark.parametrize(
    ("finish", "status", "reason"),
    [("stop", "completed", None), ("length", "incomplete", "max_output_tokens")],
)
def test_a_reply_cut_short_is_incomplete(finish, status, reason):
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": finish}
    response = to_response({"choices": [choice]})
    assert response.status == response.output[0].status == status
    assert (response.incomplete_details.reason if response.incomplete_details else None) == reason


def test_a_refusal_is_a_part_of_its_own():
    choice = {"message": {"content": None, "refusal": "no"}, "finish_reason": "stop"}
    assert to_response({"choices": [choice]}).output[0].content[0].refusal == "no"


@given(spoilt(RESPONSES_REQUEST) | st.binary(max_size=50))
def test_any_responses_request_is_translated_or_refused(body):
    attempt(chat_of_responses_request, body, BadRequest)


@given(spoilt(CHAT_REPLY) | st.binary(max_size=50), spoilt(RESPONSES_REQUEST))
def test_any_chat_reply_is_translated_or_broken(body, request):
    attempt(lambda body: responses_of_chat_reply(body, request), body, BrokenReply)
