import json

import anthropic
import openai
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.wire import ChatToMessagesStream, MessagesToChatStream, SseEvent, messages_of_chat_reply

from .samples import (
    CHAT_REPLY,
    CHAT_STREAM,
    MESSAGES_STREAM,
    anthropic_client,
    call,
    chunk,
    events_of,
    openai_client,
    spoilt,
    translated,
)


def message_of(stream: bytes) -> anthropic.types.Message:
    """What Anthropic's own SDK makes of the stream."""
    client = anthropic_client(stream)
    with client.messages.stream(model="m", max_tokens=5, messages=[]) as events:
        return events.get_final_message()


def kinds_of(stream: bytes) -> list[str]:
    return [event.event for event in events_of(stream)]


def completion_of(stream: bytes) -> openai.types.chat.ChatCompletion:
    """What OpenAI's own SDK makes of the stream."""
    client = openai_client(stream)
    with client.chat.completions.stream(model="m", messages=[]) as events:
        return events.get_final_completion()


def test_a_chat_stream_as_messages_events():
    stream = translated(ChatToMessagesStream("asked"), CHAT_STREAM)
    assert kinds_of(stream) == [
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop",
    ]


def test_a_translated_chat_stream_ends_as_the_plain_reply_would():
    message = message_of(translated(ChatToMessagesStream("asked"), CHAT_STREAM))
    plain = anthropic.types.Message.model_validate_json(
        messages_of_chat_reply(json.dumps(CHAT_REPLY).encode(), "asked")
    )
    assert message.model_dump(include={"content", "stop_reason", "model"}, exclude_none=True) == (
        plain.model_dump(include={"content", "stop_reason", "model"}, exclude_none=True)
    )
    assert (message.usage.input_tokens, message.usage.output_tokens) == (40, 20)
    assert message.usage.cache_read_input_tokens == 60


def test_calls_whose_deltas_come_mixed_are_sorted_out():
    stream = b"".join(
        [
            chunk(call(0, "a", "one", '{"x"')),
            chunk(call(1, "b", "two", '{"y"')),
            chunk(call(0, arguments=":1}")),
            chunk({"content": "late words"}),
            chunk(call(1, arguments=":2}")),
            chunk({}, "tool_calls"),
        ]
    )
    message = message_of(translated(ChatToMessagesStream("m"), stream))
    assert [(block.type, getattr(block, "input", None)) for block in message.content] == [
        ("tool_use", {"x": 1}),
        ("tool_use", {"y": 2}),
        ("text", None),
    ]


def test_calls_that_share_an_index_are_told_apart_by_id():
    stream = chunk(call(0, "a", "one", "{}")) + chunk(call(0, "b", "two", "{}")) + chunk({}, "stop")
    message = message_of(translated(ChatToMessagesStream("m"), stream))
    assert [block.name for block in message.content] == ["one", "two"]
    assert message.stop_reason == "tool_use"


def test_a_call_named_late_is_not_lost():
    stream = chunk(call(0, "a")) + chunk(call(0, None, "one", "{}")) + chunk({}, "tool_calls")
    message = message_of(translated(ChatToMessagesStream("m"), stream))
    assert [(block.id, block.name) for block in message.content] == [("a", "one")]


def test_nothing_is_said_twice_at_the_end():
    translator = ChatToMessagesStream("m")
    translated(translator, CHAT_STREAM)
    assert translator.finish() == b""
    assert translator.feed(events_of(CHAT_STREAM)[0]) == b""


@pytest.mark.parametrize(
    "ending",
    [b"", b'data: {"error":{"message":"overloaded"}}\n\n', b"data: {broken\n\n", b"data: [DONE]\n\n"],
)
def test_a_chat_stream_that_breaks_off_ends_in_an_error_event(ending):
    stream = translated(ChatToMessagesStream("m"), chunk({"content": "I "}) + ending)
    assert kinds_of(stream)[-1] == "error"
    with pytest.raises(anthropic.APIStatusError):
        message_of(stream)


def test_a_messages_stream_as_chat_chunks():
    completion = completion_of(translated(MessagesToChatStream("asked", True, 5), MESSAGES_STREAM))
    choice = completion.choices[0]
    assert (completion.model, completion.created, completion.id) == ("asked", 5, "msg_1")
    assert (choice.message.content, choice.finish_reason) == ("I see", "tool_calls")
    assert choice.message.model_extra["reasoning_content"] == "hm"
    assert choice.message.tool_calls[0].function.arguments == '{"at": 1}'
    assert (completion.usage.prompt_tokens, completion.usage.completion_tokens) == (100, 20)
    assert completion.usage.prompt_tokens_details.cached_tokens == 60


def test_usage_is_told_only_to_those_who_asked():
    assert b"usage" not in translated(MessagesToChatStream("m", False), MESSAGES_STREAM)


def test_a_call_without_arguments_has_an_empty_object():
    start = MESSAGES_STREAM.replace(b'"partial_json": "{\\"at\\""', b'"partial_json": ""')
    stream = start.replace(b'"partial_json": ": 1}"', b'"partial_json": ""')
    completion = completion_of(translated(MessagesToChatStream("m", True), stream))
    assert completion.choices[0].message.tool_calls[0].function.arguments == "{}"


@pytest.mark.parametrize(
    "ending",
    [
        b"",
        b'event: error\ndata: {"type":"error","error":{"type":"api_error","message":"busy"}}\n\n',
        b"event: x\ndata: {\n\n",
        b'event: message_stop\ndata: {"type":"message_stop"}\n\n',
    ],
)
def test_a_messages_stream_that_breaks_off_ends_in_an_error_chunk(ending):
    begun = MESSAGES_STREAM[: MESSAGES_STREAM.index(b"event: message_delta")]
    stream = translated(MessagesToChatStream("m", True), begun + ending)
    assert not stream.endswith(b"[DONE]\n\n")
    with pytest.raises(openai.APIError):
        completion_of(stream)


def test_there_and_back_says_the_same():
    there = translated(MessagesToChatStream("m", True), MESSAGES_STREAM)
    message = message_of(translated(ChatToMessagesStream("m"), there))
    assert [block.type for block in message.content] == ["text", "tool_use"]
    assert (message.content[0].text, message.content[1].input) == ("I see", {"at": 1})
    assert (message.usage.input_tokens, message.usage.cache_creation_input_tokens) == (10, 30)


CHUNKS = [json.loads(event.data) for event in events_of(CHAT_STREAM) if event.data != b"[DONE]"]
EVENTS = [json.loads(event.data) for event in events_of(MESSAGES_STREAM)]


@given(st.data())
def test_any_stream_is_translated_without_an_exception(data):
    samples, translator = data.draw(
        st.sampled_from([(CHUNKS, ChatToMessagesStream("m")), (EVENTS, MessagesToChatStream("m", True))])
    )
    for sample in data.draw(st.lists(st.sampled_from(samples), max_size=8)):
        body = data.draw(st.just(json.dumps(sample).encode()) | spoilt(sample) | st.binary(max_size=20))
        assert isinstance(translator.feed(SseEvent("", body, b"")), bytes)
    assert isinstance(translator.finish(), bytes)
    assert translator.finish() == b""
