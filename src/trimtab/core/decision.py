"""What a policy, verifier or controller chose and why, recorded so that it can be replayed to the same result."""

from typing import Literal

import msgspec

from trimtab.core.call import Call
from trimtab.core.offer import Offer, Plan


class Decision(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A routing decision with its inputs. `unit` in [0, 1) is the only randomness a policy gets.

    `reasons` name the rules that were passed over because they failed on this call.
    """

    policy: str
    call: Call
    offers: tuple[Offer, ...]
    unit: float
    plan: Plan
    rule: str = ""
    reasons: tuple[str, ...] = ()


ControllerKind = Literal["step", "route", "verify", "classify", "gate"]


class ControllerDecision(msgspec.Struct, frozen=True, gc=False):
    """What a controller said of one call. `inputs` digests all that it saw and `said` all that it answered:
    where the inputs are the same, `said` must be.

    `agent` is the agent it was told of. `followed`: the house did what it said; if not, `reasons` say why it
    abstained or was not heeded.
    """

    controller: str
    version: str
    kind: ControllerKind
    option: str
    confidence: float
    followed: bool
    inputs: str
    said: str
    seconds: float = 0.0
    reasons: tuple[str, ...] = ()
    agent: str = ""


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a verifier or guard says of a reply."""

    accepted: bool
    by: str
    reason: str = ""
