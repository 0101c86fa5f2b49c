"""What a policy or verifier chose and why, recorded so that it can be replayed to the same result."""

import msgspec

from trimtab.core.call import Call
from trimtab.core.offer import Offer, Plan


class Decision(msgspec.Struct, frozen=True, gc=False):
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


class Verdict(msgspec.Struct, frozen=True, gc=False):
    """What a verifier or guard says of a reply."""

    accepted: bool
    by: str
    reason: str = ""
