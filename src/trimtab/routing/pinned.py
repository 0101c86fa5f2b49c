"""The policy `pinned`: the named model or endpoint, then other endpoints of the same model by cost."""

import msgspec

from trimtab.core import Call, Offer, Plan
from trimtab.core.errors import BadRequest
from trimtab.routing.eligible import eligible
from trimtab.routing.policy import AttemptLimit, cost_key, plan_in_order


class Pinned(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`model` empty: the model the client asked for. `endpoint` empty: the cheapest one of that model."""

    model: str = ""
    endpoint: str = ""
    max_attempts: AttemptLimit = 4
    hedge: bool = False

    def choose(self, call: Call, offers: tuple[Offer, ...], unit: float) -> Plan:
        """The pinned endpoint first. Raises `BadRequest` where what is pinned is not offered."""
        able = eligible(call, self._same_model(call, offers))
        ranked = sorted(able, key=lambda offer: (offer.endpoint != self.endpoint, cost_key(offer)))
        lead = "pinned" if self.endpoint in ("", ranked[0].endpoint) else "fallback"
        return plan_in_order(ranked, lead, self.max_attempts, self.hedge)

    def _same_model(self, call: Call, offers: tuple[Offer, ...]) -> list[Offer]:
        named = [offer for offer in offers if offer.model == (self.model or call.model)]
        if self.model:
            return named or _absent(f"model {self.model!r}", offers)
        if self.endpoint and not any(offer.endpoint == self.endpoint for offer in named):
            named = _served_at(self.endpoint, offers)
        # An alias the pool has already resolved: every offer stands for the name that was asked for.
        return named or list(offers)


def _served_at(endpoint: str, offers: tuple[Offer, ...]) -> list[Offer]:
    models = {offer.model for offer in offers if offer.endpoint == endpoint}
    return [offer for offer in offers if offer.model in models] or _absent(f"endpoint {endpoint!r}", offers)


def _absent(what: str, offers: tuple[Offer, ...]) -> list[Offer]:
    offered = ", ".join(sorted({f"{offer.model} at {offer.endpoint}" for offer in offers})) or "nothing"
    raise BadRequest(
        f"the pinned {what} is not offered for this call; offered: {offered}",
        code="no_capable_endpoint",
        param="model",
    )
