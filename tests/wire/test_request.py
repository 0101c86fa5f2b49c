import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.core.errors import BadRequest
from trimtab.wire import MEDIA_TOKENS, RequestFacts, read_request

HELLO = [{"role": "user", "content": "hello"}]
TOOL = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def chat(**fields: object) -> RequestFacts:
    return read_request("chat", json.dumps({"model": "m", "messages": HELLO} | fields).encode())


def messages(**fields: object) -> RequestFacts:
    body = {"model": "m", "max_tokens": 5, "messages": HELLO} | fields
    return read_request("messages", json.dumps(body).encode())


def responses(**fields: object) -> RequestFacts:
    return read_request("responses", json.dumps({"model": "m", "input": "hi"} | fields).encode())


def embeddings(**fields: object) -> RequestFacts:
    return read_request("embeddings", json.dumps({"model": "m"} | fields).encode())


READERS = {"chat": chat, "messages": messages, "responses": responses, "embeddings": embeddings}


def test_a_plain_chat_request():
    facts = chat(user="ann", metadata={"run": "r1", "n": 5}, stream=True, temperature=0.5)
    assert (facts.model, facts.user, facts.metadata) == ("m", "ann", {"run": "r1"})
    assert (facts.stream, facts.choices, facts.sampled) == (True, 1, True)
    assert (facts.max_output_tokens, facts.tools, facts.needs) == (None, (), frozenset())
    assert not facts.include_usage
    assert not facts.logprobs


def test_the_limit_has_two_names():
    assert chat(max_tokens=5).max_output_tokens == 5
    assert chat(max_tokens=5, max_completion_tokens=5).max_output_tokens == 5


def test_needs_follow_from_what_is_asked():
    facts = chat(
        n=3,
        logprobs=True,
        tools=[TOOL, {"type": "custom", "custom": {"name": "sql"}}],
        response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": {}}},
        stream_options={"include_usage": True},
    )
    assert facts.needs == {"n", "logprobs", "tools", "json_schema"}
    assert facts.tools == ("look", "sql")
    assert (facts.choices, facts.include_usage, facts.logprobs) == (3, True, True)


def test_a_request_at_temperature_zero_is_not_sampled():
    assert not chat(temperature=0).sampled
    assert not chat(temperature=0.0, seed=1).sampled
    assert chat(seed=1).sampled


def test_null_is_the_same_as_absent():
    nulls = dict.fromkeys(
        ("stream", "temperature", "tools", "metadata", "user", "n", "max_tokens", "logprobs")
    )
    plain = chat()
    for name in set(plain.__struct_fields__) - {"input_tokens"}:
        assert getattr(chat(**nulls), name) == getattr(plain, name)


def test_a_messages_request():
    facts = messages(
        system=[{"type": "text", "text": "be brief"}],
        metadata={"user_id": "ann"},
        tools=[{"name": "look", "input_schema": {}}],
        output_config={"format": {"type": "json_schema", "schema": {}}},
    )
    assert (facts.user, facts.max_output_tokens, facts.tools) == ("ann", 5, ("look",))
    assert facts.needs == {"tools", "json_schema"}


def test_a_responses_request():
    facts = responses(
        input=[
            {"role": "user", "content": [{"type": "input_text", "text": "hi"}]},
            {"type": "function_call", "call_id": "c", "name": "look", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "c", "output": "ok"},
        ],
        max_output_tokens=9,
        store=True,
        tools=[{"type": "function", "name": "look", "parameters": {}}],
        text={"format": {"type": "json_schema", "name": "x", "schema": {}}},
        include=["message.output_text.logprobs"],
    )
    assert facts.needs == {"tools", "json_schema", "logprobs"}
    assert (facts.max_output_tokens, facts.tools) == (9, ("look",))


@pytest.mark.parametrize("given", ["hello", ["a", "b"], [1, 2, 3], [[1, 2], [3]]])
def test_an_embeddings_request(given):
    facts = embeddings(input=given)
    assert (facts.needs, facts.sampled, facts.max_output_tokens) == ({"embeddings"}, False, 0)
    assert facts.input_tokens > 3


@pytest.mark.parametrize(
    "fields",
    [
        {"previous_response_id": "r"},
        {"conversation": "c"},
        {"background": True},
        {"prompt": {"id": "p"}},
        {"input": [{"type": "item_reference", "id": "i"}]},
        {"input": [{"id": "i"}]},
    ],
)
def test_what_would_need_stored_state_is_refused_with_a_way_out(fields):
    with pytest.raises(BadRequest) as refused:
        responses(**fields)
    assert refused.value.code == "stateless_only"
    assert "whole conversation" in str(refused.value)
    assert refused.value.param in (*fields, "input[0]")


@pytest.mark.parametrize(
    ("surface", "fields", "param"),
    [
        ("chat", {"model": ""}, "model"),
        ("chat", {"model": 5}, "model"),
        ("chat", {"model": None}, "model"),
        ("chat", {"messages": []}, "messages"),
        ("chat", {"messages": "hi"}, "messages"),
        ("chat", {"messages": [5]}, "messages[0]"),
        ("chat", {"messages": [*HELLO, {"content": "x"}]}, "messages[1].role"),
        ("chat", {"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ("chat", {"max_tokens": -1}, "max_tokens"),
        ("chat", {"max_tokens": 10**400}, "max_tokens"),
        ("chat", {"max_tokens": "5"}, "max_tokens"),
        ("chat", {"max_tokens": 5, "max_completion_tokens": 7}, "max_tokens"),
        ("chat", {"n": 0}, "n"),
        ("chat", {"n": 129}, "n"),
        ("chat", {"stream": "true"}, "stream"),
        ("chat", {"tools": {}}, "tools"),
        ("chat", {"tools": [{}]}, "tools[0]"),
        ("chat", {"metadata": []}, "metadata"),
        ("chat", {"temperature": "0"}, "temperature"),
        ("messages", {"max_tokens": None}, "max_tokens"),
        ("messages", {"system": 5}, "system"),
        ("responses", {"input": None}, "input"),
        ("responses", {"input": {}}, "input"),
        ("responses", {"max_output_tokens": 0}, "max_output_tokens"),
        ("embeddings", {}, "input"),
        ("embeddings", {"input": []}, "input"),
        ("embeddings", {"input": [1.5]}, "input[0]"),
    ],
)
def test_a_wrong_field_is_named(surface, fields, param):
    with pytest.raises(BadRequest) as refused:
        READERS[surface](**fields)
    assert refused.value.param == param
    assert refused.value.message.startswith(param)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"5",
        b'"x"',
        b"\xff",
        b'{"model":"\xff"}',
        b'{"x":"\xff"}',
        b'{"model":"\\ud800"}',
        b'{"x":NaN}',
        b'{"x":"\x00"}',
        b"\xef\xbb\xbf{}",
        b"{} {}",
        b'{"x":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"x":' + b'{"a":' * 100_000 + b"1" + b"}" * 100_001,
    ],
)
@pytest.mark.parametrize("surface", ["chat", "messages", "responses", "embeddings"])
def test_what_is_not_json_is_refused(surface, body):
    with pytest.raises(BadRequest) as refused:
        read_request(surface, body)
    assert refused.value.message


def test_a_doubled_key_counts_once():
    body = b'{"model":"a","model":"b","messages":[{"role":"user","content":"x"}]}'
    assert read_request("chat", body).model == "b"


@given(st.lists(st.text(), min_size=1, max_size=5), st.booleans())
def test_input_tokens_are_never_fewer_than_the_bytes_of_the_text(texts, ascii_only):
    body = json.dumps(
        {"model": "m", "messages": [{"role": "user", "content": text} for text in texts]},
        ensure_ascii=ascii_only,
    ).encode()
    least = sum(len(text.encode()) + 16 for text in texts)
    assert read_request("chat", body).input_tokens >= least


DATA = "iVBORw0KGgo" * 20_000


@pytest.mark.parametrize(
    ("surface", "part", "need"),
    [
        ("chat", {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{DATA}"}}, "vision"),
        ("chat", {"type": "image_url", "image_url": {"url": "https://a/b.png"}}, "vision"),
        ("messages", {"type": "image", "source": {"type": "base64", "data": DATA}}, "vision"),
        ("messages", {"type": "tool_result", "content": [{"type": "image", "source": {}}]}, "vision"),
    ],
)
def test_an_image_counts_as_one_whatever_its_bytes(surface, part, need):
    text = {"type": "text", "text": "look"}
    facts = READERS[surface](messages=[{"role": "user", "content": [text, part]}])
    assert facts.needs == {need}
    assert MEDIA_TOKENS < facts.input_tokens < MEDIA_TOKENS + 600


@pytest.mark.parametrize(
    ("surface", "part", "need"),
    [
        ("chat", {"type": "input_audio", "input_audio": {"data": DATA, "format": "wav"}}, "audio"),
        ("chat", {"type": "file", "file": {"file_data": DATA}}, "vision"),
        ("messages", {"type": "document", "source": {"type": "base64", "data": DATA}}, "vision"),
    ],
)
def test_a_sound_or_file_counts_more_the_longer_it_is(surface, part, need):
    facts = READERS[surface](messages=[{"role": "user", "content": [part]}])
    assert facts.needs == {need}
    assert MEDIA_TOKENS + len(DATA) // 16 < facts.input_tokens < MEDIA_TOKENS + len(DATA) // 16 + 600


def test_a_document_that_is_text_counts_as_text():
    source = {"type": "text", "media_type": "text/plain", "data": "word " * 1000}
    facts = messages(messages=[{"role": "user", "content": [{"type": "document", "source": source}]}])
    assert not facts.needs
    assert 5000 < facts.input_tokens < 6000


def test_images_in_responses_are_found():
    image = {"type": "input_image", "image_url": "https://a/b.png", "detail": "auto"}
    for item in (
        {"role": "user", "content": [image]},
        {"type": "function_call_output", "call_id": "c", "output": [image]},
        {"type": "computer_call_output", "call_id": "c", "output": {"type": "computer_screenshot"}},
    ):
        facts = responses(input=[item])
        assert facts.needs == {"vision"}
        assert facts.input_tokens > MEDIA_TOKENS


def test_parts_may_not_be_nested_without_end():
    part: dict = {"type": "text", "text": "x"}
    for _ in range(6):
        part = {"type": "tool_result", "content": [part]}
    with pytest.raises(BadRequest, match="deep"):
        messages(messages=[{"role": "user", "content": [part]}])


def test_tools_that_the_endpoint_runs_make_room_for_what_they_find():
    plain = messages(tools=[{"type": "custom", "name": "web_look"}])
    hosted = messages(tools=[{"type": "web_search_20250305", "name": "web_search"}])
    assert hosted.input_tokens > plain.input_tokens + 40_000


NAMES = st.sampled_from(
    [
        "model",
        "messages",
        "role",
        "content",
        "type",
        "text",
        "tools",
        "function",
        "name",
        "stream",
        "n",
        "max_tokens",
        "input",
        "source",
        "data",
        "image_url",
        "output",
        "metadata",
        "user",
        "temperature",
        "system",
        "response_format",
        "stream_options",
        "include_usage",
        "document",
        "file",
    ]
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=4) | NAMES,
    lambda inner: st.dictionaries(NAMES, inner, max_size=6) | st.lists(inner, max_size=3),
    max_leaves=25,
)
SURFACES = st.sampled_from(["chat", "messages", "responses", "embeddings"])


@given(SURFACES, st.dictionaries(NAMES, VALUES))
def test_any_json_gives_facts_or_a_refusal(surface, fields):
    body = json.dumps({"model": "m", "max_tokens": 5} | fields).encode()
    try:
        facts = read_request(surface, body)
    except BadRequest:
        return
    assert facts.input_tokens > 0


@given(SURFACES, st.binary(max_size=80))
def test_any_bytes_give_facts_or_a_refusal(surface, body):
    with pytest.raises(BadRequest):
        read_request(surface, body)
