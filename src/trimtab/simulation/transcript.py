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

    @property
    def text(self) -> str:
        """The digest so far, in hexadecimal."""
        return self._hash.hexdigest()


def step_of(messages: tuple[Message, ...]) -> str:
    """Which step a call belongs to: `open`, `after-user` or `after-tool`, by what came just before it."""
    if messages and messages[-1].role == "tool":
        return "after-tool"
    return "after-user" if sum(message.role == "user" for message in messages) > 1 else "open"


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
    """The run's calls in order: every assistant message after the first user message.

    What the simulated user did with tools of its own is left out: those messages never reached the assistant.
    """
    seen: list[Message] = []
    digest = ConversationDigest(run.agent)
    opened = False
    index = 0
    before: float | None = None

    def see(message: Message) -> None:
        seen.append(message)
        digest.add(msgspec.json.encode(message))

    if domain is not None:
        see(Message("system", domain.policy))
    for recorded in run.messages:
        opened = opened or recorded.role == "user"
        if recorded.role == "assistant" and opened:
            lasted = recorded.t - before if recorded.t is not None and before is not None else None
            context = tuple(seen)
            yield RecordedCall(
                key=f"{run.id}:{index}",
                step=step_of(context),
                model=run.agent,
                messages=context,
                digest=digest.text,
                reply=reply_of(recorded),
                seconds=max(0.0, lasted) if lasted is not None else None,
            )
            index += 1
        before = recorded.t
        message = _heard(recorded)
        if message is not None:
            see(message)


def reply_of(recorded: RecordedMessage) -> Reply:
    """A recorded assistant message as an endpoint would answer it; without usage where none was recorded."""
    calls = tuple(
        ToolCall(call.id, FunctionCall(call.name, bytes(call.arguments).decode()))
        for call in recorded.tool_calls
    )
    usage = recorded.usage.known() if recorded.usage else None
    return Reply(recorded.content, calls, usage, "tool_calls" if calls else "stop")


def _heard(recorded: RecordedMessage) -> Message | None:
    """The message as the assistant saw it; None for what passed between the user and the user's own tools."""
    if recorded.role == "assistant":
        reply = reply_of(recorded)
        return Message("assistant", reply.content, reply.tool_calls)
    if recorded.role == "tool":
        told = recorded.audience == "assistant"
        return Message("tool", recorded.content, tool_call_id=recorded.tool_call_id) if told else None
    return None if recorded.tool_calls else Message(recorded.role, recorded.content)
