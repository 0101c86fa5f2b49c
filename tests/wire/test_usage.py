import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core import Usage
from trimtab.wire import StreamUsage, told_of, usage_of


def usage(**counts: object) -> Usage | None:
    return usage_of(json.dumps({"usage": counts}).encode())


def test_openai_chat_usage():
    assert usage(
        prompt_tokens=100,
        completion_tokens=20,
        total_tokens=120,
        prompt_tokens_details={"cached_tokens": 60, "audio_tokens": 0, "cache_write_tokens": 10},
        completion_tokens_details={"reasoning_tokens": 5},
    ) == Usage(
        input_tokens=100, output_tokens=20, cached_tokens=60, cache_write_tokens=10, reasoning_tokens=5
    )


def test_details_may_be_null():
    assert usage(
        prompt_tokens=1, completion_tokens=2, prompt_tokens_details=None, completion_tokens_details=None
    ) == Usage(input_tokens=1, output_tokens=2)


def test_embeddings_usage():
    assert usage(prompt_tokens=8, total_tokens=8) == Usage(input_tokens=8)


def test_a_chat_reply_that_counts_no_completion_has_no_usage():
    assert usage(prompt_tokens=8, total_tokens=20) is None
    assert usage(prompt_tokens=8) is None


def test_anthropic_input_leaves_the_cache_out_and_ours_takes_it_in():
    assert usage(
        input_tokens=10,
        output_tokens=5,
        cache_read_input_tokens=100,
        cache_creation_input_tokens=50,
        cache_creation={"ephemeral_5m_input_tokens": 20, "ephemeral_1h_input_tokens": 30},
        server_tool_use={"web_search_requests": 2, "web_fetch_requests": 0},
        output_tokens_details={"thinking_tokens": 3},
    ) == Usage(
        input_tokens=160,
        output_tokens=5,
        cached_tokens=100,
        cache_write_tokens=50,
        cache_write_hour_tokens=30,
        reasoning_tokens=3,
        web_searches=2,
    )


def test_responses_input_includes_the_cache():
    assert usage(
        input_tokens=100,
        input_tokens_details={"cached_tokens": 40},
        output_tokens=9,
        output_tokens_details={"reasoning_tokens": 4},
        total_tokens=109,
    ) == Usage(input_tokens=100, output_tokens=9, cached_tokens=40, reasoning_tokens=4)


def test_deepseek_tells_cache_hits_beside():
    counts = {"prompt_tokens": 50, "completion_tokens": 1, "prompt_cache_hit_tokens": 32}
    assert usage(**counts) == Usage(input_tokens=50, output_tokens=1, cached_tokens=32)


def test_reasoning_left_out_of_the_completion_is_found_in_the_total():
    counts = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 115}
    found = usage(**counts, completion_tokens_details={"reasoning_tokens": 100})
    assert found == Usage(input_tokens=10, output_tokens=105, reasoning_tokens=100)


def test_parts_never_exceed_their_whole():
    found = usage(prompt_tokens=10, completion_tokens=5, prompt_tokens_details={"cached_tokens": 99})
    assert found == Usage(input_tokens=10, output_tokens=5, cached_tokens=10)


@pytest.mark.parametrize("wrong", [-1, "5", 1.5, True, [], {}, 10**30, None])
def test_counts_that_cannot_be_trusted_are_missing(wrong):
    assert usage(prompt_tokens=wrong, completion_tokens=1) is None
    assert usage(input_tokens=1, output_tokens=wrong) is None


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"usage":null}', b'{"usage":[]}', b'"usage"', b"\xff"])
def test_no_usage_is_none(data):
    assert usage_of(data) is None
    stream = StreamUsage()
    stream.feed(data)
    assert stream.usage is None


def test_a_strange_neighbour_does_not_hide_usage():
    data = b'{"message": "ok", "type": 5, "usage": {"prompt_tokens": 1, "completion_tokens": 2}}'
    assert usage_of(data) == Usage(input_tokens=1, output_tokens=2)


def test_an_openai_stream_tells_its_usage_in_the_last_chunk():
    stream = StreamUsage()
    for data in (
        b'{"choices":[{"delta":{"content":"\\"usage\\""}}],"usage":null}',
        b'{"choices":[],"usage":{"prompt_tokens":3,"completion_tokens":4,"total_tokens":7}}',
        b"[DONE]",
    ):
        stream.feed(data)
    assert stream.usage == Usage(input_tokens=3, output_tokens=4)


def test_an_anthropic_stream_tells_input_first_and_output_last():
    stream = StreamUsage()
    start = {"input_tokens": 10, "cache_read_input_tokens": 90, "output_tokens": 1}
    stream.feed(json.dumps({"type": "message_start", "message": {"id": "m", "usage": start}}).encode())
    assert stream.usage is None
    delta = {"output_tokens": 42, "input_tokens": None}
    stream.feed(json.dumps({"type": "message_delta", "delta": {}, "usage": delta}).encode())
    assert stream.usage == Usage(input_tokens=100, output_tokens=42, cached_tokens=90)


def test_a_responses_stream_tells_its_usage_inside_the_response():
    counts = {"input_tokens": 5, "output_tokens": 6, "total_tokens": 11}
    data = json.dumps({"type": "response.completed", "response": {"usage": counts}}).encode()
    stream = StreamUsage()
    stream.feed(data)
    assert stream.usage == usage_of(data) == Usage(input_tokens=5, output_tokens=6)


NAMES = st.sampled_from(
    [
        "usage",
        "message",
        "response",
        "type",
        "prompt_tokens",
        "completion_tokens",
        "total_tokens",
        "input_tokens",
        "output_tokens",
        "prompt_tokens_details",
        "input_tokens_details",
        "cached_tokens",
        "cache_creation",
        "server_tool_use",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: st.dictionaries(NAMES, inner, max_size=5) | st.lists(inner, max_size=2),
    max_leaves=20,
)


@given(VALUES)
def test_any_json_gives_usage_or_none(value):
    data = json.dumps({"usage": value}).encode()
    found = usage_of(data)
    stream = StreamUsage()
    stream.feed(data)
    for each in (found, stream.usage):
        assert each is None or (min(each.input_tokens, each.output_tokens) >= 0)
        assert each is None or each.cached_tokens + each.cache_write_tokens <= each.input_tokens
        assert each is None or each.reasoning_tokens <= each.output_tokens


def test_reasoning_that_only_the_total_tells_is_reasoning():
    assert usage(prompt_tokens=10, completion_tokens=5, total_tokens=40) == Usage(
        input_tokens=10, output_tokens=30, reasoning_tokens=25
    )


@pytest.mark.parametrize(
    ("data", "service"),
    [
        ({"service_tier": "priority", "usage": {"prompt_tokens": 1, "completion_tokens": 2}}, "priority"),
        ({"usage": {"input_tokens": 1, "output_tokens": 2, "service_tier": "priority"}}, "priority"),
        ({"usage": {"input_tokens": 1, "output_tokens": 2, "speed": "fast"}}, "fast"),
        ({"service_tier": None, "usage": {"prompt_tokens": 1, "completion_tokens": 2}}, ""),
        ({"service_tier": 7, "usage": {"prompt_tokens": 1, "completion_tokens": 2}}, ""),
    ],
)
def test_the_service_that_a_reply_tells(data, service):
    told = told_of(json.dumps(data).encode())
    stream = StreamUsage()
    stream.feed(json.dumps(data).encode())
    assert told == stream.told
    assert told.usage is not None
    assert [value for _, value in told.service] == ([service] if service else [])


def test_audio_tokens_are_told_apart():
    details = {"audio_tokens": 4}
    counts = {"prompt_tokens": 5, "completion_tokens": 6, "prompt_tokens_details": details}
    assert (
        told_of(json.dumps({"usage": counts | {"completion_tokens_details": details}}).encode()).audio_tokens
        == 8
    )
    nonsense = {"prompt_tokens_details": {"audio_tokens": "many"}}
    assert told_of(json.dumps({"usage": counts | nonsense}).encode()).usage is not None
