"""The shape of a recorded run on one line of JSON, in OpenAI's chat words; export writes it, import reads it.

Recorded runs of other tools that have the same fields are read too. Fields from `run` (of a line) and `step`
(of a message) on are our own; who does not know them may pass over them.
"""

from decimal import Decimal
from typing import Annotated, Literal, Self

import msgspec
from msgspec import Meta

from trimtab.core import ControllerDecision, EntryKind, Usage, nanodollars_of, usd_text

Name = Annotated[str, Meta(max_length=500, pattern=r"^[^\x00]*\Z")]
Tokens = Annotated[int, Meta(ge=0, le=2**53)]
Seconds = Annotated[float, Meta(ge=-1e10, le=1e10)]
Certainty = Literal["exact", "estimated"]
_EXACT_PLACES = -9
_FLOAT_DIGITS = 15
_MOST_USD = 9_223_372_036  # as nanodollars in 64 bits


class LineToolCall(msgspec.Struct, frozen=True):
    """A tool call; `arguments` is the JSON of an object (`{"_raw": text}` where a model wrote none)."""

    id: Name
    name: Name
    arguments: msgspec.Raw


class LineUsage(msgspec.Struct, frozen=True, omit_defaults=True):
    """Tokens of one reply. What the cache gave or took is part of `prompt_tokens`, reasoning of
    `completion_tokens`."""

    prompt_tokens: Tokens
    completion_tokens: Tokens
    cached_tokens: Tokens = 0
    cache_write_tokens: Tokens = 0
    reasoning_tokens: Tokens = 0

    @classmethod
    def of(cls, usage: Usage) -> Self:
        """The same as `usage`."""
        return cls(
            usage.input_tokens,
            usage.output_tokens,
            usage.cached_tokens,
            usage.cache_write_tokens,
            usage.reasoning_tokens,
        )

    def known(self) -> Usage:
        """The same in the vocabulary of the house."""
        return Usage(
            input_tokens=self.prompt_tokens,
            output_tokens=self.completion_tokens,
            cached_tokens=self.cached_tokens,
            cache_write_tokens=self.cache_write_tokens,
            reasoning_tokens=self.reasoning_tokens,
        )


class LineMessage(msgspec.Struct, frozen=True, omit_defaults=True):
    """One message; `audience` says whose tool call a tool message answers.

    Of a reply: `cost_usd`, `t` (its end, in seconds since the run began), the `seconds` it took, whose it is;
    `model` is left out where it is the line's agent, `answered_by` where it is a model; `decisions` are what
    controllers said, `saved_usd` is an estimate of what was saved by it. Of a tool message: what the use of the
    tool cost.
    """

    role: Literal["system", "user", "assistant", "tool"]
    content: str | list[msgspec.Raw] | None
    tool_calls: tuple[LineToolCall, ...] = ()
    tool_call_id: Name | None = None
    audience: Literal["assistant", "user"] = msgspec.field(name="for", default="assistant")
    usage: LineUsage | None = None
    cost_usd: Decimal | None = None
    t: Seconds | None = None
    step: Name = ""
    model: Name = ""
    endpoint: Name = ""
    seconds: Seconds | None = None
    first_token_s: Seconds | None = None
    certainty: Certainty = "exact"
    answered_by: Literal["", "recall", "controller"] = ""
    decisions: tuple[ControllerDecision, ...] = ()
    saved_usd: Decimal | None = None

    def __post_init__(self) -> None:
        _check(self.cost_usd, "cost_usd")
        _check(self.saved_usd, "saved_usd")


class LineEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A cost of the run that belongs to no message of it; None where the price is not known."""

    kind: EntryKind
    what: Name
    cost_usd: Decimal | None
    t: Seconds = 0.0
    step: Name = ""
    endpoint: Name = ""
    certainty: Certainty = "exact"
    usage: LineUsage | None = None

    def __post_init__(self) -> None:
        _check(self.cost_usd, "cost_usd")


class ChatLine(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """One conversation of a run; a run of several has a line for each `thread`.

    `agent_cost_usd` is what this line's messages and `entries` cost. Without a `reward` no outcome is known.
    """

    agent: Name
    domain: Name
    task: Name
    trial: Annotated[int, Meta(ge=0, le=2**53)]
    reward: Annotated[float, Meta(ge=0, le=1)] | None
    agent_cost_usd: Decimal | None | msgspec.UnsetType = msgspec.UNSET
    duration_s: Annotated[float, Meta(ge=0, le=1e10)] | None | msgspec.UnsetType = msgspec.UNSET
    end: Name | msgspec.UnsetType = msgspec.UNSET
    messages: tuple[LineMessage, ...]
    run: Name = ""
    thread: Annotated[int, Meta(ge=0, le=2**31)] | None = None
    tenant: Name = ""
    user: Name = ""
    started_at: Annotated[float, Meta(ge=0, le=1e11)] | None = None
    outcome_by: Name | None = None
    outcome_reason: Name | None = None
    tools: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    entries: tuple[LineEntry, ...] = ()
    note: str = ""

    def __post_init__(self) -> None:
        if isinstance(self.agent_cost_usd, Decimal) and not 0 <= self.agent_cost_usd < Decimal("Infinity"):
            raise ValueError("Expected `agent_cost_usd` >= 0")


def _check(usd: Decimal | None, name: str) -> None:
    if usd is not None and not 0 <= usd <= _MOST_USD:
        raise ValueError(f"Expected `{name}` from 0 to {_MOST_USD}")


def exact_usd(nanodollars: int) -> Decimal:
    """USD that JSON shows in full, without idle zeros."""
    return Decimal(usd_text(nanodollars).rstrip("0").rstrip("."))


def recorded_nanodollars(usd: Decimal) -> int:
    """Recorded USD as nanodollars. What is finer than a nanodollar is rounded up, but not the noise that
    binary floats leave behind their 15th digit: 0.10358500000000001 is 0.103585."""
    exponent = usd.as_tuple().exponent
    if isinstance(exponent, int) and exponent >= _EXACT_PLACES:
        return nanodollars_of(usd)
    return nanodollars_of(Decimal(f"{usd:.{_FLOAT_DIGITS}g}"))
