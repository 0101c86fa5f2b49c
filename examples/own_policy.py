"""A policy of one's own: `policy = "own_policy:by_time"` in trimtab.toml, with this folder on PYTHONPATH.

A policy is a pure function of the call, its offers and one number in [0, 1); it returns a plan.
"""

from trimtab.core import Call, Offer, Plan, PlannedAttempt

_PATIENT_TOKENS = 2_000


def by_time(call: Call, offers: tuple[Offer, ...], unit: float) -> Plan:
    """Long prompts go where they are cheapest, short ones where the answer comes soonest."""
    if call.likely_input_tokens > _PATIENT_TOKENS:
        ranked = sorted(offers, key=lambda offer: (offer.predicted_nanodollars, offer.endpoint))
    else:
        ranked = sorted(offers, key=lambda offer: (offer.latency_seconds, offer.endpoint))
    return Plan(tuple(PlannedAttempt(offer.endpoint, offer.model) for offer in ranked[:2]))
