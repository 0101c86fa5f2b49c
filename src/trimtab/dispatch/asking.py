"""What controllers need to know of a call, read once from the client's bytes, and only where one works for it."""

from collections.abc import Callable, Mapping
from typing import Literal

import msgspec

from trimtab import wire
from trimtab.controllers import Conversation, read_conversation
from trimtab.core import Surface
from trimtab.core.errors import BadRequest

MOST_BYTES = 4 * 1024 * 1024
_NOTHING = msgspec.Raw(b"null")

ToolChoice = Literal["auto", "none", "required"]


class Asking(msgspec.Struct, frozen=True):
    """A call as controllers see it. `chat`: its body in chat's shape.

    `must_call` names the one tool that has to be called; `plain`: nothing was asked for that only a model can
    give (log-probabilities, several choices, thoughts, sound).
    """

    chat: bytes
    conversation: Conversation
    tool_choice: ToolChoice
    must_call: str
    one_call: bool
    plain: bool
    free_text: bool


class _Named(msgspec.Struct):
    name: str = ""


class _Choice(msgspec.Struct):
    type: str = ""
    function: _Named | None = None


class _Format(msgspec.Struct):
    type: str = "text"


class _Wants(msgspec.Struct):
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


class _OwnWords(msgspec.Struct):
    """What the surface itself asks for and chat has no word for."""

    thinking: _Thinking | None = None
    top_logprobs: int | None = None


_WANTS = msgspec.json.Decoder(_Wants)
_OWN_WORDS = msgspec.json.Decoder(_OwnWords)
_CHAT: Mapping[Surface, Callable[[bytes], bytes]] = {
    "chat": lambda body: body,
    "messages": wire.chat_of_messages_request,
    "responses": wire.chat_of_responses_request,
}


def read_asking(surface: Surface, body: bytes, read_only: frozenset[str]) -> Asking | None:
    """The call; None where it has a shape, a size or a wish that is the model's business alone."""
    if surface not in _CHAT or len(body) > MOST_BYTES:
        return None
    try:
        chat = _CHAT[surface](body)
        wants, own = _WANTS.decode(chat), _OWN_WORDS.decode(body)
    except (BadRequest, msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    conversation = read_conversation(chat, read_only)
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
    )


def _is_plain(wants: _Wants, own: _OwnWords) -> bool:
    # A model that thinks wants its own thoughts back before each of its tool calls.
    thinks = own.thinking is not None and own.thinking.type != "disabled"
    old_words = wants.functions != _NOTHING or wants.function_call != _NOTHING
    sounds = bool(wants.modalities) and wants.modalities != ["text"]
    return not (
        wants.n not in (None, 1) or wants.logprobs or own.top_logprobs or thinks or old_words or sounds
    )
