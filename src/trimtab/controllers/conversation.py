"""What a controller sees of a call: its turns and its tools, as values, read from the Chat Completions shape.

Other surfaces are translated to that shape by `wire/` before they come here.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

Json: TypeAlias = "str | int | float | bool | None | list[Json] | dict[str, Json]"
Speaker = Literal["system", "user", "assistant", "tool"]

_SPEAKERS: Mapping[str, Speaker] = {
    "system": "system",
    "developer": "system",
    "user": "user",
    "assistant": "assistant",
    "tool": "tool",
    "function": "tool",
}


class ToolCall(msgspec.Struct, frozen=True):
    """A call of a tool: `arguments` is the decoded object."""

    name: str
    arguments: dict[str, Json]
    id: str = ""

    @property
    def key(self) -> str:
        """The same for two calls of one tool with equal arguments, whatever their order."""
        return f"{self.name} {msgspec.json.encode(self.arguments, order='sorted').decode()}"


class Turn(msgspec.Struct, frozen=True):
    """One message. `tool_call_id` says which call a tool's result answers."""

    speaker: Speaker
    text: str
    calls: tuple[ToolCall, ...] = ()
    tool_call_id: str = ""


class Tool(msgspec.Struct, frozen=True):
    """A tool as declared. `parameters` is its JSON schema; `read_only` is true only where somebody said so."""

    name: str
    parameters: dict[str, Json]
    description: str = ""
    read_only: bool = False


class Conversation(msgspec.Struct, frozen=True):
    """The turns so far and the tools the next reply may call."""

    turns: tuple[Turn, ...]
    tools: tuple[Tool, ...] = ()

    def tool(self, name: str) -> Tool | None:
        """The declared tool of that name."""
        return next((tool for tool in self.tools if tool.name == name), None)


class _Function(msgspec.Struct):
    name: str = ""
    arguments: str = ""
    description: str | None = None
    parameters: dict[str, Any] | None = None


class _Called(msgspec.Struct):
    function: _Function = msgspec.field(default_factory=_Function)
    id: str = ""


class _Declared(msgspec.Struct):
    function: _Function = msgspec.field(default_factory=_Function)
    type: str = "function"


class _Message(msgspec.Struct):
    role: str
    content: str | list[dict[str, Any]] | None = None
    tool_calls: list[_Called] | None = None
    tool_call_id: str = ""


class _Body(msgspec.Struct):
    messages: list[_Message]
    tools: list[_Declared] | None = None


_BODY = msgspec.json.Decoder(_Body)
_ARGUMENTS = msgspec.json.Decoder(dict[str, Any])


def read_conversation(body: bytes, read_only: frozenset[str] = frozenset()) -> Conversation | None:
    """The conversation of a Chat Completions request; None where it has a shape no controller understands.

    `read_only` names the tools that settings declare to have no side effects.
    """
    try:
        asked = _BODY.decode(body)
        turns = tuple(_turn(message) for message in asked.messages)
    except (msgspec.DecodeError, KeyError, UnicodeDecodeError, RecursionError):
        return None
    tools = tuple(_tool(tool.function, read_only) for tool in asked.tools or () if tool.type == "function")
    return Conversation(turns, tools)


def _tool(declared: _Function, read_only: frozenset[str]) -> Tool:
    return Tool(
        declared.name, declared.parameters or {}, declared.description or "", declared.name in read_only
    )


def _turn(message: _Message) -> Turn:
    calls = tuple(
        ToolCall(called.function.name, _ARGUMENTS.decode(called.function.arguments or "{}"), called.id)
        for called in message.tool_calls or ()
    )
    return Turn(_SPEAKERS[message.role], _text(message.content), calls, message.tool_call_id)


def _text(content: "str | Sequence[Mapping[str, Json]] | None") -> str:
    """The text parts in order; a picture or a sound says nothing to a controller."""
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(str(part.get("text", "")) for part in content if part.get("type", "text") == "text")
