"""Offers and plans: the values routing policies read and return."""

import re
from typing import Literal

import msgspec

from trimtab.core.call import Capability
from trimtab.core.money import Price

LOT = "weight "
"""Begins the reason of an attempt at the model that was drawn; its weight follows."""

_DRAWN = re.compile(LOT + r"(\d+(?:\.\d+)?(?:e[+-]\d+)?)(?:, |$)", re.ASCII)
VerifierKind = Literal["json_schema", "tool_calls", "finish_reason", "logprob", "python", "controller"]


class Offer(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """An endpoint's terms for one call at this moment. Seconds, tokens, nanodollars; quality in 0..1."""

    endpoint: str
    model: str
    price: Price
    predicted_nanodollars: int
    worst_nanodollars: int
    quality: float = 0.5
    precision_bits: int = 16
    context_tokens: int = 0
    capabilities: frozenset[Capability] = frozenset()
    latency_seconds: float = 1.0
    first_token_seconds: float = 0.5
    p95_seconds: float = 5.0
    in_flight: int = 0
    queued: int = 0
    concurrency: int = 0
    available: bool = True


class Verifier(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A check on a reply before it is accepted. `value`: logprob floor, or `module:function`."""

    kind: VerifierKind
    value: str = ""


class PlannedAttempt(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """One try at one endpoint. `verifiers` empty: the reply is taken as it comes (and may stream live)."""

    endpoint: str
    model: str
    verifiers: tuple[Verifier, ...] = ()
    reason: str = ""


class Plan(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """The ordered attempts for one call, best first. `hedge`: a second attempt may race the first."""

    attempts: tuple[PlannedAttempt, ...]
    hedge: bool = False


class Lot(msgspec.Struct, frozen=True, gc=False):
    """What was drawn for a call: the model, and its weight as the plan says it."""

    model: str
    weight: str


def lot_of(plan: Plan) -> Lot | None:
    """What a plan says was drawn for its call, whatever answered in the end. None where it does not say: nothing was
    drawn, no model with a weight could serve the call, or the drawn one is not among the attempts."""
    for attempt in plan.attempts:
        # It stands behind those that were up, if it was not. Policies of users give what reasons they like.
        if told := _DRAWN.match(attempt.reason):
            return None if float(told[1]) == 0 else Lot(attempt.model, told[1])
    return None
