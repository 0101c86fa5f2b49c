import json

import anthropic.types
from hypothesis import given
from hypothesis import strategies as st
from openai.types.chat import ChatCompletion

from trimtab.wire import BrokenReply, MessagesCollector, ReplyCollector, read_reply, usage_of

from .samples import (
    CHAT_REPLY,
    CHAT_STREAM,
    MESSAGES_REPLY,
    MESSAGES_STREAM,
    call,
    chunk,
    delta,
    events_of,
    spoilt,
    told,
)


def collected(collector: ReplyCollector | MessagesCollector, stream: bytes) -> dict:
    for event in events_of(stream):
        collector.feed(event.data)
    return json.loads(collector.reply())


def test_a_chat_stream_becomes_the_plain_reply():
    reply = collected(ReplyCollector(), CHAT_STREAM)
    assert ChatCompletion.model_validate(reply)
    expected = CHAT_REPLY["choices"][0]
    assert reply["choices"][0] == expected | {"logprobs": None} | {
        "message": {name: value for name, value in expected["message"].items() if name != "refusal"}
    }
    assert reply["usage"] == CHAT_REPLY["usage"]
    assert (reply["id"], reply["object"]) == ("chatcmpl-1", "chat.completion")


def test_output_is_counted_as_it_comes():
    collector = ReplyCollector()
    collector.feed(events_of(chunk({"content": "né"}))[0].data)
    assert collector.output_bytes == 3
    collector.feed(events_of(chunk(call(0, "a", "f", "{}")))[0].data)
    collector.feed(b"[DONE]")
    assert collector.output_bytes == collector.output_bytes == 6


def test_unknown_members_of_deltas_grow_too():
    stream = b"".join(
        [
            chunk({"reasoning_content": "h", "details": [{"a": 1}], "audio": {"id": "x", "data": "A"}}),
            chunk({"reasoning_content": "m", "details": [{"b": 2}], "audio": {"data": "B"}}),
            chunk({}, "stop", system_fingerprint="fp"),
        ]
    )
    reply = collected(ReplyCollector(), stream)
    message = reply["choices"][0]["message"]
    assert message["reasoning_content"] == "hm"
    assert message["details"] == [{"a": 1}, {"b": 2}]
    assert message["audio"] == {"id": "x", "data": "AB"}
    assert reply["system_fingerprint"] == "fp"


def test_logprobs_and_choices_are_kept_apart():
    def one(index: int, text: str, logprob: float) -> bytes:
        logprobs = {"content": [{"token": text, "logprob": logprob}], "refusal": None}
        choice = {"index": index, "delta": {"content": text}, "logprobs": logprobs}
        return chunk(choices=[choice])

    stream = one(1, "b", -2.0) + one(0, "a", -1.0) + one(0, "c", -3.0)
    reply = collected(ReplyCollector(), stream)
    assert [choice["message"]["content"] for choice in reply["choices"]] == ["ac", "b"]
    assert read_reply(json.dumps(reply).encode()).mean_logprob == -2.0


def test_calls_are_told_apart_by_index_or_id():
    stream = b"".join(
        [
            chunk(call(0, "a", "one", "{")),
            chunk(call(0, "b", "two", "[")),
            chunk(call(0, arguments="]")),
            chunk(call(None, "c", "three", "(")),
            chunk(call(None, arguments=")")),
        ]
    )
    calls = collected(ReplyCollector(), stream)["choices"][0]["message"]["tool_calls"]
    assert [(c["id"], c["function"]["name"], c["function"]["arguments"]) for c in calls] == [
        ("a", "one", "{"),
        ("b", "two", "[]"),
        ("c", "three", "()"),
    ]


def test_an_error_in_the_stream_is_kept():
    stream = chunk({"content": "x"}) + b'data: {"error":{"message":"overloaded"}}\n\n'
    assert collected(ReplyCollector(), stream)["error"] == {"message": "overloaded"}


def test_a_messages_stream_becomes_the_plain_message():
    collector = MessagesCollector()
    message = collected(collector, MESSAGES_STREAM)
    assert message == MESSAGES_REPLY
    assert anthropic.types.Message.model_validate(message)
    assert usage_of(json.dumps(message).encode()).input_tokens == 100
    assert collector.output_bytes == len('hmI seelook{"at": 1}')


def test_tool_input_cut_short_is_empty():
    stream = MESSAGES_STREAM[: MESSAGES_STREAM.index(b'": 1}"') - 60]
    assert collected(MessagesCollector(), stream)["content"][-1]["input"] == {}


def test_citations_are_gathered():
    stream = b"".join(
        [
            told("content_block_start", index=0, content_block={"type": "text", "text": "a"}),
            delta(0, "text_delta", text="b"),
            delta(0, "citations_delta", citation={"n": 1}),
            told("error", error={"type": "api_error", "message": "no"}),
        ]
    )
    message = collected(MessagesCollector(), stream)
    assert message["content"] == [{"type": "text", "text": "ab", "citations": [{"n": 1}]}]
    assert message["error"]["message"] == "no"


CHUNKS = [json.loads(event.data) for event in events_of(CHAT_STREAM) if event.data != b"[DONE]"]
EVENTS = [json.loads(event.data) for event in events_of(MESSAGES_STREAM)]
DEEP = b'{"choices":[{"delta":{"x":' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}}]}"


@given(st.data())
def test_any_stream_is_collected_without_an_exception(data):
    samples, collector = data.draw(
        st.sampled_from([(CHUNKS, ReplyCollector()), (EVENTS, MessagesCollector())])
    )
    for sample in data.draw(st.lists(st.sampled_from(samples), max_size=8)):
        spoils = st.just(json.dumps(sample).encode()) | spoilt(sample) | st.binary(max_size=20)
        collector.feed(data.draw(spoils | st.just(DEEP)))
    assert collector.output_bytes >= 0
    assert isinstance(json.loads(collector.reply()), dict)
    try:
        read_reply(collector.reply())
    except BrokenReply:
        return
