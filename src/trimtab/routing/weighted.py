"""The policy `weighted`: a share of the runs for each model, the same model for all calls of one run."""

import math
from typing import Annotated

import msgspec

from trimtab.core import LOT, Call, Offer, Plan
from trimtab.routing.eligible import eligible
from trimtab.routing.policy import AttemptLimit, cost_key, plan_in_order

_BELOW_ONE = 1 - 2**-53


class Weighted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`weights`: model -> share, relative to their sum. Models without one are fallbacks, by cost."""

    weights: Annotated[dict[str, Annotated[float, msgspec.Meta(ge=0)]], msgspec.Meta(min_length=1)]
    max_attempts: AttemptLimit = 4
    hedge: bool = False

    def __post_init__(self) -> None:
        total = sum(self.weights.values())
        if not (math.isfinite(total) and total > 0):
            raise ValueError("Expected finite `weights` with a sum > 0")

    def choose(self, call: Call, offers: tuple[Offer, ...], unit: float) -> Plan:
        """The drawn model's offers by cost, then those of the models drawn after it, then the rest."""
        drawn = {model: rank for rank, model in enumerate(draw(self.weights, unit))}
        last = len(drawn)
        ranked = sorted(
            eligible(call, offers), key=lambda offer: (drawn.get(offer.model, last), cost_key(offer))
        )
        lead = f"{LOT}{self.weights.get(ranked[0].model, 0):g}"
        return plan_in_order(ranked, lead, self.max_attempts, self.hedge)


def draw(weights: dict[str, float], unit: float) -> list[str]:
    """The models in the order one `unit` in [0, 1) draws them without replacement, weightless ones left out.

    The draw is over all weights, not over what is offered now: a model that goes away moves only its own
    runs, and these by the weights of the others, because the rest of `unit` within the drawn share draws
    again.
    """
    left = sorted((model, weight) for model, weight in weights.items() if weight > 0)
    order = []
    while left:
        point = unit * sum(weight for _, weight in left)
        index = 0
        while index < len(left) - 1 and point >= left[index][1]:
            point -= left[index][1]
            index += 1
        model, weight = left.pop(index)
        unit = min(point / weight, _BELOW_ONE)
        order.append(model)
    return order
