"""A recorded run told as the calls its assistant made: what it saw before each, and what it answered.

Used on both sides of a replay, the driver's and the cassette's, so that both speak of the same call.
"""

import hashlib
from collections.abc import Iterator
from typing import Self

import msgspec

from trimtab.simulation.chat import FunctionCall, Message, Reply, ToolCall
from trimtab.simulation.records import Domain, RecordedMessage, RecordedRun

_MESSAGE = msgspec.json.Decoder(dict[str, object])
_NULL = msgspec.Raw(b"null")


class RecordedCall(msgspec.Struct, frozen=True):
    """One call. `key` names it for the cassette; `seconds` is its recorded latency where there are times."""

    key: str
    step: str
    model: str
    messages: tuple[Message, ...]
    digest: str
    reply: Reply
    seconds: float | None


class ConversationDigest:
    """A hash of a model and its messages; key order, spacing and null fields make no difference."""

    def __init__(self, model: str) -> None:
        self._hash = hashlib.blake2b(model.encode() + b"\n", digest_size=16)
        self._count = 0

    @classmethod
    def of(cls, model: str, messages: list[msgspec.Raw]) -> Self:
        """The digest of a whole request. Raises msgspec.ValidationError where a message is no object."""
        digest = cls(model)
        for message in messages:
            digest.add(bytes(message))
        return digest

    def add(self, message: bytes) -> None:
        """Takes the next message, as JSON."""
        fields = {name: value for name, value in _MESSAGE.decode(message).items() if value is not None}
        self._hash.update(msgspec.json.encode(fields, order="sorted") + b"\n")

    def follow(self, messages: tuple[Message, ...]) -> None:
        """Takes what is new of a conversation that only grows."""
        for message in messages[self._count :]:
            self.add(msgspec.json.encode(message))
        self._count = len(messages)

    @property
    def text(self) -> str:
        """The digest so far, in hexadecimal."""
        return self._hash.hexdigest()


def step_of(messages: tuple[Message, ...]) -> str:
    """Which step a call belongs to: `open`, `after-user` or `after-tool`, by what came just before it."""
    if messages and messages[-1].role == "tool":
        return "after-tool"
    return "after-user" if sum(message.role == "user" for message in messages) > 1 else "open"


def tools_of(run: RecordedRun, domain: Domain | None) -> msgspec.Raw | msgspec.UnsetType:
    """The tools the run's calls were offered: its own, else its domain's; our own exports say all of theirs."""
    if isinstance(run.tools, msgspec.Raw) and run.tools != _NULL:
        return run.tools
    return tools_json(domain) if run.thread is None else msgspec.UNSET


def tools_json(domain: Domain | None) -> msgspec.Raw | msgspec.UnsetType:
    """The domain's tools in OpenAI's shape; unset where there are none."""
    if domain is None or not domain.tools:
        return msgspec.UNSET
    functions = [
        {"name": tool.name, "description": tool.description, "parameters": tool.parameters}
        for tool in domain.tools
    ]
    return msgspec.Raw(msgspec.json.encode([{"type": "function", "function": each} for each in functions]))


def calls_of(run: RecordedRun, domain: Domain | None) -> Iterator[RecordedCall]:
    """The run's calls in order: every assistant message after the first user message, or in our own exports
    every one with a time (those without are another thread's).

    The domain's policy is put before a conversation that has no system message. What the simulated user did
    with tools of its own is left out: those messages never reached the assistant.
    """
    seen: list[Message] = []
    digests: dict[str, ConversationDigest] = {}
    opened = False
    index = 0
    before: float | None = None
    if domain is not None and run.thread is None and all(each.role != "system" for each in run.messages):
        seen.append(Message("system", domain.policy))
    for recorded in run.messages:
        opened = opened or recorded.role == "user"
        if recorded.role == "assistant" and (opened if run.thread is None else recorded.t is not None):
            context = tuple(seen)
            model = recorded.model or run.agent
            digest = digests.setdefault(model, ConversationDigest(model))
            digest.follow(context)
            yield RecordedCall(
                key=f"{run.id}:{index}",
                step=recorded.step or step_of(context),
                model=model,
                messages=context,
                digest=digest.text,
                reply=reply_of(recorded),
                seconds=_lasted(recorded, before),
            )
            index += 1
        before = recorded.t
        message = _heard(recorded)
        if message is not None:
            seen.append(message)


def _lasted(recorded: RecordedMessage, before: float | None) -> float | None:
    """Seconds a reply took: as recorded, else since the message before it."""
    if recorded.seconds is not None:
        return max(0.0, recorded.seconds)
    return max(0.0, recorded.t - before) if recorded.t is not None and before is not None else None


def reply_of(recorded: RecordedMessage) -> Reply:
    """A recorded assistant message as an endpoint would answer it; without usage where none was told."""
    calls = _tool_calls(recorded)
    told = recorded.usage if recorded.certainty == "exact" else None
    content = recorded.content
    if isinstance(content, list):
        content = "".join(_text(_MESSAGE.decode(raw)) for raw in content)
    return Reply(content, calls, told.known() if told else None, "tool_calls" if calls else "stop")


def _text(part: dict[str, object]) -> str:
    text = part.get("text")
    return text if isinstance(text, str) else ""


def _tool_calls(recorded: RecordedMessage) -> tuple[ToolCall, ...]:
    return tuple(ToolCall(call.id, FunctionCall(call.name, call.text)) for call in recorded.tool_calls)


def _heard(recorded: RecordedMessage) -> Message | None:
    """The message as the assistant saw it; None for what passed between the user and the user's own tools."""
    if recorded.role == "assistant":
        return Message("assistant", recorded.content, _tool_calls(recorded))
    if recorded.role == "tool":
        told = recorded.audience == "assistant"
        return Message("tool", recorded.content, tool_call_id=recorded.tool_call_id) if told else None
    return None if recorded.tool_calls else Message(recorded.role, recorded.content)
