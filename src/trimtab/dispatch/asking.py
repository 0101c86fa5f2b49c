"""What controllers need to know of a call, read once from the client's bytes, and only where one works for it."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from trimtab import wire
from trimtab.config import WorkflowToolSettings
from trimtab.controllers import Conversation, read_conversation
from trimtab.core import Surface
from trimtab.core.errors import BadRequest

MOST_BYTES = 4 * 1024 * 1024
_NOTHING = msgspec.Raw(b"null")

ToolChoice = Literal["auto", "none", "required"]


class Asking(msgspec.Struct, frozen=True):
    """A call as controllers see it. `chat`: its body in chat's shape.

    `must_call` names the one tool that has to be called; `plain`: nothing was asked for that only a model can
    give (log-probabilities, several choices, thoughts, sound); `unread` says why what was said last cannot be read.
    """

    chat: bytes
    conversation: Conversation
    tool_choice: ToolChoice
    must_call: str
    one_call: bool
    plain: bool
    free_text: bool
    unread: str = ""


class _Named(msgspec.Struct):
    name: str = ""


class _Choice(msgspec.Struct):
    type: str = ""
    function: _Named | None = None


class _Format(msgspec.Struct):
    type: str = "text"


class _Part(msgspec.Struct):
    type: str = "text"
    text: str | None = None


class _Message(msgspec.Struct):
    role: str = ""
    content: msgspec.Raw = _NOTHING


class _Wants(msgspec.Struct):
    messages: list[_Message] = []
    n: int | None = None
    logprobs: bool | None = None
    parallel_tool_calls: bool | None = None
    tool_choice: ToolChoice | _Choice | None = None
    response_format: _Format | None = None
    modalities: list[str] | None = None
    functions: msgspec.Raw = _NOTHING
    function_call: msgspec.Raw = _NOTHING


class _Thinking(msgspec.Struct):
    type: str = "disabled"


class _Hints(msgspec.Struct, rename="camel"):
    """What a tool's declaration says of it, in MCP's words."""

    read_only_hint: bool | None = None
    destructive_hint: bool | None = None


class _Hinted(msgspec.Struct):
    name: str | None = None
    annotations: msgspec.Raw = _NOTHING


class _Declared(_Hinted):
    function: _Hinted | None = None


class _OwnWords(msgspec.Struct):
    """What the surface itself asks for and chat has no word for."""

    thinking: _Thinking | None = None
    top_logprobs: int | None = None
    tools: list[_Declared] | None = None


_WANTS = msgspec.json.Decoder(_Wants)
_OWN_WORDS = msgspec.json.Decoder(_OwnWords)
_HINTS = msgspec.json.Decoder(_Hints | None)
_ODD_HINTS = _Hints(destructive_hint=True)
_PARTS = msgspec.json.Decoder(str | list[_Part] | None)
_CHAT: Mapping[Surface, Callable[[bytes], bytes]] = {
    "chat": lambda body: body,
    "messages": wire.chat_of_messages_request,
    "responses": wire.chat_of_responses_request,
}


def read_asking(surface: Surface, body: bytes, tools: WorkflowToolSettings) -> Asking | None:
    """The call; None where it has a shape, a size or a wish that is the model's business alone."""
    if surface not in _CHAT or len(body) > MOST_BYTES:
        return None
    try:
        chat = _CHAT[surface](body)
        wants, own = _WANTS.decode(chat), _OWN_WORDS.decode(body)
    except (BadRequest, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    conversation = read_conversation(chat, _read_only(own.tools or (), tools))
    if conversation is None:
        return None
    choice = wants.tool_choice or "auto"
    named = "" if isinstance(choice, str) or choice.function is None else choice.function.name
    # A choice among allowed tools, or of a tool of another kind, is left to the model.
    odd = not isinstance(choice, str) and not (choice.type == "function" and named)
    return Asking(
        chat=chat,
        conversation=conversation,
        tool_choice=choice if isinstance(choice, str) else "required",
        must_call=named,
        one_call=wants.parallel_tool_calls is False,
        plain=not odd and _is_plain(wants, own),
        free_text=wants.response_format is None or wants.response_format.type == "text",
        unread=_unread(wants.messages),
    )


def _read_only(declared: Sequence[_Declared], tools: WorkflowToolSettings) -> frozenset[str]:
    """The tools without side effects: those the settings name, and those that say so of themselves where the settings
    trust them to. One that says it destroys is believed in any case."""
    read_only, destructive = set(tools.read_only), set()
    for each in declared:
        name = each.function.name if each.function else each.name
        for hints in (_hints(one.annotations) for one in (each, each.function) if one is not None):
            if tools.trust_hints and hints.read_only_hint:
                read_only.add(name or "")
            if hints.destructive_hint:
                destructive.add(name)
    return frozenset(read_only - destructive)


def _hints(annotations: msgspec.Raw) -> _Hints:
    """Those that cannot be read are taken for the worst."""
    try:
        return _HINTS.decode(annotations) or _Hints()
    except msgspec.DecodeError:
        return _ODD_HINTS


def _unread(messages: Sequence[_Message]) -> str:
    """Why not all that was said since the last reply before the user spoke can be read; '' where it can."""
    for message in _said_last(messages):
        if message.role == "assistant":
            continue
        try:
            content = _PARTS.decode(message.content)
        except msgspec.DecodeError:
            return "what was said last has a shape that cannot be read"
        for part in () if isinstance(content, str) else content or ():
            if part.type != "text" or part.text is None:
                return f"what was said last holds {part.type!r}, which no controller reads"
    return ""


def _said_last(messages: Sequence[_Message]) -> Sequence[_Message]:
    """From the user's last turn on; several messages in a row are one turn, instructions in between no break."""
    begins = next((at for at in reversed(range(len(messages))) if messages[at].role == "user"), len(messages))
    while begins and messages[begins - 1].role in ("user", "system", "developer"):
        begins -= 1
    return messages[begins:]


def _is_plain(wants: _Wants, own: _OwnWords) -> bool:
    # A model that thinks wants its own thoughts back before each of its tool calls.
    thinks = own.thinking is not None and own.thinking.type != "disabled"
    old_words = wants.functions != _NOTHING or wants.function_call != _NOTHING
    sounds = bool(wants.modalities) and wants.modalities != ["text"]
    return not (
        wants.n not in (None, 1) or wants.logprobs or own.top_logprobs or thinks or old_words or sounds
    )
