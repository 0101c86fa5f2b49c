import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from trimtab.wire import ChatToResponsesStream, SseEvent, StreamUsage

from .samples import (
    CHAT_REPLY,
    CHAT_STREAM,
    RESPONSES_REQUEST,
    call,
    chunk,
    events_of,
    openai_client,
    spoilt,
    translated,
)

REQUEST = json.dumps(RESPONSES_REQUEST).encode()
EVENT = TypeAdapter(ResponseStreamEvent)


def told(stream: bytes) -> list[dict]:
    """The events, each valid for the SDK and numbered in order."""
    events = [
        json.loads(event.data) for event in events_of(translated(ChatToResponsesStream(REQUEST), stream))
    ]
    for number, event in enumerate(events):
        EVENT.validate_python(event)
        assert event["sequence_number"] == number
    return events


def response_of(stream: bytes) -> Response:
    """What OpenAI's own SDK makes of the stream."""
    client = openai_client(translated(ChatToResponsesStream(REQUEST), stream))
    with client.responses.stream(model="m", input="x") as events:
        return events.get_final_response()


def test_the_events_come_in_the_documented_order():
    kinds = [event["type"].removeprefix("response.") for event in told(CHAT_STREAM)]
    assert kinds == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "output_text.delta",
        "output_text.delta",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.delta",
        "output_item.added",
        "function_call_arguments.delta",
        "function_call_arguments.done",
        "output_item.done",
        "function_call_arguments.done",
        "output_item.done",
        "completed",
    ]


def test_the_sdk_puts_the_stream_together():
    response = response_of(CHAT_STREAM)
    assert (response.status, response.output_text) == ("completed", "I see")
    assert [item.type for item in response.output] == ["message", "function_call", "function_call"]
    assert [item.arguments for item in response.output[1:]] == ['{"at": 1}', "{}"]
    assert (response.usage.input_tokens, response.usage.output_tokens) == (100, 20)


def test_usage_can_be_read_off_the_translated_stream():
    usage = StreamUsage()
    for event in events_of(translated(ChatToResponsesStream(REQUEST), CHAT_STREAM)):
        usage.feed(event.data)
    assert usage.usage.input_tokens == CHAT_REPLY["usage"]["prompt_tokens"]


def test_mixed_calls_and_late_words_keep_their_places():
    stream = b"".join(
        [
            chunk(call(0, "a", "one", '{"x"')),
            chunk(call(1, "b", "two", '{"y"')),
            chunk(call(0, arguments=":1}")),
            chunk({"content": "late"}),
            chunk(call(1, arguments=":2}")),
            chunk({}, "tool_calls"),
        ]
    )
    response = response_of(stream)
    assert [getattr(item, "arguments", None) for item in response.output] == ['{"x":1}', '{"y":2}', None]


def test_a_refusal_is_told_as_one():
    kinds = [event["type"] for event in told(chunk({"refusal": "no"}) + chunk({}, "stop"))]
    assert "response.refusal.delta" in kinds
    assert "response.refusal.done" in kinds


def test_a_stream_cut_short_by_its_limit_is_incomplete():
    last = told(chunk({"content": "x"}) + chunk({}, "length"))[-1]
    assert last["type"] == "response.incomplete"
    assert last["response"]["incomplete_details"] == {"reason": "max_output_tokens"}


@pytest.mark.parametrize("begun", [b"", chunk({"content": "x"})])
@pytest.mark.parametrize("ending", [b"", b'data: {"error":{"message":"overloaded"}}\n\n', b"data: {\n\n"])
def test_a_stream_that_breaks_off_has_failed(begun, ending):
    last = told(begun + ending)[-1]
    assert last["type"] == "response.failed"
    assert last["response"]["status"] == "failed"
    assert last["response"]["error"]["message"]


CHUNKS = [json.loads(event.data) for event in events_of(CHAT_STREAM) if event.data != b"[DONE]"]


@given(st.data(), spoilt(RESPONSES_REQUEST))
def test_any_stream_is_translated_without_an_exception(data, request):
    translator = ChatToResponsesStream(request)
    for sample in data.draw(st.lists(st.sampled_from(CHUNKS), max_size=8)):
        body = data.draw(st.just(json.dumps(sample).encode()) | spoilt(sample) | st.binary(max_size=20))
        assert isinstance(translator.feed(SseEvent("", body, b"")), bytes)
    assert isinstance(translator.finish(), bytes)
    assert translator.finish() == b""
