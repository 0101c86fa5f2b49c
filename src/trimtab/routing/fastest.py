"""The policy `fastest`: the lowest predicted latency, waiting in the endpoint's queue included."""

from typing import Literal

import msgspec

from trimtab.core import Call, Offer, Plan
from trimtab.routing.eligible import eligible
from trimtab.routing.policy import AttemptLimit, cost_key, plan_in_order


class Fastest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`until`: what is to come soonest, the whole reply (`last_token`) or its beginning (`first_token`)."""

    until: Literal["last_token", "first_token"] = "last_token"
    max_attempts: AttemptLimit = 4
    hedge: bool = False

    def choose(self, call: Call, offers: tuple[Offer, ...], unit: float) -> Plan:
        """The offers by predicted seconds; ties go to the cheaper one, then to the name."""
        ranked = sorted(eligible(call, offers), key=lambda offer: (self._seconds(offer), cost_key(offer)))
        return plan_in_order(ranked, "fastest", self.max_attempts, self.hedge)

    def _seconds(self, offer: Offer) -> float:
        own = offer.latency_seconds if self.until == "last_token" else offer.first_token_seconds
        return wait_seconds(offer) + own


def wait_seconds(offer: Offer) -> float:
    """Predicted seconds in the endpoint's queue: with `c` slots one frees every latency / c seconds.

    0 where a slot is free or the endpoint's concurrency is not bounded.
    """
    if not offer.concurrency:
        return 0.0
    ahead = offer.in_flight + offer.queued + 1 - offer.concurrency
    return max(0, ahead) * offer.latency_seconds / offer.concurrency
