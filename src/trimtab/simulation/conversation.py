"""What the simulated expert gathers from a conversation: the user's wish, names, what tools answered.

Pure; it knows the customers' ways of speaking and nothing of the shop's rules.
"""

import re
from dataclasses import dataclass
from typing import Literal

import msgspec

from trimtab.simulation.chat import ToolCall

Intent = Literal["warranty", "refund", "cancel", "address", "stock", "human", "status"]

CONFIRM = "Shall I go ahead?"
_INTENTS: tuple[tuple[Intent, str], ...] = (
    ("human", r"\b(manager|human|real person|complaint)\b"),
    ("warranty", r"\b(warranty|broke|broken|cracked|faulty|snapped|gave out)\b"),
    ("refund", r"\b(refund|money back|return|send back)\b"),
    ("cancel", r"\b(cancel|call off)\b"),
    ("address", r"\b(new address|delivery address|deliver it to|moved)\b"),
    ("stock", r"\b(in stock|do you have|available|do you sell)\b"),
    ("status", r"\b(where is|status|tracking|arrive|hear about)\b"),
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+\.[\w.]*\w")
_ORDER = re.compile(r"\bFW-\d{4,6}\b")
_ADDRESS = re.compile(r"\b\d{1,3} [A-Z][a-z]+ (?:Lane|Road|Street|Way), [A-Z][a-z]+")
_PRODUCT = re.compile(r"\b[Tt]he ([A-Z][\w -]+?)(?: in stock| available|[?.,!]|$)", re.MULTILINE)
_YES = re.compile(r"^\W*(yes|sure|please do|go ahead|do it)\b", re.IGNORECASE)
_FORGOT = re.compile(r"\b(don't have|can't find|cannot find|no idea)\b", re.IGNORECASE)


class TextPart(msgspec.Struct, frozen=True):
    """A part of a message's content; parts that are no text are passed over."""

    text: str = ""


class HeardMessage(msgspec.Struct, frozen=True):
    """A message as a client may write it."""

    role: str
    content: str | tuple[TextPart, ...] | None = None
    tool_calls: tuple[ToolCall, ...] | None = None
    tool_call_id: str | None = None

    @property
    def text(self) -> str:
        """The content as one text."""
        parts = self.content
        return parts if isinstance(parts, str) else " ".join(part.text for part in parts or ())


@dataclass(frozen=True, slots=True)
class Reading:
    """What was gathered. `said`: the user's words on the present wish; each name is the last one said."""

    said: str
    intent: Intent | None
    email: str
    order_id: str
    address: str
    product: str
    agreed: bool
    forgot: bool
    results: dict[tuple[str, str], str]

    def result(self, tool: str, arguments: dict[str, str]) -> str | None:
        """What this very tool call answered last, if it was made."""
        return self.results.get((tool, _canonical(arguments)))


def read(messages: list[HeardMessage]) -> Reading:
    """Reads a conversation; a later wish of the user sets the earlier one aside.

    Raises msgspec.DecodeError where a tool call's arguments are not texts by name.
    """
    said: list[str] = []
    intent: Intent | None = None
    asked, agreed = "", False
    for message in messages:
        if message.role == "assistant" and message.text:
            asked = message.text
        if message.role == "user":
            wish = intent_of(message.text)
            said = [message.text] if wish and wish != intent else [*said, message.text]
            intent = wish or intent
            agreed = CONFIRM in asked and bool(_YES.match(message.text))
    text = "\n".join(said)
    return Reading(
        said=text,
        intent=intent,
        email=_last(_EMAIL, "\n".join(each.text for each in messages if each.role == "user")).lower(),
        order_id=_last(_ORDER, text),
        address=_last(_ADDRESS, text),
        product=_last(_PRODUCT, text),
        agreed=agreed,
        forgot=bool(_FORGOT.search(text)),
        results=_results(messages),
    )


def intent_of(text: str) -> Intent | None:
    """The wish a user's words name, if any."""
    return next((intent for intent, words in _INTENTS if re.search(words, text, re.IGNORECASE)), None)


def _last(pattern: re.Pattern[str], text: str) -> str:
    found: list[str] = pattern.findall(text)
    return found[-1] if found else ""


def _canonical(arguments: dict[str, str]) -> str:
    return msgspec.json.encode(arguments, order="sorted").decode()


def _results(messages: list[HeardMessage]) -> dict[tuple[str, str], str]:
    calls = {call.id: call for message in messages for call in message.tool_calls or ()}
    results: dict[tuple[str, str], str] = {}
    for message in messages:
        call = calls.get(message.tool_call_id or "")
        if message.role == "tool" and call is not None:
            arguments = msgspec.json.decode(call.function.arguments, type=dict[str, str])
            results[call.function.name, _canonical(arguments)] = message.text
    return results
