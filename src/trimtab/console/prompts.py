"""What a prompt is made of, by bytes: chat, messages and responses requests as they were kept. Pure.

Bytes are those of the text: names of fields and ids do not count, and a picture, sound or file for a thousand tokens.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import msgspec

from trimtab.core import Surface

Part = Literal["system", "tools", "history", "retrieved", "new"]
PARTS: tuple[Part, ...] = ("system", "tools", "history", "retrieved", "new")
_Json = Mapping[str, object]
_SYSTEM = ("system", "developer")
_MEDIA = frozenset(
    ("image", "image_url", "input_image", "computer_screenshot", "video_url", "input_audio", "audio", "audio_url",
     "base64", "file", "input_file", "redacted_thinking")
)  # fmt: skip
_DOCUMENTS = frozenset(("document", "file", "input_file", "search_result"))
# A picture is about a thousand tokens, however many bytes it has.
_MEDIA_BYTES = 4_000
_NOT_TEXT = frozenset(
    ("type", "role", "id", "status", "tool_call_id", "tool_use_id", "call_id", "cache_control", "signature",
     "encrypted_content", "media_type")
)  # fmt: skip
_RAW = msgspec.Raw(b"null")


class _Request(msgspec.Struct, gc=False):
    messages: list[dict[str, object]] = []
    input: str | list[dict[str, object]] = ""
    system: object = None
    instructions: object = None
    tools: msgspec.Raw = _RAW
    functions: msgspec.Raw = _RAW


_REQUEST = msgspec.json.Decoder(_Request)
_TOOLS = msgspec.json.Decoder(list[msgspec.Raw] | None)
_TOOL = msgspec.json.Decoder(dict[str, object])


class Prompt(msgspec.Struct, frozen=True):
    """Bytes by part, and by declared tool; the tools that its history called."""

    sizes: Mapping[Part, int]
    declared: Mapping[str, int]
    called: frozenset[str]

    @property
    def whole(self) -> int:
        """All bytes."""
        return sum(self.sizes.values())


class PromptReader:
    """Reads many prompts; the same declarations of tools are read once."""

    def __init__(self) -> None:
        self._known: dict[bytes, dict[str, int]] = {}

    def read(self, surface: Surface, request: bytes) -> Prompt | None:
        """A request's parts, None where it cannot be read."""
        try:
            asked = _REQUEST.decode(request)
            declared = self._declared(bytes(asked.tools)) | self._declared(bytes(asked.functions))
            return _prompt(asked, _turns(asked) if surface == "responses" else asked.messages, declared)
        except (ValueError, RecursionError):
            return None

    def _declared(self, tools: bytes) -> dict[str, int]:
        known = self._known.get(tools)
        if known is None:
            known = {}
            for raw in _TOOLS.decode(tools) or ():
                name = _name(_TOOL.decode(raw))
                known[name] = known.get(name, 0) + len(bytes(raw))
            self._known[tools] = known
        return known


def _prompt(asked: _Request, turns: Sequence[_Json], declared: Mapping[str, int]) -> Prompt:
    sizes: dict[Part, int] = dict.fromkeys(PARTS, 0)
    sizes["system"] = _bytes(asked.system) + _bytes(asked.instructions)
    sizes["tools"] = sum(declared.values())
    last = max((place for place, turn in enumerate(turns) if _is_answer(turn)), default=-1)
    for place, turn in enumerate(turns):
        _weigh(turn, sizes, is_new=place > last)
    called = frozenset(name for turn in turns for name in _calls(turn))
    # What stands without a name is a tool that the endpoint runs itself; whether it did is not told alike.
    return Prompt(sizes, {name: size for name, size in declared.items() if name}, called)


def called_in(reply: bytes) -> frozenset[str]:
    """The tools that a reply calls, in any of the three shapes; none where it cannot be read."""
    try:
        said = _TOOL.decode(reply)
    except (ValueError, RecursionError):
        return frozenset()
    turns = [*_objects(said.get("output")), said]
    turns += [
        message
        for choice in _objects(said.get("choices"))
        if isinstance(message := choice.get("message"), dict)
    ]
    return frozenset(name for turn in turns for name in _calls(turn))


def _turns(asked: _Request) -> Sequence[_Json]:
    if isinstance(asked.input, str):
        return [{"role": "user", "content": asked.input}]
    return asked.input


def _is_answer(turn: _Json) -> bool:
    """Whether the model said it. Items of responses that have no role and are no tool's output are its own."""
    role = turn.get("role")
    if isinstance(role, str):
        return role == "assistant"
    return not _kind(turn).endswith("_output")


def _weigh(turn: _Json, sizes: dict[Part, int], *, is_new: bool) -> None:
    """Add a turn's bytes to the parts they belong to."""
    whole = _bytes(turn)
    if turn.get("role") in _SYSTEM:
        sizes["system"] += whole
        return
    if is_new:
        sizes["new"] += whole
        return
    found = whole if _is_result(turn) else sum(_bytes(part) for part in _parts(turn) if _is_result(part))
    sizes["retrieved"] += found
    sizes["history"] += whole - found


def _is_result(value: _Json) -> bool:
    """Whether it is what a tool found, or a document."""
    kind = _kind(value)
    return (
        value.get("role") in ("tool", "function")
        or kind in _DOCUMENTS
        or kind.endswith(("_output", "tool_result"))
    )


def _kind(value: _Json) -> str:
    kind = value.get("type")
    return kind if isinstance(kind, str) else ""


def _parts(turn: _Json) -> list[_Json]:
    return _objects(turn.get("content"))


def _calls(turn: _Json) -> Iterator[str]:
    """Names of the tools that a turn calls, whatever the surface."""
    for value in (turn, *_parts(turn)):
        if _kind(value).endswith(("tool_use", "function_call", "custom_tool_call", "mcp_call")):
            yield _name(value)
    for call in _objects(turn.get("tool_calls")):
        yield _name(call)
    called = turn.get("function_call")
    if isinstance(called, dict):
        yield _name(called)


def _name(value: _Json) -> str:
    """A tool's or call's name; chat has it one level down. '' where there is none."""
    for inner in (value, value.get("function"), value.get("custom")):
        if isinstance(inner, dict) and isinstance(name := inner.get("name"), str):
            return name
    return ""


def _objects(value: object) -> list[_Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _bytes(value: object) -> int:
    """The bytes of what a model reads of a value."""
    if isinstance(value, str):
        return len(value) if value.isascii() else len(value.encode("utf-8", "replace"))
    if isinstance(value, list):
        return sum(_bytes(each) for each in value)
    if isinstance(value, dict):
        if _kind(value) in _MEDIA:
            return _MEDIA_BYTES
        return sum(_member(name, each) for name, each in value.items() if name not in _NOT_TEXT)
    return 0


def _member(name: str, value: object) -> int:
    """Arguments are read as JSON, whatever is in them."""
    return len(msgspec.json.encode(value)) if name in ("input", "arguments") else _bytes(value)
