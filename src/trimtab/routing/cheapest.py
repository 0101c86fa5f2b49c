"""The policy `cheapest`: the lowest predicted cost among the offers that can serve."""

import msgspec

from trimtab.core import Call, Offer, Plan
from trimtab.routing.eligible import eligible
from trimtab.routing.policy import AttemptLimit, cost_key, plan_in_order


class Cheapest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Ties go to the lower latency, then to the name. Offers without a known price come after all others."""

    max_attempts: AttemptLimit = 4
    hedge: bool = False

    def choose(self, call: Call, offers: tuple[Offer, ...], unit: float) -> Plan:
        """The offers by predicted nanodollars."""
        ranked = sorted(eligible(call, offers), key=cost_key)
        return plan_in_order(ranked, "cheapest", self.max_attempts, self.hedge)
