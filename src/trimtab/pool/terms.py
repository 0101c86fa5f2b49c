"""What of an offer does not change from call to call, and the offer of a call made of it."""

import msgspec

from trimtab.core import Call, Capability, Offer, Price

_PREDICTED_OUTPUT_TOKENS = 512


class OfferTerms(msgspec.Struct, frozen=True, gc=False):
    """An endpoint's terms for a model. `total_seconds`: the longest that a call may take there."""

    endpoint: str
    model: str
    price: Price
    quality: float
    precision_bits: int
    context_tokens: int
    capabilities: frozenset[Capability]
    total_seconds: float

    def offer(
        self,
        call: Call,
        latency_seconds: float,
        first_token_seconds: float,
        p95_seconds: float,
        in_flight: int,
        queued: int,
        concurrency: int,
        *,
        available: bool,
    ) -> Offer:
        """For a call, as busy and fast as the endpoint is."""
        output = call.max_output_tokens * call.choices
        worst_cost = self.price.worst_cost
        return Offer(
            self.endpoint,
            self.model,
            self.price,
            worst_cost(call.likely_input_tokens, min(output, _PREDICTED_OUTPUT_TOKENS)),
            worst_cost(call.input_tokens, output, self.total_seconds),
            self.quality,
            self.precision_bits,
            self.context_tokens,
            self.capabilities,
            latency_seconds,
            first_token_seconds,
            p95_seconds,
            in_flight,
            queued,
            concurrency,
            available,
        )
