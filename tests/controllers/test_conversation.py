import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.controllers import ToolCall, read_conversation


def body(*messages, tools=()):
    return msgspec.json.encode({"model": "m", "messages": list(messages), "tools": list(tools)})


def called(arguments, id="c1"):
    function = {"name": "get", "arguments": arguments}
    return {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": id, "type": "function", "function": function}],
    }


def test_messages_become_turns_and_tools_are_read_only_where_somebody_said_so():
    tool = {"type": "function", "function": {"name": "get", "parameters": {"type": "object"}}}
    other = {"type": "function", "function": {"name": "put"}}
    answer = {"role": "tool", "tool_call_id": "c1", "content": [{"type": "text", "text": "u1"}]}
    read = read_conversation(
        body({"role": "developer", "content": "be kind"}, called('{"a": 1}'), answer, tools=[tool, other]),
        frozenset({"get"}),
    )
    assert [turn.speaker for turn in read.turns] == ["system", "assistant", "tool"]
    assert read.turns[1].calls == (ToolCall("get", {"a": 1}, "c1"),)
    assert (read.turns[2].text, read.turns[2].tool_call_id) == ("u1", "c1")
    assert [(each.name, each.read_only) for each in read.tools] == [("get", True), ("put", False)]


def test_no_tool_is_read_only_where_nobody_said_so():
    tool = {
        "type": "function",
        "function": {"name": "get", "readOnlyHint": True, "annotations": {"readOnlyHint": True}},
    }
    assert not read_conversation(body({"role": "user", "content": "hi"}, tools=[tool])).tools[0].read_only


def test_pictures_say_nothing():
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "http://x.example/A1.png"}},
    ]
    assert read_conversation(body({"role": "user", "content": parts})).turns[0].text == "look"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\x00\xff\xfe",
        b"[]",
        b"{}",
        b'{"messages": 5}',
        b'{"messages": [{"role": "wizard", "content": "x"}]}',
        b'{"messages": [{"role": "user", "content": 5}]}',
        b'{"messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"messages": [' + b"[" * 100_000,
        body(called("not json")),
        body(called("[1]")),
        body(called('{"a": ' * 5_000)),
    ],
)
def test_what_no_controller_understands_is_left_alone(raw):
    assert read_conversation(raw) is None


@given(st.binary(max_size=200))
def test_any_bytes_can_be_tried(raw):
    read_conversation(raw)


def test_equal_calls_have_one_key_whatever_their_order():
    assert ToolCall("get", {"a": 1, "b": [2]}).key == ToolCall("get", {"b": [2], "a": 1}, "other").key
    assert ToolCall("get", {"a": 1}).key != ToolCall("get", {"a": "1"}).key
