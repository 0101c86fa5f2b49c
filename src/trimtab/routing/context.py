"""What a verifier needs to know of the request: the declared schema and tools, read from a chat-shaped body.

Called by `dispatch` once for each call whose plan has verifiers; other calls never pay for it.
"""

from collections.abc import Sequence
from typing import Literal

import msgspec

_Choice = Literal["auto", "none", "required"]
_NO_SCHEMA = msgspec.Raw(b"")


class DeclaredTool(msgspec.Struct, frozen=True, gc=False):
    """A tool the request declares. `parameters`: its JSON Schema, empty where it has none.

    `free_text`: its input is text of any form, not JSON (OpenAI's custom tools).
    """

    name: str
    parameters: bytes = b""
    free_text: bool = False


class VerifyContext(msgspec.Struct, frozen=True, gc=False):
    """What the request asked for. `schema`: the declared JSON Schema of the reply's text.

    `must_call` names the one tool that has to be called, where there is one; `question` is what the user said
    last.
    """

    response_format: Literal["text", "json_object", "json_schema"] = "text"
    schema: bytes = b""
    tools: tuple[DeclaredTool, ...] = ()
    tool_choice: _Choice = "auto"
    must_call: str = ""
    question: str = ""


class _Schema(msgspec.Struct, gc=False):
    schema: msgspec.Raw = _NO_SCHEMA


class _Format(msgspec.Struct, gc=False):
    type: Literal["text", "json_object", "json_schema"] = "text"
    json_schema: _Schema | None = None


class _Function(msgspec.Struct, gc=False):
    name: str = ""
    parameters: msgspec.Raw = _NO_SCHEMA


class _Allowed(msgspec.Struct, gc=False):
    mode: _Choice = "auto"


class _Tool(msgspec.Struct, gc=False):
    function: _Function | None = None
    custom: _Function | None = None
    allowed_tools: _Allowed | None = None
    name: str = ""


class _Part(msgspec.Struct, gc=False):
    text: str | None = None


class _Message(msgspec.Struct, gc=False):
    role: str = ""
    content: str | list[_Part] | None = None


class _Asked(msgspec.Struct, gc=False):
    messages: list[_Message] | None = None
    response_format: _Format | None = None
    tools: list[_Tool] | None = None
    functions: list[_Function] | None = None
    tool_choice: _Choice | _Tool | None = None
    function_call: _Choice | _Function | None = None


_ASKED = msgspec.json.Decoder(_Asked)


def read_context(body: bytes) -> VerifyContext:
    """The context of a chat completions request. A body of another shape gives the empty context."""
    try:
        asked = _ASKED.decode(body)
    except (RecursionError, ValueError):
        return VerifyContext()
    choice, must_call = _choice(asked)
    wanted = asked.response_format or _Format()
    return VerifyContext(
        response_format=wanted.type,
        schema=_bytes(wanted.json_schema.schema) if wanted.json_schema else b"",
        tools=_tools(asked),
        tool_choice=choice,
        must_call=must_call,
        question=_question(asked.messages or ()),
    )


def _question(messages: Sequence[_Message]) -> str:
    content = next((message.content for message in reversed(messages) if message.role == "user"), None)
    if isinstance(content, list):
        return "".join(part.text or "" for part in content)
    return content or ""


def _tools(asked: _Asked) -> tuple[DeclaredTool, ...]:
    functions = [tool.function for tool in asked.tools or () if tool.function] + (asked.functions or [])
    customs = [tool.custom for tool in asked.tools or () if tool.custom]
    return tuple(
        [DeclaredTool(each.name, _bytes(each.parameters)) for each in functions]
        + [DeclaredTool(each.name, free_text=True) for each in customs]
    )


def _choice(asked: _Asked) -> tuple[_Choice, str]:
    choice = asked.tool_choice or asked.function_call or "auto"
    if isinstance(choice, str):
        return choice, ""
    if isinstance(choice, _Function):
        return "required", choice.name
    if choice.allowed_tools:
        return choice.allowed_tools.mode, ""
    named = choice.function or choice.custom
    return "required", named.name if named else choice.name


def _bytes(schema: msgspec.Raw) -> bytes:
    return b"" if bytes(schema) == b"null" else bytes(schema)
