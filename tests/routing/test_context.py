import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.routing import DeclaredTool, VerifyContext, read_context


def _read(**body):
    return read_context(msgspec.json.encode({"model": "m", "messages": []} | body))


def test_a_plain_request_asks_for_nothing_in_particular():
    assert _read() == VerifyContext()


def test_the_declared_schema_is_read_as_its_bytes():
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    wanted = {"type": "json_schema", "json_schema": {"name": "x", "strict": True, "schema": schema}}
    context = _read(response_format=wanted)
    assert context.response_format == "json_schema"
    assert msgspec.json.decode(context.schema) == schema
    assert _read(response_format={"type": "json_object"}) == VerifyContext("json_object")


def test_tools_are_read_in_all_their_shapes():
    context = _read(
        tools=[
            {"type": "function", "function": {"name": "a", "parameters": {"type": "object"}}},
            {"type": "function", "function": {"name": "b", "parameters": None}},
            {"type": "custom", "custom": {"name": "c", "format": {"type": "text"}}},
        ],
        functions=[{"name": "d"}],
    )
    assert context.tools == (
        DeclaredTool("a", b'{"type":"object"}'),
        DeclaredTool("b"),
        DeclaredTool("d"),
        DeclaredTool("c", free_text=True),
    )


@pytest.mark.parametrize(
    ("choice", "read"),
    [
        ("none", ("none", "")),
        ("required", ("required", "")),
        (None, ("auto", "")),
        ({"type": "function", "function": {"name": "a"}}, ("required", "a")),
        ({"type": "custom", "custom": {"name": "c"}}, ("required", "c")),
        ({"type": "allowed_tools", "allowed_tools": {"mode": "required", "tools": []}}, ("required", "")),
    ],
)
def test_tool_choices_are_read_in_all_their_shapes(choice, read):
    context = _read(tool_choice=choice)
    assert (context.tool_choice, context.must_call) == read


def test_the_older_function_call_is_a_tool_choice():
    assert _read(function_call={"name": "a"}).must_call == "a"


@given(st.binary() | st.sampled_from([b"[]", b'{"tools":5}', b"[" * 100_000]))
def test_a_body_of_another_shape_gives_the_empty_context(body):
    assert read_context(body) == VerifyContext()
