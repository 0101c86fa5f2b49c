"""Prompts taken apart: chat, messages and responses, whatever is broken in them; the sample of the newest runs."""

import json

import pytest

from console.visiting import words
from traces.made import call, chat_bytes, keep, paid, reply_bytes, tool_call
from trimtab.console.overhead import read_overhead
from trimtab.console.prompts import PromptReader, called_in
from trimtab.core import Usage
from trimtab.guards import redact
from trimtab.store import Selection, Standing

TOOL = {"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}
CHAT = {
    "model": "m",
    "messages": [
        {"role": "system", "content": "s" * 10},
        {"role": "developer", "content": "d" * 5},
        {"role": "user", "content": "u" * 20},
        {"role": "assistant", "content": None, "tool_calls": [tool_call("i", "find", "a" * 7)]},
        {"role": "tool", "tool_call_id": "i", "content": "r" * 30},
        {"role": "assistant", "content": "b" * 3},
        {"role": "user", "content": [{"type": "text", "text": "n" * 4}]},
    ],
    "tools": [TOOL],
}
MESSAGES = {
    "model": "m",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "s" * 15, "cache_control": {"type": "ephemeral"}}],
    "messages": [
        {"role": "user", "content": [{"type": "text", "text": "u" * 20}]},
        {
            "role": "assistant",
            "content": [{"type": "tool_use", "id": "i", "name": "find", "input": {"q": 1}}],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "i", "content": [{"type": "text", "text": "r" * 10}]},
                {
                    "type": "document",
                    "source": {"type": "text", "media_type": "text/plain", "data": "r" * 20},
                },
                {"type": "text", "text": "v" * 2},
            ],
        },
        {"role": "assistant", "content": "b" * 3},
        {"role": "user", "content": "n" * 4},
    ],
    "tools": [{"name": "find", "input_schema": {"type": "object"}}],
}
RESPONSES = {
    "model": "m",
    "instructions": "s" * 15,
    "input": [
        {"role": "user", "content": "u" * 20},
        {"type": "function_call", "call_id": "i", "name": "find", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "i", "output": "r" * 30},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "b" * 3}]},
        {"role": "user", "content": [{"type": "input_text", "text": "n" * 4}]},
    ],
    "tools": [{"type": "function", "name": "find", "parameters": {}}, {"type": "web_search"}],
}


def split(surface, body):
    return PromptReader().read(surface, body if isinstance(body, bytes) else json.dumps(body).encode())


@pytest.mark.parametrize(
    ("surface", "body", "history"),
    [
        ("chat", CHAT, 20 + len("find") + 7 + 3),
        ("messages", MESSAGES, 20 + len("find") + len('{"q":1}') + 2 + 3),
        # Arguments that are text are read as they stand in JSON.
        ("responses", RESPONSES, 20 + len("find") + 4 + 3),
    ],
)
def test_a_prompt_falls_into_its_parts(surface, body, history):
    found = split(surface, body)
    assert found.sizes["system"] == 15
    assert found.sizes["retrieved"] == 30
    assert found.sizes["new"] == 4
    assert abs(found.sizes["history"] - history) <= 2
    assert found.sizes["tools"] == sum(len(json.dumps(tool)) for tool in body["tools"])
    assert set(found.declared) == {"find"}
    assert found.called == {"find"}
    assert found.whole == sum(found.sizes.values())


def test_without_an_answer_all_that_is_not_the_systems_is_new():
    asked = {"messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "nnn"}]}
    assert split("chat", asked).sizes == {"system": 1, "tools": 0, "history": 0, "retrieved": 0, "new": 3}
    assert split("responses", {"input": "nnn"}).sizes["new"] == 3


def test_what_a_tool_just_found_is_new_and_no_history_yet():
    asked = {"messages": CHAT["messages"][:5]}
    found = split("chat", asked).sizes
    assert found["new"] == 30
    assert found["retrieved"] == 0
    asked = {"input": RESPONSES["input"][:3]}
    assert split("responses", asked).sizes["new"] == 30


def test_a_picture_does_not_count_by_its_bytes():
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64," + "A" * 1_000_000}}
    found = split("chat", {"messages": [{"role": "user", "content": [picture]}]})
    assert 0 < found.whole < 10_000
    scan = {
        "type": "document",
        "source": {"type": "base64", "media_type": "application/pdf", "data": "A" * 99_999},
    }
    assert 0 < split("messages", {"messages": [{"role": "user", "content": [scan]}]}).whole < 10_000


def test_text_counts_by_its_bytes_in_any_script():
    assert split("chat", {"messages": [{"role": "user", "content": "日本"}]}).sizes["new"] == 6


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b"\xff\xfe",
        b'{"messages":1}',
        b'{"messages":[1]}',
        b'{"messages":[{"role":"user"}],"tools":3}',
        b'{"messages":[{"role":"user"}],"tools":[1]}',
        b'{"input":[[]]}',
        b'{"messages":' + b"[" * 100_000,
        b'{"messages":[{"role":"user","content":' + b"[" * 700 + b"]" * 700 + b"}]}",
        b'{"messages":[{"role":"user","content":' + b"[" * 5_000 + b"]" * 5_000 + b"}]}",
    ],
)
@pytest.mark.parametrize("surface", ["chat", "messages", "responses"])
def test_what_cannot_be_read_is_none_or_empty_and_raises_nothing(surface, body):
    reader = PromptReader()
    for _ in range(2):
        found = reader.read(surface, body)
        assert found is None or found.whole == 0
    called_in(body)


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [{}]},
        {"messages": [{"role": 3, "content": {"type": 4}, "tool_calls": [None, {"function": 5}]}]},
        {"messages": [{"role": "assistant", "content": [None, 3, {"type": None}], "function_call": "x"}]},
        {"messages": [{"role": ["x"], "content": None, "tool_calls": {"a": 1}}]},
        {"input": [{"type": ["function_call"], "name": {}}]},
        {"messages": [], "tools": [{"function": {"name": 7}}, {}]},
    ],
)
@pytest.mark.parametrize("surface", ["chat", "messages", "responses"])
def test_odd_shapes_raise_nothing(surface, body):
    split(surface, body)
    called_in(json.dumps({"choices": body.get("messages"), "output": body.get("input")}).encode())


def test_redacted_content_is_taken_apart_like_any():
    asked = json.dumps(CHAT).replace("u" * 20, "ann@example.com wrote it").encode()
    assert b"[email]" in redact(asked)
    found = split("chat", redact(asked))
    assert found.sizes["history"] > 20
    assert found.called == {"find"}


@pytest.mark.parametrize(
    "reply",
    [
        reply_bytes(None, [tool_call("i", "find", "{}")]),
        json.dumps({"content": [{"type": "tool_use", "name": "find", "input": {}}]}).encode(),
        json.dumps({"output": [{"type": "function_call", "name": "find", "arguments": "{}"}]}).encode(),
        json.dumps({"choices": [{"message": {"function_call": {"name": "find"}}}]}).encode(),
    ],
)
def test_a_replys_calls_are_read_in_each_shape(reply):
    assert called_in(reply) == {"find"}


def sample(house, selection=None, **named):
    asked = selection or Selection()
    return house.house.database.read(lambda c: read_overhead(c, asked, named, Standing()))


def declares(*names, ask="q"):
    tools = [{"type": "function", "function": {"name": name, "parameters": {}}} for name in names]
    return chat_bytes([{"role": "user", "content": ask}], tools=tools)


async def test_the_sample_shares_out_the_exact_tokens(house):
    one = call("c1", run="a", request=json.dumps(CHAT).encode(), usage=Usage(1_000, 5, 250))
    keep(house.house.database, one, paid(one, 1))
    found = sample(house)
    assert (found.runs, found.calls, found.input_tokens, found.cached_tokens) == (1, 1, 1_000, 250)
    assert sum(found.tokens.values()) == pytest.approx(1_000)
    parts = split("chat", CHAT)
    assert found.tokens["retrieved"] == pytest.approx(1_000 * 30 / parts.whole)


async def test_tools_never_called_are_those_called_neither_in_replies_nor_in_histories(house):
    looked = reply_bytes(None, [tool_call("i", "look", "{}")])
    told = chat_bytes(CHAT["messages"], tools=json.loads(declares("find"))["tools"])
    keep(
        house.house.database,
        call("c1", run="a", workflow="w", request=told),
        call("c2", run="b", workflow="w", request=declares("find", "look", "idle"), usage=Usage(300, 5)),
        call("c3", run="c", workflow="w", request=declares("look"), reply=looked),
        call("c4", run="d", workflow="v", request=declares("look")),
    )  # fmt: skip
    found = sample(house)
    assert {(tool.workflow, tool.name, tool.calls) for tool in found.idle} == {
        ("w", "idle", 1),
        ("v", "look", 1),
    }
    idle = next(tool for tool in found.idle if tool.name == "idle")
    assert 50 < idle.tokens < 150


async def test_what_is_not_kept_too_long_or_broken_is_counted_and_left_out(house):
    keep(
        house.house.database,
        call("c1", run="a"),
        call("c2", run="b", request=b"{broken"),
        call("c3", run="c", request=declares("x", ask="q" * (1 << 20))),
        call("c4", run="d", request=declares("x")),
        call("c5", run="e", request=declares("x"), answered_by="recall", usage=Usage()),
        call("c6", run="f", request=b'{"input":"x"}', surface="embeddings"),
        call("c7", run="g", request=declares("x"), status="failed"),
    )
    found = sample(house)
    assert (found.calls, found.not_kept, found.too_long, found.not_read) == (1, 1, 1, 1)


async def test_the_sample_is_of_what_the_page_is_narrowed_to_and_bounded(house):
    asked = declares("x")
    many = [
        call(f"c{run}-{n:02}", at=run + n / 100, run=f"r{run:03}", step=f"s{n % 2}", workflow="w", request=asked)
        for run in range(10)
        for n in range(45)
    ]  # fmt: skip
    keep(house.house.database, *many, call("other", tenant="other", run="z", request=declares("theirs")))
    found = sample(house, Selection(tenant="acme"))
    assert found.calls == 200
    assert found.runs == 5
    assert [tool.name for tool in found.idle] == ["x"]
    assert sample(house, Selection(workflow="w"), step="s1").calls == 200
    assert sample(house, Selection(workflow="w"), step="s2").calls == 0
    assert sample(house, Selection(tenant="other")).calls == 1


async def test_the_page_says_where_content_is_not_kept(house, guests):
    one = call("c1", run="a")
    keep(house.house.database, one, paid(one, 5))
    guest = await guests(house, "admin")
    shown = words(await guest.get("/console/costs?since=2025-10-09&until=2025-10-10"))
    assert "is not kept" in shown
