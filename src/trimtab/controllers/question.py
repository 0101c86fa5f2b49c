"""What a controller at work is asked, under which terms, and the digests by which an answer can be checked again."""

import hashlib
from collections.abc import Iterable

import msgspec

from trimtab.controllers.answer import Answer
from trimtab.controllers.conversation import Conversation, ToolCall

OWN_CALL = "call_tt"
"""Ids of tool calls that a controller made begin so: that is how its turns are known when they come back."""


class Terms(msgspec.Struct, frozen=True):
    """What the settings allow. `threshold` can only raise what the controller was calibrated to."""

    writes_allowed: frozenset[str] = frozenset()
    threshold: float = 0.0
    eager: bool = True
    most_in_a_row: int = 8
    one_call: bool = False


class Question(msgspec.Struct, frozen=True):
    """One call as a controller sees it. Kinds that read text see `text`; a step sees the conversation and which
    `agent` is at work."""

    conversation: Conversation
    text: str = ""
    agent: str = ""
    terms: Terms = Terms()


class Decided(msgspec.Struct, frozen=True):
    """An answer with its evidence. Equal `inputs` must give equal `said`; `seconds` is how long it took."""

    answer: Answer
    inputs: str = ""
    said: str = ""
    seconds: float = 0.0


def is_own(call: ToolCall) -> bool:
    """Whether a controller made the call."""
    return call.id.startswith(OWN_CALL)


def inputs_digest(question: Question) -> str:
    """Of all that is seen."""
    return _digest(msgspec.json.encode(question, order="sorted"))


def answer_digest(answer: Answer) -> str:
    """Of all that is said, to the last bit of the confidence. Ids of calls are given later."""
    calls = [call.key for call in answer.calls]
    said = [answer.option, answer.confidence.hex(), answer.abstained, calls, answer.level, answer.reasons]
    return _digest(msgspec.json.encode(said))


def _digest(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def last_said(conversation: Conversation) -> str:
    """The text a call is judged by: what the user said last."""
    users = (turn.text for turn in reversed(conversation.turns) if turn.speaker == "user")
    return next(users, "")


def verify_text(question: str, reply: str, calls: Iterable[tuple[str, str]]) -> str:
    """What a verify controller reads: the question, and what was replied (`calls` are names and JSON arguments)."""
    return "\n\n".join([question, reply, *(f"{name} {arguments}" for name, arguments in calls)])
