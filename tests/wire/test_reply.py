import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion, ChatCompletionChunk

from trimtab.wire import DONE, BrokenReply, ReplyCollector, ToolCall, read_reply, stream_of_reply

from .samples import CHAT_REPLY, events_of, openai_client, spoilt

REPLY = json.dumps(CHAT_REPLY).encode()


def reply_with(**choice: object) -> bytes:
    return json.dumps({"choices": [{"message": {"content": "x"}} | choice]}).encode()


def test_the_facts_of_a_reply():
    facts = read_reply(REPLY)
    assert (facts.text, facts.finish_reason, facts.mean_logprob) == ("I see", "tool_calls", -0.5)
    assert facts.tool_calls == (ToolCall("look", '{"at": 1}'), ToolCall("stop", "{}"))
    assert facts.output_bytes == len('I seelook{"at": 1}stop{}')
    assert not facts.refusal


def test_all_choices_count_as_output():
    choices = [{"message": {"content": "é"}}, {"message": {"content": "b", "reasoning_content": "ccc"}}]
    assert read_reply(json.dumps({"choices": choices}).encode()).output_bytes == 6


def test_other_shapes_of_replies_are_read():
    assert read_reply(reply_with(message={"content": None, "refusal": "no"})).refusal
    assert read_reply(reply_with(message={"content": [{"type": "text", "text": "a"}, {}]})).text == "a"
    old = {"content": None, "function_call": {"name": "f", "arguments": "{}"}}
    assert read_reply(reply_with(message=old)).tool_calls == (ToolCall("f", "{}"),)
    odd = {"tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}
    assert read_reply(reply_with(message=odd)).tool_calls == (ToolCall("f", '{"a":1}'),)
    custom = {"tool_calls": [{"type": "custom", "custom": {"name": "f", "input": "free"}}]}
    assert read_reply(reply_with(message=custom)).tool_calls == (ToolCall("f", "free"),)


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "not what an endpoint replies"),
        (b"<html>", "not what an endpoint replies"),
        (b"[]", "not what an endpoint replies"),
        (b"\xff", "not what an endpoint replies"),
        (b"{}", "without choices"),
        (b'{"choices":[]}', "without choices"),
        (b'{"choices":null}', "without choices"),
        (b'{"choices":[5]}', "not what an endpoint replies"),
        (b'{"error":{"message":"out of memory"}}', "out of memory"),
        (b'{"error":"out of memory","choices":[{"message":{}}]}', "out of memory"),
    ],
)
def test_a_broken_reply_says_what_is_wrong(body, message):
    with pytest.raises(BrokenReply, match=message) as broken:
        read_reply(body)
    assert message in broken.value.message


@given(spoilt(CHAT_REPLY) | st.binary(max_size=50))
def test_any_reply_is_read_or_broken(body):
    for read in (read_reply, lambda body: stream_of_reply(body, True)):
        try:
            read(body)
        except BrokenReply as broken:
            str(broken)


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_reply_as_a_stream_is_valid_for_the_sdk(include_usage):
    stream = stream_of_reply(REPLY, include_usage)
    assert stream.endswith(DONE)
    chunks = [ChatCompletionChunk.model_validate_json(event.data) for event in events_of(stream)[:-1]]
    assert (chunks[-1].usage is not None) is include_usage
    with openai_client(stream).chat.completions.stream(model="m", messages=[]) as events:
        completion = events.get_final_completion()
    assert completion.choices[0].message.content == "I see"
    assert completion.choices[0].message.tool_calls[0].function.arguments == '{"at": 1}'


def test_a_reply_survives_the_way_to_a_stream_and_back():
    collector = ReplyCollector()
    for event in events_of(stream_of_reply(REPLY, True)):
        collector.feed(event.data)
    back = ChatCompletion.model_validate_json(collector.reply())
    assert back.model_dump(exclude_none=True) == (
        ChatCompletion.model_validate_json(REPLY).model_dump(exclude_none=True)
    )
    assert collector.output_bytes == read_reply(REPLY).output_bytes


def test_every_choice_is_streamed():
    choices = [
        {"index": i, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        for i, text in enumerate("ab")
    ]
    collector = ReplyCollector()
    for event in events_of(stream_of_reply(json.dumps({"choices": choices}).encode(), False)):
        collector.feed(event.data)
    back = json.loads(collector.reply())
    assert [choice["message"]["content"] for choice in back["choices"]] == ["a", "b"]
